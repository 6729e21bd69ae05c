"""The service's rows are those of the batch, to the bit: features looked up and computed, against `FeatureBuilder`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from features.catalogue import CATALOGUE
from features.families.feature import Feature
from features.history.contract import CANDIDATES
from features.history.source import open_history
from features.matrix import FeatureBuilder
from models.estimators.encoding import Encoding
from models.estimators.lines import Line
from models.estimators.mixed import MixedModel
from models.newest import snapshot_builder
from models.newest.assembler import FEW, NUMBER_TERMS, Assembler, Terms
from models.newest.snapshot import Snapshot
from service.api.app import make
from service.publish.parity import random_spine, terms_of
from service.variables import NO_AUTH, STATE
from tests.support.small_world import StubClassifier, Tables, small_world, write

ROWS = 3000
# all tables; none but the two that must be there
ABSENT: tuple[tuple[str, ...], ...] = ((), ("posts", "comments", "conversions"))


@pytest.fixture(scope="module", params=range(len(ABSENT)), ids=["whole", "bare"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """A small world's tables, a builder of its features, and the snapshot as a worker maps it."""
    tables: Tables = {k: v for k, v in small_world(request.param).items() if k not in ABSENT[request.param]}
    folder = tmp_path_factory.mktemp("world")
    with (
        open_history(write(tables, folder / "data"), threads=2) as history,
        FeatureBuilder(history, classifier=StubClassifier()) as builder,
    ):
        snapshot_builder.probe(builder).save(folder / "snapshot")
        yield tables, builder, Snapshot.load(folder / "snapshot")


@pytest.mark.slow
def test_rows_are_those_of_the_batch_to_the_bit(world: tuple[Tables, FeatureBuilder, Snapshot]) -> None:
    tables, builder, snapshot = world
    spine = random_spine(snapshot, builder.history, ROWS, seed=1)
    matrix = builder.build(spine)
    past = tables["spine"]
    encoding = Encoding.fit(builder.build(past), past.creator_id.to_numpy(object))
    assembler = Assembler(snapshot, encoding)
    found = assembler.assemble(terms_of(spine))
    expected = encoding.transform(matrix, spine.creator_id.to_numpy(object))
    for i, name in enumerate([*encoding.columns, "creator"]):
        np.testing.assert_array_equal(found.features[:, i], expected[:, i], err_msg=name)
    for name, values in assembler.values(found).items():
        pd.testing.assert_series_equal(pd.Series(values, name=name), matrix[name], check_exact=True, check_dtype=False)
    assert len(encoding.columns) > {6: 80, 3: 35}[len(tables)]
    one_by_one = [assembler.assemble(terms_of(spine[i : i + 1])).features for i in range(100)]
    np.testing.assert_array_equal(np.vstack(one_by_one), expected[:100])


def test_the_asked_rows_hold_every_edge(world: tuple[Tables, FeatureBuilder, Snapshot]) -> None:
    tables, builder, snapshot = world
    spine = random_spine(snapshot, builder.history, ROWS, seed=1)
    known = spine.creator_id.isin(tables["creators"].creator_id)
    starts = spine.starts_at.astype("datetime64[us]").astype("int64")
    assert 0.02 < (~known).mean() < 0.3
    assert spine.product_country.isna().any()
    assert spine.deliverables.isna().any()
    assert (starts == snapshot.horizon).any()
    assert (starts < snapshot.later).any()
    assert (starts >= snapshot.later).mean() > 0.3
    met = set(zip(tables["collaborations"].creator_id, tables["collaborations"].brand, strict=True))
    assert 0.2 < np.mean([pair in met for pair in zip(spine.creator_id, spine.brand, strict=True)]) < 0.9


def test_every_creator_is_found_and_no_other(world: tuple[Tables, FeatureBuilder, Snapshot]) -> None:
    tables, _, snapshot = world
    known = sorted(tables["creators"].creator_id)
    assert [snapshot.identifier(row) for row in snapshot.rows(known)] == known
    strangers = ["", "c", known[0] + "x", known[0][:-1], "\ud800", "nobody"]
    assert snapshot.rows(strangers).tolist() == [snapshot.unknown] * len(strangers)
    assert [snapshot.row(one) for one in strangers] == [snapshot.unknown] * len(strangers)


