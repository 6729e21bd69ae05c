"""Which part of our model brings what: the demo market again and again, each time without one part.

    python -m benchmarks.ablation [--seeds 1,2,3]

A row is a variant; its figures are means over the markets of these seeds, and `value -` and `rank -` say how much
of it is lost against the whole model, with the spread of that loss from market to market beside it. A loss within its
spread is none. Young campaigns are those whose counting is not over when the model is made.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from unittest.mock import patch

import numpy as np
import pandas as pd

import cli
from benchmarks.figures import cells, judge, write_tables
from benchmarks.market import BUILD, DEFAULT, Holdout, Prepared, make, opened, prepare, whole_numbers
from features.catalogue import FAMILIES
from models.estimators.maturity import taken_as_final
from models.estimators.rate import RECIPES, RateModel, Recipe
from models.training import TrainingSet, fit

WHOLE = "the whole model"
SHOWN = ("value", "rank", "unseen", "skill", "log_r2", "total", "coverage")
LOST = ("value", "rank")


@dataclass(frozen=True)
class Variant:
    """What is different: columns left out of the matrix, the recipes that take part, how young campaigns count,
    whether creators are distinguished, whether the backtest's correction of the level is applied."""

    without: frozenset[str] = frozenset()
    recipes: tuple[Recipe, ...] = RECIPES
    young: Literal["corrected", "left out", "final"] = "corrected"
    creators: bool = True
    level: bool = True


def columns(*families: str) -> frozenset[str]:
    """The columns of these families."""
    return frozenset(feature.name for family in families for feature in FAMILIES[family].FEATURES)


def variants() -> dict[str, Variant]:
    """All that are measured, by what they lack."""
    alone = {f"only the recipe {recipe.name}": Variant(recipes=(recipe,)) for recipe in RECIPES}
    trees = tuple(recipe for recipe in RECIPES if recipe.objective != "mixed")
    return {
        WHOLE: Variant(),
        "young campaigns left out": Variant(young="left out"),
        "young counts taken as final": Variant(young="final"),
        "no correction of the level": Variant(level=False),
        "no mixed model": Variant(recipes=trees),
        "no effect of the creator": Variant(creators=False),
        **{f"no {family.replace('_', ' ')}": Variant(columns(family)) for family in FAMILIES},
        "no record, no effect of the creator": Variant(columns("track_record"), creators=False),
        **alone,
    }


def changed(training: TrainingSet, variant: Variant) -> TrainingSet:
    """The training that a variant sees."""
    out = replace(training, matrix=training.matrix.drop(columns=list(variant.without)))
    if not variant.creators:
        out = replace(out, spine=out.spine.assign(creator_id="anybody"))
    if variant.young == "left out":
        kept = np.flatnonzero(training.results.until >= training.results.final)
        # without the daily counts the folds, too, know a result only when it is whole
        results = replace(out.results.take(kept), daily=None)
        out = TrainingSet(out.matrix.iloc[kept].reset_index(drop=True), out.spine.iloc[kept], results)
    return out


@contextmanager
def counts_are_final() -> Iterator[None]:
    """Whatever has been counted so far is all that comes, in the folds and in the last fit."""
    with (
        patch("models.evaluation.backtest.fit_maturity", lambda *_, **__: taken_as_final()),
        patch("models.training.fit_maturity", lambda *_, **__: taken_as_final()),
    ):
        yield


def measure(prepared: Prepared, holdout: Holdout, variant: Variant) -> dict[str, float]:
    """A variant's figures on the candidates."""
    with counts_are_final() if variant.young == "final" else nullcontext():
        trained = fit(
            changed(prepared.training, variant), prepared.settings, prepared.classifier, recipes=variant.recipes
        )
    scorer = trained.scorer
    if not variant.level:
        rate = scorer.rate
        scorer = replace(scorer, rate=RateModel(rate.components, rate.weights, 0.0, rate.constant))
    spine = holdout.spine if variant.creators else holdout.spine.assign(creator_id="anybody")
    scores = scorer.score(prepared.matrix.drop(columns=list(variant.without)), spine, reasons=False)
    names = ("conversions_per_dollar", "conversions_per_dollar_low", "conversions_per_dollar_high")
    rates, low, high = (scores[name].to_numpy() for name in names)
    return judge(rates, holdout.truth, holdout.seen, low, high)


def summary(lines: pd.DataFrame) -> pd.DataFrame:
    """A row a variant, in their order: means of `SHOWN`, and the mean and spread over markets of what is lost."""
    whole = lines[lines["model"] == WHOLE].set_index("market")
    groups = lines.groupby("model", sort=False)
    table = groups[list(SHOWN)].mean()
    for name in LOST:
        loss = lines["market"].map(whole[name]) - lines[name]
        by = loss.groupby(lines["model"], sort=False)
        table[f"{name} -"], table[f"± {name}"] = by.mean(), by.std()
    return table.rename_axis("variant").reset_index()


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    text = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        "benchmarks.ablation", description=text[0], epilog=text[1], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=whole_numbers, default=[1, 2, 3], help="of the markets, by commas")
    parser.add_argument("--creators", type=int, default=DEFAULT.creators, help="of a market (%(default)s)")
    parser.add_argument("--results", type=int, default=DEFAULT.results, help="of a market (%(default)s)")
    parser.add_argument("--candidates", type=int, default=DEFAULT.candidates, help="of a market (%(default)s)")
    parser.add_argument("--output", type=Path, default=BUILD, metavar="FOLDER", help="for the tables (%(default)s)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Measure, print the table and write it."""
    sizes = replace(DEFAULT, creators=args.creators, results=args.results, candidates=args.candidates)
    wanted, lines = variants(), []
    args.output.mkdir(parents=True, exist_ok=True)
    with cli.Progress() as progress, tempfile.TemporaryDirectory(dir=args.output) as aside:
        for seed in args.seeds:
            with opened(make(Path(aside) / "market", sizes, seed)) as (history, candidates):
                prepared = prepare(history, candidates)
            for name, variant in wanted.items():
                lines.append({"market": seed, "model": name} | measure(prepared, candidates, variant))
                progress("variants", len(lines), len(wanted) * len(args.seeds))
            every = pd.DataFrame(lines)
            table = summary(every)
            write_tables(every, args.output / "ablation-runs")
            write_tables(table, args.output / "ablation")
    cli.show_table(cells(table))


if __name__ == "__main__":
    call = arguments(None)
    sys.exit(cli.run(lambda: main(call), debug=True))
