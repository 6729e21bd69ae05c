"""What is logged to MLflow of a training.

- name: the day of the newest result, how many results, and the skill
- params: seed, results, recipes, maturity, features (number), tier_bounds, attribution_days; RECIPE.SETTING, the
  settings of LightGBM that each recipe of the model was fitted with, and RECIPE.trees (number)
- tags: data.TABLE (fingerprint of each table), comment_classifier (fingerprint), skill (a sentence), promoted (why),
  alarm.SOURCE (why a person should look, if one should), kept_out (how many results it kept out), kept_out.rows
  (digest of their ids), process (what names the training process); MLflow's own for the description, user, program
  and commit
- datasets: each table with its place and fingerprint (`models.registry.lineage`)
- metrics: skill, rank, value, total, coverage, width of the model over all folds, skill_t (t of the skill),
  level_correction; MODEL/skill, /rank, /value, /total of each baseline; folds/MODEL.skill and so on with step = fold;
  coverage/TIER; budget/CHOICE (conversions for a tenth of the money over another choice's), the ends of its interval
  with .low and .high; claim/NAME (adjusted factor), the same
- artefacts: model_card.md (the full report), plots/NAME.png (importance, calibration, lift, budget, claims, speed),
  changed_ranks.csv (newest deals that are among the best by the new model or the champion alone), backtest.csv,
  environment.txt (Python and packages)
- nested runs "fold 0", "fold 1", …: params cutoff and results, metrics MODEL.NAME and recipe.RECIPE.NAME

`models.registry.promotion` sets the tags promoted and alarm and makes the model available, when all of this is there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Metric, Param, RunTag
from mlflow.entities import Run as RunEntity
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from features.secrets import mask
from models.alarms import Alarm, Source
from models.estimators.rate import Trees
from models.evaluation.backtest import OURS, Backtest
from models.evaluation.metrics import measure
from models.evaluation.skill import skill_sentence
from models.registry.gate import Decision
from models.registry.processes import TAG
from models.registry.registry import FIGURES
from models.registry.store_faults import guarded
from models.report import model_card, summary
from models.scorer import Scorer
from models.studies.budget_study import Bought
from models.studies.effects import Effect
from models.training_facts import TrainingFacts

INTAKE = "intake.json"
ALARM, LONGEST_TAG = "alarm", 5_000
# of LightGBM, as its text of a model has them
SETTINGS = (
    "objective", "learning_rate", "num_leaves", "max_depth", "min_data_in_leaf", "lambda_l1", "lambda_l2",
    "feature_fraction", "bagging_fraction", "bagging_freq", "max_bin", "seed",
)  # fmt: skip
_SETTING = re.compile(r"^\[(\w+): (.*)\]$", re.MULTILINE)


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
    client: MlflowClient,
    run: str,
    found: summary.Report,
    fingerprint: Mapping[str, str],
    decision: Decision,
    inputs: Sequence[DatasetInput] = (),
) -> None:
    """Log a training to its run, and its folds to runs of their own below it."""
    scorer, backtest = found.trained.scorer, found.trained.backtest
    facts = scorer.facts
    sentence = skill_sentence(facts.skill)
    tags = {f"data.{k}": v for k, v in fingerprint.items()}
    tags |= {"comment_classifier": scorer.classifier.fingerprint, "skill": sentence, MLFLOW_RUN_NOTE: sentence}
    now = int(time.time() * 1000)
    metrics = [Metric(k, v, now, step) for k, v, step in _metrics(found) if np.isfinite(v)]
    client.log_batch(
        run,
        metrics,
        [Param(k, mask(str(v))) for k, v in _params(scorer).items()],
        [RunTag(k, mask(v)) for k, v in tags.items()],
    )
    client.update_run(run, name=run_name(facts, {metric.key: metric.value for metric in metrics}.get("skill")))
    if inputs:
        client.log_inputs(run, inputs)
    client.log_text(run, model_card.model_card(found, decision.alarms, decision.changed), model_card.FILE)
    client.log_text(run, backtest.rows.to_csv(index=False), "backtest.csv")
    if decision.changed is not None:
        client.log_text(run, decision.changed.to_csv(index=False), "changed_ranks.csv")
    for file, figure in summary.plots(found).items():
        client.log_figure(run, figure, f"plots/{file}")
    _log_folds(client, run, backtest)


def run_name(facts: TrainingFacts, skill: float | None) -> str:
    """What a training is called among others: the day of its newest result, how many results, its skill."""
    known = "no backtest" if skill is None else f"skill {skill:.2f} (t = {facts.skill.t:.1f})"
    return f"{facts.last_start[:10]}, {facts.results:,} results, {known}"


def _params(scorer: Scorer) -> dict[str, Any]:
    params: dict[str, Any] = {k: getattr(scorer.facts, k) for k in ("seed", "results", "maturity", "recipes")}
    params |= {"features": len(scorer.encoding.columns)} | scorer.settings.to_dict()
    for component in scorer.rate.components:
        if isinstance(component, Trees):
            found = {name: text for name, text in _SETTING.findall(component.text) if name in SETTINGS}
            params |= {f"{component.recipe}.{name}": text for name, text in found.items()}
            params[f"{component.recipe}.trees"] = component.booster.num_trees()
    return params


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
            for name in FIGURES
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
        if row["fold"] != "all":
            out += [(f"folds/{row['model']}.{name}", float(row[name]), int(row["fold"])) for name in FIGURES]
        else:
            above = "" if row["model"] == OURS else f"{row['model']}/"
            out += [(f"{above}{name}", float(row[name]), 0) for name in FIGURES]
    out += [(f"coverage/{tier}", share, 0) for tier, (share, _) in backtest.coverage_by_group().items()]
    factors: dict[str, Bought | Effect] = {
        f"budget/{b.choice}": b for b in found.bought if b.share == summary.SHARES[0]
    }
    factors |= {f"claim/{f.claim.name}": f.adjusted for f in found.claims.tests if f.adjusted}
    ends = {"": "factor", ".low": "low", ".high": "high"}
    return out + [(name + end, getattr(f, kind), 0) for name, f in factors.items() for end, kind in ends.items()]
