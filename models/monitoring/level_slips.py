"""Spend, hours and conversions of a batch whose level is off by a factor that no chance explains."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.monitoring import segments
from models.monitoring.batch import Batch
from models.monitoring.findings import Finding, Quantity
from models.monitoring.segments import Part
from models.monitoring.slips import name_slip

LOOKS = 3  # slips by different factors that a batch may hold


def level_slips(batch: Batch) -> Iterator[Finding]:
    """A finding for every part of the batch that is off; its rows are out from then on."""
    if not batch.judged:
        return
    groupings = batch.groupings()
    for quantity in ("spend", "hours", "conversions"):
        for _ in range(LOOKS):
            residuals = batch.expectations.residuals[quantity]
            parts = segments.find(quantity, residuals, batch.candidates(), batch.parted(), groupings)
            if quantity == "spend":
                parts = [part for part in parts if not _moved_along(batch, part)]  # else the deals are larger
            if not parts:
                break
            for part in parts:
                yield _finding(batch, quantity, part)
                batch.out |= part.rows


def _moved_along(batch: Batch, part: Part) -> bool:
    """Whether conversions moved by at least half as much in the same direction, whatever the deals cost."""
    moved, _ = batch.expectations.by_creator.mean(part.rows)
    return moved * np.sign(part.effect) >= abs(part.effect) / 2


def _finding(batch: Batch, quantity: str, part: Part) -> Finding:
    effect, (low, high), source = float(np.exp(part.effect)), part.interval, batch.expectations.source
    known: dict[str, tuple[Quantity, str]] = {
        "spend": ("spend", "spend is {} what such deals of these creators cost before"),
        "hours": ("hours", "promotion_hours are {} those of such deals before"),
        "conversions": ("conversions", f"conversions are {{}} what {source} leads one to expect"),
    }
    named, what = known[quantity]
    if quantity == "conversions" and not _moved_along(batch, part):
        named, what = "rate", f"conversions per dollar are {{}} what {source} leads one to expect"
    likely = name_slip(named, effect, low, high)
    figures = f"{_ratio(effect)} times ({_ratio(low)} to {_ratio(high)})"
    sentence = f"{part.rows.sum():,} results ({part.name}): {what.format(figures)}; most likely {likely}"
    return Finding(part.name, named, likely, sentence, batch.ids(part.rows), True, effect, low, high)


def _ratio(value: float) -> str:
    """Two figures, without an exponent."""
    return f"{float(f'{value:.2g}'):,.4f}".rstrip("0").rstrip(".") if value < 10 else f"{value:,.0f}"
