"""What is logged to MLflow of a training.

- params: seed, results, recipes, maturity, features (number), tier_bounds, attribution_days
- tags: data.TABLE (fingerprint of each table), comment_classifier (fingerprint), skill (a sentence), promoted (why),
  alarm (why a person should look, if one should), process (what names the training process)
- metrics: MODEL.skill, .rank, .value, .total over all folds, the same with .by_fold at the end with step = fold, for
  MODEL in ours, one_rate, price_only, own_record, poisson_regression; ours.coverage, ours.width; coverage.TIER; skill_t
  (t of the skill); level_correction; budget.CHOICE (conversions for a tenth of the money over another choice's), the
  ends of its interval with .low and .high; claim.NAME (adjusted factor), the same
- artefacts: model_card.md (the full report), plots/NAME.png (importance, calibration, lift, budget, claims, speed),
  backtest.csv, environment.txt (Python and packages)
- nested runs "fold 0", "fold 1", …: params cutoff and results, metrics MODEL.NAME and recipe.RECIPE.NAME

`models.registry.promotion` sets the tags promoted and alarm and makes the model available, when all of this is there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.entities import Run as RunEntity

from features.secrets import mask
from models.alarms import Alarm, Source
from models.evaluation.backtest import Backtest
from models.evaluation.metrics import measure
from models.evaluation.skill import skill_sentence
from models.registry.gate import Decision
from models.registry.processes import TAG
from models.registry.store_faults import guarded
from models.report import model_card, summary
from models.studies.budget_study import Bought
from models.studies.effects import Effect

INTAKE = "intake.json"
ALARM, LONGEST_TAG = "alarm", 5_000
NAMES = ("skill", "rank", "value", "total", "coverage", "width")


@guarded
def log_intake(client: MlflowClient, run: str, intake: dict[str, Any]) -> None:
    """Keep what the door found."""
    client.log_dict(run, intake, INTAKE)


@guarded
def log_alarms(client: MlflowClient, run: str, alarms: Sequence[Alarm]) -> None:
    """Tag a run with what a person should look at, by source."""
    for source in dict.fromkeys(alarm.source for alarm in alarms):
        text = "; ".join(alarm.sentence for alarm in alarms if alarm.source == source)
        client.set_tag(run, f"{ALARM}.{source}", mask(text)[:LONGEST_TAG])


def alarms_of(run: RunEntity) -> tuple[Alarm, ...]:
    """What `log_alarms` and the gate have tagged a run with."""
    found = []
    for source in get_args(Source):
        text = run.data.tags.get(f"{ALARM}.{source}") or (run.data.tags.get(ALARM) if source == "gate" else None)
        found += [Alarm(source, text)] if text else []
    return tuple(found)


@guarded
def log_run(
    client: MlflowClient, run: str, found: summary.Report, fingerprint: Mapping[str, str], decision: Decision
) -> None:
    """Log a training to its run, and its folds to runs of their own below it."""
    scorer, backtest = found.trained.scorer, found.trained.backtest
    facts = scorer.facts
    params: dict[str, Any] = {k: getattr(facts, k) for k in ("seed", "results", "maturity", "recipes")}
    params |= {"features": len(scorer.encoding.columns)} | scorer.settings.to_dict()
    tags = {f"data.{k}": v for k, v in fingerprint.items()}
    tags |= {"comment_classifier": scorer.classifier.fingerprint, "skill": skill_sentence(facts.skill)}
    now = int(time.time() * 1000)
    metrics = [Metric(k, v, now, step) for k, v, step in _metrics(found) if np.isfinite(v)]
    client.log_batch(
        run,
        metrics,
        [Param(k, mask(str(v))) for k, v in params.items()],
        [RunTag(k, mask(v)) for k, v in tags.items()],
    )
    client.log_text(run, model_card.model_card(found, decision.alarms), model_card.FILE)
    client.log_text(run, backtest.rows.to_csv(index=False), "backtest.csv")
    for file, figure in summary.plots(found).items():
        client.log_figure(run, figure, f"plots/{file}")
    _log_folds(client, run, backtest)


def _log_folds(client: MlflowClient, parent: str, backtest: Backtest) -> None:
    whole = client.get_run(parent)
    tags = {name: whole.data.tags[name] for name in ("mlflow.user", TAG) if name in whole.data.tags}
    tags["mlflow.parentRunId"] = parent
    figures = backtest.figures()
    for number, cutoff in enumerate(backtest.cutoffs):
        rows = backtest.rows[backtest.rows.fold == number]
        metrics = {
            f"{row['model']}.{name}": float(row[name])
            for row in figures[figures.fold == str(number)].to_dict("records")
            for name in NAMES
        }
        counts, exposure = rows.counts.to_numpy(float), rows.exposure.to_numpy(float)
        for recipe in (str(name).removeprefix("d_") for name in rows if str(name).startswith("d_")):
            rate = np.exp((rows[f"c_{recipe}"] + rows[f"d_{recipe}"]).to_numpy(float))
            metrics |= {f"recipe.{recipe}.{name}": value for name, value in measure(rate, counts, exposure).items()}
        run = client.create_run(whole.info.experiment_id, whole.info.start_time, tags, f"fold {number}").info.run_id
        now = int(time.time() * 1000)
        logged = [Metric(name, value, now, 0) for name, value in metrics.items() if np.isfinite(value)]
        client.log_batch(run, logged, [Param("cutoff", cutoff), Param("results", str(len(rows)))])
        client.set_terminated(run, "FINISHED")


def _metrics(found: summary.Report) -> list[tuple[str, float, int]]:
    backtest = found.trained.backtest
    out = [("skill_t", found.trained.scorer.facts.skill.t, 0), ("level_correction", backtest.level_correction, 0)]
    for row in backtest.figures().to_dict("records"):
        step, end = (0, "") if row["fold"] == "all" else (int(row["fold"]), ".by_fold")
        out += [(f"{row['model']}.{name}{end}", float(row[name]), step) for name in NAMES]
    out += [(f"coverage.{tier}", share, 0) for tier, (share, _) in backtest.coverage_by_group().items()]
    factors: dict[str, Bought | Effect] = {
        f"budget.{b.choice}": b for b in found.bought if b.share == summary.SHARES[0]
    }
    factors |= {f"claim.{f.claim.name}": f.adjusted for f in found.claims.tests if f.adjusted}
    ends = {"": "factor", ".low": "low", ".high": "high"}
    return out + [(name + end, getattr(f, kind), 0) for name, f in factors.items() for end, kind in ends.items()]
