"""Backtest in time: fit on what was known at a cut-off, test on what started after it; again from a later cut-off.

A result is trained on only once it was known at the cut-off, in full or as far as its days were listed by then. All
choices (weights of recipes, level, intervals) that a fold is tested with come from earlier folds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from models.estimators.count_data import CountData
from models.estimators.encoding import Encoding
from models.estimators.ensemble import fit_level, fit_weights
from models.estimators.level_trend import at_newest_level
from models.estimators.maturity import Maturity, fit_maturity
from models.estimators.outcomes import Outcomes
from models.estimators.rate import RECIPES, Component, Recipe, bin_rows, fit_component
from models.estimators.recipes import best_of_families
from models.evaluation.baselines import NAMES, predict_baselines
from models.evaluation.metrics import covered, measure
from models.uncertainty.interval import POOLED, fit_intervals
from models.uncertainty.support import fit_support

FOLDS, FOLD_ROWS, LEAST_TRAINING, RIPE_SHARE = 5, 15, 10, 0.9
OURS = "ours"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Fold:
    """A cut-off, the rows that were known then with their results as they stood, and the rows to test on.

    then: without the conversions by day, which `maturity` was learnt from.
    """

    cutoff: np.datetime64
    train: np.ndarray
    then: Outcomes
    maturity: Maturity
    test: np.ndarray


def make_folds(results: Outcomes, ripe: np.ndarray, folds: int = FOLDS) -> list[Fold]:
    """Cut-offs over the newer half of the ripe results (positions), each tested up to the next cut-off.

    results: in the order of their start. Folds that nothing precedes are left out; there may be none.
    """
    starts = results.starts[ripe]
    folds = int(min(folds, len(ripe) // (2 * FOLD_ROWS)))
    if folds < 1:
        return []
    edges = [starts[int(len(ripe) * (0.5 + 0.5 * j / folds))].astype("datetime64[D]") for j in range(folds)]
    edges = sorted({edge.astype("datetime64[us]") for edge in edges})
    ends = [*edges[1:], starts[-1] + np.timedelta64(1, "us")]
    out = []
    for cutoff, end in zip(edges, ends, strict=True):
        train, then = results.as_of(cutoff)
        test = ripe[(starts >= cutoff) & (starts < end)]
        if len(train) >= LEAST_TRAINING and then.counts.sum() > 0 and len(test):
            out.append(Fold(cutoff, train, replace(then, daily=None), fit_maturity(then), test))
    return out


def observe(
    matrix: pd.DataFrame, creators: np.ndarray, encoding: Encoding, results: Outcomes, maturity: Maturity
) -> CountData:
    """What an estimator is fitted to, from a matrix and the creators and results of its rows."""
    share, variance = maturity.arrived(results)
    features = encoding.transform(matrix, creators)
    return CountData(features, encoding, results.counts, results.spend * share, variance)


def fit_recipes(count_data: CountData, recipes: Sequence[Recipe], seed: int) -> list[Component]:
    """A fit of every recipe, or none at all where results are too few."""
    if not count_data.enough:
        return []
    binned = bin_rows(count_data, seed)
    return [fit_component(count_data, recipe, seed, binned) for recipe in recipes]


def _run(
    fold: Fold,
    number: int,
    matrix: pd.DataFrame,
    creators: np.ndarray,
    results: Outcomes,
    recipes: Sequence[Recipe],
    seed: int,
) -> pd.DataFrame:
    """Predictions for the test rows: a column a baseline, each recipe's deviation (d_) and centre (c_), and the
    log rate for all (`constant`)."""
    known = matrix.iloc[fold.train]
    encoding = Encoding.fit(known, creators[fold.train])
    count_data = observe(known, creators[fold.train], encoding, fold.then, fold.maturity)
    features = encoding.transform(matrix.iloc[fold.test], creators[fold.test])
    spend = results.spend[fold.test]
    out: dict[str, np.ndarray | float] = dict(
        predict_baselines(count_data, creators[fold.train], encoding, features, creators[fold.test], spend)
    )
    out["excess"] = fit_support(known, creators[fold.train]).excess(matrix.iloc[fold.test])
    del known  # a copy of most of the matrix, which the fits need no more
    count_data = at_newest_level(count_data, fold.then.starts)
    fits = fit_recipes(count_data, recipes, seed)
    out["constant"] = float(np.log(count_data.level))
    for i, recipe in enumerate(recipes):
        out[f"c_{recipe.name}"] = fits[i].centre if fits else out["constant"]
        out[f"d_{recipe.name}"] = fits[i].log_rate(features) - fits[i].centre if fits else np.zeros(len(features))
    return pd.DataFrame(out, index=range(len(fold.test))).assign(fold=number, row=fold.test)


@dataclass(frozen=True)
class Backtest:
    """Predictions of rows that were not known when they were made, and the choices that follow from all of them.

    rows: one a tested collaboration, in the order of time: row (position), fold, collaboration_id, creator_id, counts,
    exposure, variance, group, `ours` and the baselines (conversions per dollar), low and high (80 %), excess (above 0
    the row was unlike what was known at its fold's cut-off, `models.uncertainty.support`).
    weights: of the recipes. level_correction: of the log rate, from recent results. cutoffs: of the folds.
    """

    rows: pd.DataFrame
    weights: np.ndarray
    level_correction: float
    cutoffs: tuple[str, ...]

    def figures(self, by: str | pd.Series = "fold") -> pd.DataFrame:
        """Metrics by model and fold ("all" for all of them), `measure`'s, and for ours those of `covered`.

        by: a column of `rows`, or values beside them, that parts the rows in another way than by fold.
        """
        table = []
        parts = [("all", self.rows), *((str(j), part) for j, part in self.rows.groupby(by))]
        for name, part in parts:
            counts, exposure = part.counts.to_numpy(), part.exposure.to_numpy()
            for model in (OURS, *NAMES):
                line = {
                    "fold": name,
                    "model": model,
                    "rows": len(part),
                    **measure(part[model].to_numpy(), counts, exposure),
                }
                if model == OURS:
                    known = part.dropna(subset="low")
                    line |= covered(
                        known.low.to_numpy(), known.high.to_numpy(), (known.counts / known.exposure).to_numpy()
                    )
                table.append(line)
        columns = ["fold", "model", "rows", "skill", "rank", "value", "total", "coverage", "width"]
        return pd.DataFrame(table, columns=columns)

    def coverage_by_group(self) -> dict[str, tuple[float, int]]:
        """Coverage of the 80 % interval and number of rows, by group (follower tier)."""
        return {str(k): (float(v.mean()), len(v)) for k, v in self._inside().groupby(self.rows.group)}

    def coverage_unlike(self) -> tuple[int, int, float]:
        """Rows unlike the results known at their fold's cut-off, those with an interval, and its coverage among them.

        NaN where there are none.
        """
        unlike = self.rows.excess > 0
        inside = self._inside()
        inside = inside[unlike[inside.index]]
        return int(unlike.sum()), len(inside), float(inside.mean()) if len(inside) else float("nan")

    def _inside(self) -> pd.Series:
        """Whether the realised rate lay in the 80 % interval, of the rows that have one."""
        known = self.rows.dropna(subset="low")
        rate = known.counts / known.exposure
        return (rate >= known.low - 1e-12) & (rate <= known.high + 1e-12)


def run_backtest(
    matrix: pd.DataFrame,
    creators: np.ndarray,
    results: Outcomes,
    *,
    seed: int = 0,
    recipes: Sequence[Recipe] = RECIPES,
    folds: int = FOLDS,
    jobs: int = 2,
    progress: Progress | None = None,
    maturity: Maturity | None = None,
) -> Backtest:
    """Backtest on a matrix (rows in the order of their start) with the creators and results of its rows.

    maturity: of all results, where it is known already.
    """
    share, variance = (maturity or fit_maturity(results)).arrived(results)
    made = make_folds(results, np.flatnonzero(share >= RIPE_SHARE), folds)
    # the last, which takes longest, begins first
    order = range(len(made))[::-1]
    tasks = (delayed(_run)(made[i], i, matrix, creators, results, recipes, seed) for i in order)
    parts: list[pd.DataFrame] = []
    for part in Parallel(n_jobs=jobs, prefer="threads", return_as="generator")(tasks):
        parts.append(part)
        if progress:
            progress("backtest", len(parts), len(made))
    group = matrix["tier"].fillna("unknown") if "tier" in matrix else pd.Series(POOLED, index=matrix.index)
    rows = pd.concat(parts[::-1], ignore_index=True) if parts else _no_rows(recipes)
    at = rows.row.to_numpy(int)
    rows = rows.assign(
        collaboration_id=results.identifiers[at],
        creator_id=creators[at],
        counts=results.counts[at],
        exposure=results.spend[at] * share[at],
        variance=variance[at],
        group=group.to_numpy(object)[at].astype(str),
    )
    return _choose(rows, recipes, made)


def _as_known(rows: pd.DataFrame, fold: Fold) -> pd.DataFrame:
    """Rows of earlier folds with their results as they stood at the fold's cut-off, without those unknown then."""
    share, variance = fold.maturity.arrived(fold.then)
    then = pd.DataFrame(
        {
            "row": fold.train,
            "counts": fold.then.counts,
            "exposure": fold.then.spend * share,
            "variance": variance,
            "ripe": share >= RIPE_SHARE,
        }
    )
    return rows.drop(columns=["counts", "exposure", "variance"]).merge(then, on="row", how="inner")


def _no_rows(recipes: Sequence[Recipe]) -> pd.DataFrame:
    names = [f"{kind}_{recipe.name}" for recipe in recipes for kind in "cd"]
    names += ["constant", "excess", "fold", "row"]
    return pd.DataFrame({name: pd.Series(dtype=float) for name in (*NAMES, *names)})


def _choose(rows: pd.DataFrame, recipes: Sequence[Recipe], folds: Sequence[Fold]) -> Backtest:
    """Weights, level and intervals, fold after fold from what was known of the earlier ones, and at last from all."""
    rows = rows.assign(ours=np.nan, low=np.nan, high=np.nan)
    for number in rows.fold.unique():
        now = (rows.fold == number).to_numpy()
        past = _as_known(rows[(rows.fold < number).to_numpy()], folds[int(number)])
        weights, level = _learn(past, recipes)
        rate = np.exp(_blended(rows[now], recipes, weights) + level)
        rows.loc[now, OURS] = rate
        past = past[past.ripe]
        if len(past) >= 2 * FOLD_ROWS:
            intervals = fit_intervals(
                (past.ours * past.exposure).to_numpy(), past.counts.to_numpy(), past.group.to_numpy(),
                past.excess.to_numpy(),
            )  # fmt: skip
            exposure = rows.exposure[now].to_numpy()
            low, high = intervals.bounds(rate * exposure, rows.group[now].to_numpy(), 0.8, rows.excess[now].to_numpy())
            rows.loc[now, ["low", "high"]] = np.column_stack([low / exposure, high / exposure])
    weights, level = _learn(rows, recipes)
    if not _deviations(rows, recipes).any():
        weights = np.zeros(len(recipes))  # no fold had enough results for a recipe, so one rate is all that was tested
    return Backtest(rows, weights, level, tuple(str(fold.cutoff)[:10] for fold in folds))


def _deviations(rows: pd.DataFrame, recipes: Sequence[Recipe]) -> np.ndarray:
    return rows[[f"d_{recipe.name}" for recipe in recipes]].to_numpy(float)


def _blended(rows: pd.DataFrame, recipes: Sequence[Recipe], weights: np.ndarray) -> np.ndarray:
    centres = rows[[f"c_{recipe.name}" for recipe in recipes]].to_numpy(float)
    total = weights.sum()
    base = centres @ (weights / total) if total else rows["constant"].to_numpy(float)
    return base + _deviations(rows, recipes) @ weights


def _learn(rows: pd.DataFrame, recipes: Sequence[Recipe]) -> tuple[np.ndarray, float]:
    counts, exposure, variance = (rows[name].to_numpy(float) for name in ("counts", "exposure", "variance"))
    fold, deviations = rows.fold.to_numpy(), _deviations(rows, recipes)
    equal = np.full(len(recipes), 1 / len(recipes))
    base = _blended(rows, recipes, equal) - deviations @ equal
    chosen = best_of_families(deviations, base, counts, exposure, variance, fold, recipes)
    weights = np.zeros(len(recipes))
    weights[chosen] = fit_weights(deviations[:, chosen], base, counts, exposure, variance, fold)
    log_rate = _blended(rows, recipes, weights)
    return weights, fit_level(log_rate, counts, exposure, variance, fold)
