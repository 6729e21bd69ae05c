"""How often drift is reported where there is none, how soon where there is, and how near the expected loss is.

    .venv/bin/python -m benchmarks.drift level [--replays 100] [--deals 60 125 250 350]
    .venv/bin/python -m benchmarks.drift lists [--replays 100]
    .venv/bin/python -m benchmarks.drift loss [--replays 100] [--backtest backtest.csv]

*level*: a year of weekly looks at results that arrive as they do in the demo market, of creators who are hired again
and again and of whom the model knows only a part, with a champion that is renewed every quarter and whose level is a
little off. In the stable year any alarm is false; in the others the level moves by 20 % at once, and what counts is
whether one of the next four looks raises an alarm.

*lists*: a year of weekly lists of 300 candidates with 70 features, of creators and brands that lists have in common.
In the stable year any sentence is false; in the others one feature moves by a standard deviation, or a fifth of it.

*loss*: intervals are fitted to 2,500 results, and the loss that they expect of lists of 500 is held against what came.
With a training's artefact `backtest.csv`: each of its folds, by intervals of the folds before.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from models.evaluation.backtest import OURS
from models.learnt import Learnt, Sample
from models.monitoring.drift import differences
from models.monitoring.expected_loss import expected_loss, realised_loss
from models.monitoring.level_drift import REFERENCE_WEEKS, WEEKS, LevelDrift, LevelShift, Scored, score, shift
from models.uncertainty.interval import Intervals, fit_intervals

CREATORS, BRANDS = 2_000, 60
# sd of the logs: expected conversions of a deal; what the model does not know of its creator and of the deal itself
COUNTS, CREATOR, DEAL = 1.3, 0.35, 0.35
LUCK = 0.5  # dispersion of a count whose rate is known, as in the demo market
CHAMPION_WEEKS, CHAMPION = 13, 0.015  # how long one stays; sd of the log of its level
AT_ONCE, DELAY_DAYS = 0.55, 7.0  # share of the conversions that come at once, and how long the others take
BEFORE, YEAR, MONTH = REFERENCE_WEEKS + max(WEEKS), 52, 4
FITTED, LIST, FEATURES, RESULTS = 2_500, 500, 70, 1_800
CANDIDATES = 300  # of a weekly list
FACTORS = (0.8, 1.2)
DAY_ONE = np.datetime64("2026-01-05")


@dataclass(frozen=True)
class Deals:
    """In the order of their start. starts: in weeks. expected: final conversions, as promised; rate: as they are."""

    starts: np.ndarray
    creators: np.ndarray
    expected: np.ndarray
    rate: np.ndarray


def draw(rng: np.random.Generator, deals: float, weeks: int, factor: float = 1.0, since: float = np.inf) -> Deals:
    """So many deals a week; from the week `since` on the level is `factor` times as high."""
    number = rng.poisson(deals * weeks)
    starts = np.sort(rng.uniform(0, weeks, number))
    activity = rng.gamma(0.7, 1.0, CREATORS)
    creators = rng.choice(CREATORS, number, p=activity / activity.sum())
    expected = np.exp(rng.normal(3.0, COUNTS, number))
    off = rng.normal(-(CREATOR**2) / 2, CREATOR, CREATORS)[creators] + rng.normal(-(DEAL**2) / 2, DEAL, number)
    off += rng.normal(0, CHAMPION, weeks // CHAMPION_WEEKS + 1)[(starts // CHAMPION_WEEKS).astype(int)]
    luck = rng.gamma(1 / LUCK, LUCK, number)
    return Deals(starts, creators, expected, expected * np.exp(off) * luck * np.where(starts >= since, factor, 1.0))


def intervals(rng: np.random.Generator) -> Intervals:
    """As a model of that market has them, of results that are final."""
    made = draw(rng, FITTED / 26, 26)
    return fit_intervals(made.expected, rng.poisson(made.rate).astype(float), np.full(len(made.rate), "*"))


def looks(rng: np.random.Generator, known: Intervals, deals: Deals, weeks: Iterable[int]) -> list[list[LevelShift]]:
    """What is found at the end of each of these weeks; counts grow from one to the next as conversions arrive."""
    counts, came = np.zeros(len(deals.rate)), np.zeros(len(deals.rate))
    scored: Scored | None = None
    out = []
    for week in weeks:
        age = week - deals.starts
        share = np.where(age > 0, 1 - (1 - AT_ONCE) * np.exp(-np.maximum(age, 0) * 7 / DELAY_DAYS), 0.0)
        more = np.flatnonzero(share > came + 1e-3)
        counts[more] += rng.poisson(deals.rate[more] * (share - came)[more])
        came[more] = share[more]
        fresh = score(known, deals.expected[more] * share[more], np.full(len(more), "*"), counts[more])
        scored = scored or Scored(np.zeros((len(counts), fresh.scores.shape[1])), np.zeros(len(counts)))
        scored.scores[more], scored.weight[more] = fresh.scores, fresh.weight
        near = (age > 0) & (age < BEFORE)
        part = scored.take(near)
        found = [shift(part, age[near], deals.creators[near], length, DAY_ONE) for length in WEEKS]
        out.append([one for one in found if one])
    return out


def alarm(found: Iterable[Iterable[LevelShift]]) -> bool:
    """Whether any look raised one."""
    return any(LevelDrift(tuple(look), unseen=True).alarms for look in found)


def level(replays: int, deals: float) -> str:
    """What came of the level's alarm at so many deals a week, in words."""
    known = intervals(np.random.default_rng(1))
    years, hits = 0, dict.fromkeys(FACTORS, 0)
    for replay in range(replays):
        rng = np.random.default_rng([replay, int(deals)])
        year = range(BEFORE + 1, BEFORE + YEAR + 1)
        years += alarm(looks(rng, known, draw(rng, deals, BEFORE + YEAR), year))
        for factor in FACTORS:
            moved = draw(rng, deals, BEFORE + MONTH, factor, BEFORE)
            hits[factor] += alarm(looks(rng, known, moved, range(BEFORE + 1, BEFORE + MONTH + 1)))
    shares = ", ".join(f"×{factor} in {number / replays:.0%}" for factor, number in hits.items())
    return f"{deals:g} deals a week: {years} of {replays} stable years with an alarm; found within four weeks: {shares}"


