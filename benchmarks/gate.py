"""How often does the gate err? Pairs of models whose truth is known, on a market like the demo's, judged by the gate.

    python -m benchmarks.gate [--pairs N] [--seed N]

A model is a vector of errors on the true log rate; no training is needed. Two models of a pair share COMMON and
differ by OWN each, as two trainings on nearly the same results do; half of either belongs to the creator. A worse or
better model has more or less noise, a wrong level, intervals that are too narrow, or no idea of the deals. New
results came in, so there is a reason to renew. Shown for every kind of challenger: what it truly loses in deviance
(share of the champion's) and in value, averaged over all pairs, and the share of pairs in which it was promoted, for
several numbers of results that can be compared. `wrong` counts the promotions of challengers that are truly worse,
`missed` the challengers that are truly better, or as good and newer, and were not promoted. The gate's margins were
chosen with other seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import nbinom

from models.estimators.count_data import level_shift
from models.evaluation.paired import Predictions, compare
from models.registry.gate import weigh

SIZES = (250, 500, 1_000, 2_000)
CREATORS = 0.4  # per result, as in the demo market's newest results
RATE, KNOWN, EXPOSURE, DISPERSION = 0.02, 0.9, 1.7, 0.5
COMMON, OWN = 0.55, 0.18
REASON = "results came in since"


@dataclass(frozen=True)
class Market:
    """Results of n deals: creator (place), exposure (dollars), true rate and counts, (n,) each."""

    creator: np.ndarray
    exposure: np.ndarray
    rate: np.ndarray
    counts: np.ndarray

    @classmethod
    def drawn(cls, rng: np.random.Generator, results: int) -> Market:
        """Counts are negative-binomial around the true rate; exposure and rate are log-normal."""
        creators = int(CREATORS * results)
        creator = rng.integers(0, creators, results)
        exposure = np.exp(rng.normal(6.5, EXPOSURE, results))
        rate = RATE * np.exp(noise(rng, creator, KNOWN))
        luck = rng.gamma(1 / DISPERSION, DISPERSION, results)
        return cls(creator, exposure, rate, rng.poisson(np.minimum(rate * exposure * luck, 1e6)))


def noise(rng: np.random.Generator, creator: np.ndarray, spread: float) -> np.ndarray:
    """Errors of a log rate (rows,) with this standard deviation, half of their variance the creator's."""
    half = spread * np.sqrt(0.5)
    return half * rng.normal(0, 1, creator.max() + 1)[creator] + half * rng.normal(0, 1, len(creator))


@dataclass(frozen=True)
class Kind:
    """A kind of challenger. noise: of the challenger's log rate, beyond COMMON and OWN; of the champion's if below 0.

    level: factor on its rates; champion_level: on the champion's. narrow: factor on the spread of its intervals.
    lost: whether it knows nothing of the deals. truth: whether it is worse (−1), as good (0) or better (1).
    """

    name: str
    truth: int
    noise: float = 0.0
    level: float = 1.0
    champion_level: float = 1.0
    narrow: float = 1.0
    lost: bool = False


KINDS = (
    Kind("as good, and newer", 0),
    Kind("noise of 0.2 more", -1, noise=0.2),
    Kind("noise of 0.3 more", -1, noise=0.3),
    Kind("noise of 0.5 more", -1, noise=0.5),
    Kind("level off by 1.2", -1, level=1.2),
    Kind("level off by 1.5", -1, level=1.5),
    Kind("level off by 1/1.5", -1, level=1 / 1.5),
    Kind("intervals half as wide", -1, narrow=0.5),
    Kind("results shuffled", -1, lost=True),
    Kind("champion has noise of 0.3 more", 1, noise=-0.3),
    Kind("champion has noise of 0.5 more", 1, noise=-0.5),
    Kind("champion's level off by 1.5", 1, champion_level=1.5),
    Kind("champion's level off by 1/1.5", 1, champion_level=1 / 1.5),
)


def predictions(market: Market, errors: np.ndarray, level: float, narrow: float) -> Predictions:
    """Rates with these errors, and 80 % intervals of a negative-binomial distribution as wide as errors make them."""
    rate = market.rate * np.exp(errors)
    mean = market.rate * market.exposure
    # noise raises the average rate; without this a model with more of it would be off in its level as well
    rate *= level * np.exp(level_shift(mean, rate * market.exposure, np.zeros(len(rate))))
    variance = (DISPERSION + COMMON**2) * narrow**2
    mean, size = rate * market.exposure, 1 / variance
    ends = (nbinom.ppf(share, size, size / (size + mean)) / market.exposure for share in (0.1, 0.9))
    low, high = ends
    return Predictions(rate, np.minimum(low, rate), np.maximum(high, rate))


def pair(kind: Kind, results: int, seed: int, number: int) -> tuple[bool, float, float]:
    """Whether the challenger of one pair was promoted, and its differences in deviance (a share) and value."""
    rng = np.random.default_rng([seed, results, KINDS.index(kind), number])
    market = Market.drawn(rng, results)
    common = noise(rng, market.creator, COMMON)
    errors = [common + noise(rng, market.creator, OWN) for _ in range(2)]
    errors[0 if kind.noise > 0 else 1] += noise(rng, market.creator, abs(kind.noise))
    if kind.lost:
        errors[0] = np.log(rng.permutation(market.rate * np.exp(common)) / market.rate)
    rows = pd.DataFrame({"creator_id": market.creator.astype(str), "counts": market.counts,
                         "exposure": market.exposure, "variance": 0.0})  # fmt: skip
    challenger = predictions(market, errors[0], kind.level, kind.narrow)
    champion = predictions(market, errors[1], kind.champion_level, 1.0)
    found = compare(rows, challenger, champion, number)
    promoted, _ = weigh(found, REASON)
    return promoted, found.deviance.difference / found.deviance.second, found.value.difference


def measure(pairs: int, seed: int, sizes: Sequence[int] = SIZES, jobs: int = 2) -> pd.DataFrame:
    """A line a kind and size: truth, pairs, deviance and value (average differences), promoted (share)."""
    lines = []
    for results in sizes:
        for kind in KINDS:
            found = Parallel(n_jobs=jobs)(delayed(pair)(kind, results, seed, number) for number in range(pairs))
            promoted, deviance, value = np.array(found, float).mean(axis=0)
            lines.append((results, kind.name, kind.truth, pairs, deviance, value, promoted))
    columns = ["results", "challenger", "truth", "pairs", "deviance", "value", "promoted"]
    return pd.DataFrame(lines, columns=columns)


def errors(table: pd.DataFrame) -> pd.DataFrame:
    """By size: share of truly worse challengers that were promoted, and of the others that were not."""
    worse, others = table[table.truth < 0], table[table.truth >= 0]
    found = {
        "wrong": worse.groupby("results").promoted.mean(),
        "of worse": worse.groupby("results").pairs.sum(),
        "missed": 1 - others.groupby("results").promoted.mean(),
        "of others": others.groupby("results").pairs.sum(),
    }
    return pd.DataFrame(found).reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200, help="of each kind and size (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    given = parser.parse_args()
    table = measure(given.pairs, given.seed)
    wide = table.pivot_table(index="challenger", columns="results", values="promoted", sort=False)
    truth = table[table.results == max(SIZES)].set_index("challenger")[["deviance", "value"]]
    print(truth.join(wide).round(3).to_string())
    print()
    print(errors(table).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
