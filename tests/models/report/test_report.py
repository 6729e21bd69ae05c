"""The report of a training: what a budget would have bought, figures by part, the card, the plots, the summary."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import train
from features.comment_classifier.classifier import CommentClassifier
from features.history.source import open_history
from features.settings import FeatureSettings
from models.evaluation.metrics import measure
from models.evaluation.skill import measure_skill, skill_sentence
from models.report import summary
from models.report.model_card import model_card
from models.report.summary import Report
from models.studies.budget_study import AVERAGE, SHARES, Bought, compared_rows
from models.studies.claim_tests import HOLDS
from models.training import TrainingSet, fit
from tests.support.past_market import fitted, spine
from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def found() -> Report:
    """The report of a model of 300 results."""
    return summary.study(fitted(spine(300)))


@pytest.mark.slow
def test_a_creator_is_seen_where_a_result_of_theirs_was_known_at_the_cut_off(found: Report) -> None:
    trained = found.trained
    results, creators = trained.training.results, trained.training.creators
    for row in found.rows.itertuples():
        cutoff = np.datetime64(trained.backtest.cutoffs[int(str(row.fold))])
        earlier = (creators == row.creator_id) & (results.starts < cutoff) & (results.known <= cutoff)
        noughts = (creators == row.creator_id) & (results.starts < cutoff) & (results.counts == 0)
        assert row.seen == (earlier | noughts).any()
    assert 0 < found.rows.seen.mean() < 1
    assert found.rows.came.to_numpy() == pytest.approx(results.counts[found.rows.row.to_numpy(int)])


@pytest.mark.slow
def test_figures_by_part_are_those_of_the_part_alone(found: Report) -> None:
    rows = found.rows
    card = model_card(found)
    for name, part in {"nano": rows[rows.group == "nano"], "seen": rows[rows.seen]}.items():
        figures = measure(part.ours.to_numpy(), part.counts.to_numpy(), part.exposure.to_numpy())
        line = next(line for line in card.splitlines() if line.startswith(f"| {name} | this model |"))
        assert line.startswith(
            f"| {name} | this model | {len(part)} | {figures['skill']:.3f} | {figures['rank']:.3f} |"
        )
    assert f"| unseen | one rate for all | {(~rows.seen).sum()} |" in card
    assert "| unknown | this model |" in card, "a platform that is not known is a part, too"


@pytest.mark.slow
def test_the_card_has_all_parts_and_plots_have_their_axes(found: Report) -> None:
    card = model_card(found)
    titles = [line[3:] for line in card.splitlines() if line.startswith("## ")]
    assert titles == [
        "What the same money would have bought", "Backtest in time", "By tier, platform, and known creators",
        "What the articles claim", "Features", "Limits",
    ]  # fmt: skip
    assert "Not compared, because no deal has the data: the largest accounts, the highest engagement." in card
    assert "- Comments of substance bring more; Talk of buying brings more: it needs the comments' texts." in card
    assert "micro 10,000, mid 100,000, macro 500,000, mega 1,000,000." in card
    assert len(found.claims.tests) == card.count("**") / 2 + sum(
        test.verdict == "cannot be tested" for test in found.claims.tests
    )
    plots = summary.plots(found)
    assert set(plots) == {"importance.png", "calibration.png", "lift.png", "budget.png", "claims.png"}
    for figure in plots.values():
        assert figure.get_suptitle()
        assert all(axes.get_xlabel() for axes in figure.axes)
    assert model_card(summary.study(found.trained)) == card


@pytest.mark.slow
@pytest.mark.parametrize("rows", [2, 30])
def test_few_results_make_a_report_that_says_how_little_is_known(rows: int) -> None:
    frame = spine(rows)
    frame["conversions"] = np.maximum(frame.conversions, 1)
    few = summary.study(fitted(frame))
    card = model_card(few)
    assert card.startswith("No skill")
    assert "are too few for intervals" in summary.budget_line(few.bought) or "too few results" in card
    assert rows == 2 or "So few prove little." in card.splitlines()[0]
    assert few.claims.tested == 0
    assert "0 of 18 claims could be compared" in card
    for figure in summary.plots(few).values():
        figure.draw_without_rendering()


@pytest.mark.slow
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_no_plot_divides_conversions_that_never_came() -> None:
    frame = spine(60)
    frame.loc[30:, "conversions"] = 0
    shown = summary.plots(summary.study(fitted(frame)))
    assert "calibration.png" in shown
    assert "lift.png" not in shown


def test_the_summary_is_short_and_begins_with_the_skill(found: Report, capsys: pytest.CaptureFixture[str]) -> None:
    train.print_summary(found, 12.3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == skill_sentence(measure_skill(found.trained.backtest))
    assert lines[2].split() == ["model", "results", "skill", "rank", "value", "total", "coverage", "width"]
    assert lines[-2].startswith("Conversions for 10 % of the money, against the deals as they were made ×")
    assert lines[-1] == "the full report is the run's artefact model_card.md; claims of the articles tested: 1"
    assert len(lines) == 12


def test_features_that_are_not_in_use_are_named_with_the_reason(
    found: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    why = {"spam_share": "no table comments", "saves_per_like": "no column posts.saves"}
    unused = why | {"comments_seen": "no table comments"}
    training = replace(found.trained.training, unused=unused)
    report = replace(found, trained=replace(found.trained, training=training))
    lines = ["no table comments: spam_share, comments_seen", "no column posts.saves: saves_per_like"]
    assert "\n".join(["Not in use here:", "", *(f"- {line}." for line in lines)]) in model_card(report)
    train.print_summary(report, 1.0)
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.startswith("not in use, ")] == [f"not in use, {line}" for line in lines]


def test_a_sure_and_an_unsure_difference_are_told_apart(found: Report) -> None:
    sure = Bought(AVERAGE, 0.1, 100, 50, 40.0, 20.0, 2.0, 1.5, 2.5)
    figures = [sure, replace(sure, low=0.9), replace(sure, factor=0.5, low=0.3, high=0.8)]
    card = model_card(replace(found, bought=figures))
    lines = [line for line in card.splitlines() if line.startswith("| 10 % |")]
    assert [line.split(" | ")[-1] for line in lines] == ["more |", "no significant difference |", "fewer |"]


def test_where_orders_do_not_depend_on_who_promotes_no_skill_is_claimed(shared_data: Path, tmp_path: Path) -> None:
    if not (shared_data / "healthkart").is_dir():
        pytest.skip("needs the export healthkart")
    data = tmp_path / "data"
    shutil.copytree(EXAMPLES / "healthkart" / "data", data, ignore=shutil.ignore_patterns("export"))
    (data / "export").symlink_to((shared_data / "healthkart").resolve())
    settings, classifier = FeatureSettings(), CommentClassifier.load()
    with open_history(str(data)) as history:
        training = TrainingSet.from_history(history, settings, classifier)
    null = summary.study(fit(training, settings, classifier))
    assert model_card(null).startswith("No skill beyond")
    simple = [b for b in null.bought if b.choice in ("price_only", "own_record")]
    assert len(simple) == 2 * len(SHARES)
    assert all(b.low < 1 for b in simple)
    assert null.claims.tested >= 3
    assert HOLDS not in {test.verdict for test in null.claims.tests}


def test_compared_rows_without_a_backtest_are_none() -> None:
    assert not len(compared_rows(fitted(spine(2))))
