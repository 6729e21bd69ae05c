"""From a history to a fitted scorer and the proof of what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from queue import SimpleQueue

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from features.comment_classifier.classifier import CommentClassifier
from features.history.source import History
from features.matrix import FeatureBuilder
from features.settings import FeatureSettings
from features.usage import unused
from models.estimators.binned import BinnedRows
from models.estimators.count_data import CountData
from models.estimators.encoding import Encoding
from models.estimators.level_trend import at_newest_level
from models.estimators.maturity import Maturity, fit_maturity
from models.estimators.outcomes import Outcomes
from models.estimators.rate import RECIPES, Component, RateModel, Recipe, bin_rows, fit_component
from models.evaluation.backtest import OURS, Backtest, Progress, observe, run_backtest
from models.evaluation.skill import measure_skill
from models.learnt import Learnt
from models.scorer import Scorer, training_ranges
from models.training_facts import TrainingFacts
from models.uncertainty.interval import fit_intervals
from models.uncertainty.support import fit_support


@dataclass(frozen=True)
class TrainingSet:
    """What a model is made from: a matrix and the results of its rows, in the order of their start.

    spine: the collaborations (rows,) with the contract's columns. unused: reason by feature that is the same in every
    deal or never known.
    """

    matrix: pd.DataFrame
    spine: pd.DataFrame
    results: Outcomes
    unused: Mapping[str, str] = field(default_factory=dict)

    @property
    def creators(self) -> np.ndarray:
        """creator_id of every row (rows,)."""
        return self.spine.creator_id.to_numpy(object)

    @classmethod
    def from_history(
        cls,
        history: History,
        settings: FeatureSettings,
        classifier: CommentClassifier,
        progress: Progress | None = None,
        elsewhere: History | None = None,
    ) -> TrainingSet:
        """Build the features of all past collaborations, each as of its own start.

        elsewhere: the same history in the engine that makes the features, if that is another one.
        """
        table = history.collaborations
        spine = table.order_by("starts_at", "collaboration_id").to_pandas()
        daily = None if history.conversions is None else history.conversions.to_pandas()
        if daily is not None:
            daily = daily.assign(date=pd.to_datetime(daily.date))
        with FeatureBuilder(elsewhere or history, settings, classifier) as builder:
            matrix = builder.build(spine)
        if progress:
            progress("features", 1, 1)
        return cls(
            matrix,
            spine,
            Outcomes.from_tables(spine, daily, settings.attribution_days).with_kinds(matrix),
            unused(matrix, history.given),
        )


@dataclass(frozen=True)
class Trained:
    """A fitted scorer, the backtest that its choices come from, and what it was made from."""

    scorer: Scorer
    backtest: Backtest
    training: TrainingSet


def fit(
    training: TrainingSet,
    settings: FeatureSettings,
    classifier: CommentClassifier,
    *,
    seed: int = 0,
    recipes: Sequence[Recipe] = RECIPES,
    data: Mapping[str, str] | None = None,
    columns: Mapping[str, list[str]] | None = None,
    kept_out: Sequence[str] = (),
    jobs: int = 2,
    progress: Progress | None = None,
) -> Trained:
    """Backtest, then fit on all results with the choices that the backtest made. Same training and seed, same bytes.

    data, columns, kept_out: as `TrainingFacts` has them.
    """
    # several threads add in another order, and so in other last digits; folds run side by side anyway
    with threadpool_limits(1, "blas"):
        trained = _fit(training, settings, classifier, seed, recipes, jobs, progress)
    facts = trained.scorer.facts
    facts = replace(facts, data=dict(data or {}), columns=dict(columns or {}), kept_out=tuple(sorted(kept_out)))
    return replace(trained, scorer=replace(trained.scorer, facts=facts))


def _fit(
    training: TrainingSet,
    settings: FeatureSettings,
    classifier: CommentClassifier,
    seed: int,
    recipes: Sequence[Recipe],
    jobs: int,
    progress: Progress | None,
) -> Trained:
    results, matrix, creators = training.results, training.matrix, training.creators
    maturity = fit_maturity(results)
    backtest = run_backtest(
        matrix, creators, results, seed=seed, recipes=recipes, jobs=jobs, progress=progress, maturity=maturity
    )
    encoding = Encoding.fit(matrix, creators)
    count_data = at_newest_level(observe(matrix, creators, encoding, results, maturity), results.starts)
    rate = _fit_rate(count_data, backtest, recipes, seed, jobs)
    if progress:
        progress("model", 1, 1)
    rows = backtest.rows
    intervals = fit_intervals(
        (rows[OURS] * rows.exposure).to_numpy(float), rows.counts.to_numpy(float), rows.group.to_numpy(),
        rows.excess.to_numpy(float),
    )  # fmt: skip
    past = pd.DataFrame({"collaboration_id": results.identifiers.astype(str)})
    tested = rows.set_index("collaboration_id")[[OURS, "low", "high"]].set_axis(["rate", "low", "high"], axis=1)
    past = past.join(tested.astype(float), on="collaboration_id")
    scorer = Scorer(
        rate,
        encoding,
        intervals,
        fit_support(matrix, creators),
        maturity,
        settings,
        classifier,
        training_ranges(matrix, results.spend),
        _facts(training, backtest, rate, maturity, seed),
        past,
        Learnt.fit(matrix, training.spine, results.starts),
    )
    return Trained(scorer, backtest, training)


def _fit_rate(count_data: CountData, backtest: Backtest, recipes: Sequence[Recipe], seed: int, jobs: int) -> RateModel:
    """The recipes that the backtest gave a weight, on all rows; one rate for all where results are too few."""
    constant = float(np.log(count_data.level))
    if not count_data.enough or not backtest.weights.any() or not len(backtest.rows):
        return RateModel([], [], backtest.level_correction, constant)
    chosen = [(recipe, float(w)) for recipe, w in zip(recipes, backtest.weights, strict=True) if w > 0]
    spare: SimpleQueue[BinnedRows] = SimpleQueue()
    spare.put(binned := bin_rows(count_data, seed))
    for _ in range(1, jobs):
        spare.put(binned.copy())

    def fit_one(recipe: Recipe) -> Component:
        binned = spare.get()
        try:
            return fit_component(count_data, recipe, seed, binned)
        finally:
            spare.put(binned)

    components: list[Component] = Parallel(n_jobs=jobs, prefer="threads")(
        delayed(fit_one)(recipe) for recipe, _ in chosen
    )
    return RateModel(components, [w for _, w in chosen], backtest.level_correction, constant)


def _facts(training: TrainingSet, backtest: Backtest, rate: RateModel, maturity: Maturity, seed: int) -> TrainingFacts:
    results = training.results
    return TrainingFacts(
        seed=seed,
        results=len(results),
        conversions=float(results.counts.sum()),
        spend=float(results.spend.sum()),
        first_start=str(results.starts[0]),
        last_start=str(results.starts[-1]),
        maturity=maturity.source,
        recipes={c.recipe: w for c, w in zip(rate.components, rate.weights, strict=True)},
        cutoffs=backtest.cutoffs,
        skill=measure_skill(backtest),
    )