@dataclass(frozen=True)
class Lists:
    """Features of creators (CREATORS, FEATURES), to which brands and deals add; the same for all lists of a year."""

    creators: np.ndarray
    brands: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Lists:
        """A year's."""
        return cls(rng.normal(0, 0.8, (CREATORS, FEATURES)), rng.normal(0, 0.3, (BRANDS, FEATURES)))

    def rows(self, rng: np.random.Generator, number: int, moved: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Matrix and spine of rows in which half of the features are missing for a twentieth of the creators; the first
        feature lies higher by `moved` standard deviations."""
        creators, brands = rng.integers(0, CREATORS, number), rng.integers(0, BRANDS, number)
        values = self.creators[creators] + self.brands[brands] + rng.normal(0, 0.5, (number, FEATURES))
        values[:, 0] += moved
        values[np.ix_(creators % 20 == 0, np.arange(FEATURES) % 2 == 1)] = np.nan
        frame = pd.DataFrame(values, columns=[f"feature {i}" for i in range(FEATURES)])
        for i in range(2, 12):  # ten categories of five levels
            levels = np.floor(frame[f"feature {i}"].fillna(0) * 1.5).clip(-2, 2)
            frame[f"feature {i}"] = levels.astype(int).astype(str).astype(object).where(frame[f"feature {i}"].notna())
        keys = pd.DataFrame({"creator_id": creators.astype(str), "brand": brands.astype(str)}, dtype=object)
        return frame, keys


def lists(replays: int) -> str:
    """What came of weekly lists, in words."""
    years, hits = 0, dict.fromkeys((0.2, 1.0), 0)
    for replay in range(replays):
        rng = np.random.default_rng(replay)
        market = Lists.draw(rng)
        matrix, spine = market.rows(rng, RESULTS)
        learnt = Learnt.fit(matrix, spine, np.full(RESULTS, DAY_ONE))
        assert learnt
        years += any(differences(learnt, Sample.of(*market.rows(rng, CANDIDATES))) for _ in range(YEAR))
        for moved in hits:
            found = differences(learnt, Sample.of(*market.rows(rng, CANDIDATES, moved)))
            hits[moved] += any(one.feature == "feature 0" for one in found)
    shares = ", ".join(f"by {moved:g} standard deviations in {n / replays:.0%}" for moved, n in hits.items())
    return f"{years} of {replays} stable years with a sentence; found in the first list, a feature that moved {shares}"


def loss(replays: int) -> str:
    """Expected over realised loss, in words."""
    ratios = []
    for replay in range(replays):
        rng = np.random.default_rng(replay)
        known, made = intervals(rng), draw(rng, LIST, 1)
        before = expected_loss(known, made.expected, np.full(len(made.rate), "*"))
        came = realised_loss(made.expected, rng.poisson(made.rate).astype(float))
        ratios.append((before.deviance / came.deviance, before.error / came.error))
    within = (np.abs(np.array(ratios) - 1) <= 0.15).mean(0)
    middle = np.median(ratios, axis=0)
    return (
        f"{replays} lists of about {LIST}: within 15 % of what came in {within[0]:.0%} by deviance (middle "
        f"×{middle[0]:.2f}) and in {within[1]:.0%} by error (middle ×{middle[1]:.2f})"
    )


def loss_of_folds(backtest: pd.DataFrame) -> list[str]:
    """Expected and realised loss of each fold but the first of a training's `backtest.csv`, in words."""
    rows = backtest.assign(expected=backtest[OURS] * backtest.exposure, group=backtest.group.astype(str))
    out = []
    for fold in sorted(rows.fold.unique())[1:]:
        past, now = rows[rows.fold < fold], rows[rows.fold == fold]
        terms = [[part[name].to_numpy() for name in ("expected", "counts", "group", "excess")] for part in (past, now)]
        known = fit_intervals(*terms[0])
        expected, counts, group, excess = terms[1]
        before, came = expected_loss(known, expected, group, excess), realised_loss(expected, counts.astype(float))
        out.append(
            f"fold {fold}, {len(now)} results: deviance {before.deviance:.2f} expected, {came.deviance:.2f} came "
            f"(×{before.deviance / came.deviance:.2f}); error {before.error:.2f}, {came.error:.2f} "
            f"(×{before.error / came.error:.2f})"
        )
    return out


def main(argv: Sequence[str] | None = None) -> None:
    """Replay, and print what came of it."""
    parser = argparse.ArgumentParser("benchmarks.drift", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("part", choices=("level", "lists", "loss"))
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--deals", type=float, nargs="+", default=[60, 125, 250, 350])
    parser.add_argument("--backtest", type=Path, help="a training's artefact")
    args = parser.parse_args(argv)
    if args.part == "level":
        for number in args.deals:
            print(level(args.replays, number), flush=True)
    elif args.part == "lists":
        print(lists(args.replays))
    elif args.backtest:
        print("\n".join(loss_of_folds(pd.read_csv(args.backtest))))
    else:
        print(loss(args.replays))


if __name__ == "__main__":
    main()
