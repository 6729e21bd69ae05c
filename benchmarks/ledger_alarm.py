"""How often the ledger's alarm is false, and how late it is: years of made-up promises, replayed.

    .venv/bin/python -m benchmarks.ledger_alarm [--replays 1000] [--years 5]

Counts are gamma-Poisson around a rate of their own; a shock that all deals of a week share moves them together.
Intervals are factors around the promised rate that cover, over all weeks, exactly the stated share. In *at the bound*
coverage is the least that the null allows, and the promised rates are no better than the rule of thumb: the hardest
case in which no alarm is due. In *coverage falls* and *advantage is lost* this happens after two years of good
promises; a lost advantage means that promised rates err more than the rule of thumb does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.monitoring.e_process import SLACK, Week, advantage_fortune, advantages, coverage_fortune

LEVEL, FALLEN = 0.8, 0.6
DEALS = 20.0  # a week, on average
SHOCK, LUCK = 0.25, 0.5  # sd of a week's log shock; dispersion of a count
OURS, THEIRS, LOST = 0.35, 0.7, 1.2  # sd of the log error of promised rates, of the rule of thumb, of random draws
BEFORE = 104  # weeks


@dataclass(frozen=True)
class World:
    """coverage: of the intervals. ours: sd of the log error of promised rates. after: the world after BEFORE weeks."""

    name: str
    coverage: float
    ours: float
    after: World | None = None


GOOD = World("good", LEVEL, OURS)
WORLDS = (
    GOOD,
    World("at the bound", LEVEL - SLACK, THEIRS),
    World("coverage falls", LEVEL, OURS, World("", FALLEN, OURS)),
    World("advantage is lost", LEVEL, OURS, World("", LEVEL, LOST)),
)


def draw(rng: np.random.Generator, world: World, weeks: int) -> tuple[np.ndarray, ...]:
    """Week, counts, exposure, promised rate, rule of thumb (deals,)."""
    week = np.repeat(np.arange(weeks), rng.poisson(DEALS, weeks))
    n = len(week)
    exposure, rate = np.exp(rng.normal(6.2, 1.0, n)), 0.03 * np.exp(rng.normal(0, 0.8, n))
    shock = np.exp(rng.normal(0, SHOCK, weeks) - SHOCK**2 / 2)[week]
    counts = rng.poisson(exposure * rate * shock * rng.gamma(1 / LUCK, LUCK, n)).astype(float)
    ours, theirs = (rate * np.exp(rng.normal(0, error, n)) for error in (world.ours, THEIRS))
    return week, counts, exposure, ours, theirs


def factors(world: World, seed: int = 1) -> tuple[float, float]:
    """Low and high over the promised rate, so that the interval covers its share of results."""
    _, counts, exposure, ours, _ = draw(np.random.default_rng(seed), world, 10_000)
    low, high = np.quantile(counts / exposure / ours, [(1 - world.coverage) / 2, (1 + world.coverage) / 2])
    return float(low), float(high)


def replay(rng: np.random.Generator, world: World, weeks: int, ends: tuple[float, float]) -> list[Week]:
    """Settled weeks of a world that stays as it is."""
    week, counts, exposure, ours, theirs = draw(rng, world, weeks)
    rate, number = counts / exposure, np.bincount(week, minlength=weeks)
    inside = (rate >= ends[0] * ours) & (rate <= ends[1] * ours)
    covered = np.bincount(week, inside, weeks) / np.maximum(number, 1)
    better = np.bincount(week, advantages(counts, exposure, ours, theirs), weeks) / np.maximum(number, 1)
    return [
        Week(f"{i:06}", int(number[i]), LEVEL, float(covered[i]), float(better[i])) for i in range(weeks) if number[i]
    ]


def first_alarms(world: World, replays: int, weeks: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weeks (replays,) after which coverage's alarm came first, and the advantage's; NaN where none came.

    Counted from the change of the world, where there is one; earlier alarms are below 0.
    """
    parts = [(world, weeks)] if world.after is None else [(world, BEFORE), (world.after, weeks)]
    made = [(part, number, factors(part)) for part, number in parts]
    found = np.full((2, replays), np.nan)
    for i in range(replays):
        rng = np.random.default_rng([seed, i])
        settled: list[Week] = []
        for part, number, ends in made:
            settled += replay(rng, part, number, ends)
        for k, fortune in enumerate((coverage_fortune(settled), advantage_fortune(settled))):
            if fortune.alarms:
                found[k, i] = fortune.alarms[0] + 1 - (BEFORE if world.after else 0)
    return found[0], found[1]


def line(world: World, replays: int, weeks: int) -> str:
    """What came of a world, in words."""
    both = first_alarms(world, replays, weeks)
    if world.after is None:
        ever = np.isfinite(np.stack(both))
        parts = [f"{name} {share:.1%}" for name, share in zip(("coverage", "advantage"), ever.mean(1), strict=True)]
        return f"{world.name}: an alarm within {weeks} weeks in {ever.any(0).mean():.1%} ({', '.join(parts)})"
    late = both[0] if world.after.coverage != world.coverage else both[1]
    late = np.where(np.isfinite(late), late, np.inf)[~(late <= 0)]
    ends = ", ".join(f"{q:.0%} {np.quantile(late, q, method='higher'):.0f}" for q in (0.5, 0.9, 0.99))
    return f"{world.name}: weeks of starts until the alarm: {ends}"


def main(argv: Sequence[str] | None = None) -> None:
    """Replay all worlds and print what came of them."""
    parser = argparse.ArgumentParser("benchmarks.ledger_alarm", description=__doc__.split("\n\n")[0])
    parser.add_argument("--replays", type=int, default=1_000)
    parser.add_argument("--years", type=int, default=5)
    args = parser.parse_args(argv)
    for world in WORLDS:
        print(line(world, args.replays, 52 * args.years if world.after is None else 104), flush=True)


if __name__ == "__main__":
    main()