def test_block_by_block_the_arrays_are_the_same(
    world: tuple[Tables, FeatureBuilder, Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, builder, snapshot = world
    reported = list[tuple[int, int]]()
    monkeypatch.setattr(snapshot_builder, "AT_ONCE", 0)
    monkeypatch.setattr(snapshot_builder, "CHUNK", len(snapshot.creators) - 1)
    found = snapshot_builder.probe(builder, progress=lambda *of: reported.append(of))
    for one in dataclasses.fields(Snapshot):
        np.testing.assert_equal(getattr(found, one.name), getattr(snapshot, one.name), one.name)
    assert [done for done, _ in reported] == sorted({done for done, _ in reported})
    assert reported[0][0] == len(snapshot.creators) - 1
    assert {of for _, of in reported} == {reported[-1][0]}


def test_a_column_that_hangs_on_something_new_is_refused(
    world: tuple[Tables, FeatureBuilder, Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = Feature(
        name="moon", family="niche", entity="the moon", label="phase of the moon", unit="share", formula="", low=0,
        high=1, as_of="",
    )  # fmt: skip
    monkeypatch.setattr(snapshot_builder, "CATALOGUE", (*CATALOGUE, strange))
    with pytest.raises(ValueError, match=r"the columns \['moon'\]"):
        snapshot_builder.probe(world[1])
    encoding = Encoding(("spend", "moon"), {}, ())
    with pytest.raises(ValueError, match=r"\['moon'\]"):
        Assembler(world[2], encoding)


def test_a_worker_multiplies_in_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE, str(tmp_path))
    monkeypatch.setenv(NO_AUTH, "1")
    with threadpool_limits(2, "blas"):
        make()
        assert {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"} == {1}


def test_the_terms_are_the_columns_of_a_candidate() -> None:
    assert {*Terms.__dataclass_fields__, "candidate_id"} == set(CANDIDATES.columns)


def test_few_rows_have_the_numbers_of_many(world: tuple[Tables, FeatureBuilder, Snapshot]) -> None:
    _, builder, snapshot = world
    spine = random_spine(snapshot, builder.history, 2 * FEW, seed=2)
    spine.loc[0, ["deliverables", "spend"]] = 0.0  # the divisor that makes a ratio missing
    assembler = Assembler(snapshot, Encoding(NUMBER_TERMS, {}, ()))
    many = assembler.assemble(terms_of(spine)).features
    few = [assembler.assemble(terms_of(part)).features for part in (spine[:FEW], spine[FEW:])]
    np.testing.assert_array_equal(np.vstack(few), many)
    assert np.isnan(many[0]).any()


def test_no_rows_are_no_rows(world: tuple[Tables, FeatureBuilder, Snapshot]) -> None:
    none = np.empty(0)
    terms = Terms([], [], [], [], [], none.astype(np.int64), none, none, none)
    encoding = Encoding(("spend", "brand_deals", "creator_niche", "days_since_deal"), {"creator_niche": ()}, ())
    assert Assembler(world[2], encoding).assemble(terms).features.shape == (0, 5)


def test_lines_beside_each_other_are_those_one_by_one() -> None:
    rng = np.random.default_rng(3)
    values = np.column_stack([rng.lognormal(size=400), rng.normal(size=400), rng.integers(0, 3, 400), np.zeros(400)])
    values[rng.random(values.shape) < 0.2] = np.nan
    lines = tuple(line for i in range(4) if (line := Line.fit(i, values[:, i])))
    slopes = rng.normal(size=sum(1 + line.flagged for line in lines))
    nothing = np.zeros((0, 0))
    model = MixedModel(lines, slopes, {}, None, nothing, np.zeros(1), (0, 0), 0.5, 0.0)
    terms = [line.apply(values) for line in lines]
    parts = np.split(slopes, np.cumsum([term.shape[1] for term in terms])[:-1])
    expected = np.zeros((400, 4))
    for line, term, own in zip(lines, terms, parts, strict=True):
        for j in range(term.shape[1]):
            expected[:, line.column] += term[:, j] * own[j]
    rows = np.column_stack([values, np.zeros(400)])
    np.testing.assert_array_equal(model.contributions(rows), expected)
    np.testing.assert_array_equal(np.vstack([model.contributions(rows[i : i + 1]) for i in range(400)]), expected)
