"""A market in which engines could differ, and where two matrices of it do, or the scores that a model makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.catalogue import CATALOGUE, FAMILIES
from features.history.source import History
from features.matrix import FeatureBuilder
from features.settings import FeatureSettings
from models.estimators.outcomes import Outcomes
from models.estimators.rate import RECIPES
from models.training import TrainingSet, fit
from tests.support.small_world import StubClassifier, Tables, small_world

# units of which a number is exactly the same, or not at all
COUNTED = {"accounts", "posts", "comments", "deals", "brands", "0 or 1", "month", "day"}
Both = tuple[pd.DataFrame, pd.DataFrame]
Differences = dict[str, tuple[int, int, object, object]]
LEFT_OUT = [f"r{number}" for number in range(0, 300, 3)]


def tied_world() -> Tables:
    """A small market in which the latest posts of a creator are two of one moment, so that their ids decide: those that
    come later by their code points come first in a dictionary."""
    tables = small_world()
    posts = tables["posts"].sort_values(["creator_id", "posted_at"], ignore_index=True)
    place = posts.groupby("creator_id").cumcount(ascending=False)
    posts["posted_at"] = posts.posted_at.where((place % 2 == 0) | (place > 9), posts.posted_at.shift(-1))
    ids = dict(zip(posts.post_id, np.where(place % 2 == 0, "B", "a") + posts.post_id, strict=True))
    comments = tables["comments"]
    return tables | {
        "posts": posts.assign(post_id=posts.post_id.map(ids)),
        "comments": comments.assign(post_id=comments.post_id.map(ids)),
    }


def matrix(history: History, spine: pd.DataFrame) -> pd.DataFrame:
    """The features of a spine."""
    with FeatureBuilder(history, classifier=StubClassifier()) as builder:
        return builder.build(spine)


def both(here: History, there: History, spine: pd.DataFrame) -> dict[str, Both]:
    """The matrix by two engines: of the whole market, and without a third of its results."""
    less = here.without(LEFT_OUT), there.without(LEFT_OUT)
    return {
        "whole": (matrix(here, spine), matrix(there, spine)),
        "less": (matrix(less[0], spine), matrix(less[1], spine)),
    }


def differences(matrices: Both, family: str) -> Differences:
    """By column of a family, how many rows differ, the first of them, and what each engine has there: categories and
    counts at all, other numbers by more than 1e-12 of theirs."""
    here, there = matrices
    found = {}
    for feature in (feature for feature in CATALOGUE if feature.family == family):
        ours, theirs = here[feature.name], there[feature.name]
        agree = (ours.isna() & theirs.isna()) | (ours == theirs)
        if feature.kind == "number" and feature.unit not in COUNTED:
            agree |= np.isclose(ours.to_numpy(), theirs.to_numpy(), rtol=1e-12, atol=0)
        if not agree.all():
            first = int(np.flatnonzero(~agree)[0])
            found[feature.name] = (int((~agree).sum()), first, ours[first], theirs[first])
    return found


def all_differences(here: pd.DataFrame, there: pd.DataFrame) -> Differences:
    """Those of every family."""
    return {name: found for family in FAMILIES for name, found in differences((here, there), family).items()}


def scores(tables: Tables, matrices: Both) -> Both:
    """The scores of both matrices of the spine, whose first rows are the collaborations, by one small model: it learnt
    from the first matrix."""
    settings, deals = FeatureSettings(), tables["collaborations"]
    order = deals.sort_values(["starts_at", "collaboration_id"]).index
    features, deals = (frame.loc[order].reset_index(drop=True) for frame in (matrices[0], deals))
    daily = tables["conversions"].assign(date=lambda t: pd.to_datetime(t.date))
    results = Outcomes.from_tables(deals, daily, settings.attribution_days).with_kinds(features)
    training = TrainingSet(features, deals, results)
    scorer = fit(training, settings, StubClassifier(), recipes=RECIPES[:1], jobs=1).scorer
    return scorer.score(matrices[0], tables["spine"]), scorer.score(matrices[1], tables["spine"])
