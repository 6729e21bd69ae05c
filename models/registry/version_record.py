"""What is written on a version about its promotion: tags and description, for people and for the next training.

- promoted: "yes: …" or "no: …", decided_by: gate or person, alarm: what to look at
- skill: the sentence, total: the total on the newest results, gate.FIGURE: both models' and the difference
- champion_before: the version that was champion when this one was promoted, NONE where there was none. It is written
  before the alias, champion_since (UTC) after it: where only the first is there, a promotion was cut off
- rolled_back: when, by whom, to which version and why. It is written before the alias, too: where the champion itself
  has it, a rollback was cut off
- rolled_back_from: on the champion that was put back, the version that it replaced

The registered model itself has the tag `promotion`, JSON of the last promotion or rollback: version, before, at, by. A
program may look at it; an MLflow server also sends its webhooks for the alias (`model_version_alias.created`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from mlflow import MlflowClient

from features.secrets import mask
from models.registry.gate import Decision
from models.registry.store_faults import insist

PROMOTED, DECIDED_BY, ALARM = "promoted", "decided_by", "alarm"
BEFORE, SINCE, NONE = "champion_before", "champion_since", "none"
ROLLED_BACK, ROLLED_BACK_FROM = "rolled_back", "rolled_back_from"
PROMOTION = "promotion"


def outcome(decision: Decision) -> str:
    """The decision as the tag `promoted` has it."""
    return mask(f"{'yes' if decision.promoted else 'no'}: {decision.why}")


def alarm(decision: Decision) -> str:
    """All alarms as one tag; empty where there are none."""
    return mask("; ".join(map(str, decision.alarms)))


def write_decision(client: MlflowClient, name: str, version: str, decision: Decision, skill: str) -> None:
    """Tags and description of a version about which was decided. skill: its sentence."""
    tags = {PROMOTED: outcome(decision), DECIDED_BY: decision.by, ALARM: alarm(decision), "skill": skill}
    if decision.total:
        found = decision.total
        tags["total"] = f"{found.total:.3g} ({found.low:.3g} to {found.high:.3g})"
    if decision.comparison:
        tags |= {f"gate.{figure}": str(difference) for figure, difference in decision.comparison.items()}
    for key, text in tags.items():
        if text:
            client.set_model_version_tag(name, version, key, text)
    client.update_model_version(name, version, describe(decision, skill))


def describe(decision: Decision, skill: str) -> str:
    """The description of a version, in Markdown."""
    head = "Promoted" if decision.promoted else "Not promoted"
    lines = [skill, "", f"**{head}**: {decision.why.partition(' (deviance ')[0]}."]
    lines += [line for one in decision.alarms for line in ("", f"**Alarm**: {one}")]
    if decision.comparison:
        lines += ["", "| figure | this version | the champion | difference | 95 % |", "|---|---|---|---|---|"]
        for figure, d in decision.comparison.items():
            ends = f"{d.low:+.3f} to {d.high:+.3f}"
            lines.append(f"| {figure} | {d.first:.3f} | {d.second:.3f} | {d.difference:+.3f} | {ends} |")
    return mask("\n".join(lines))


def announce(client: MlflowClient, name: str, version: str, before: str | None, now: datetime, by: str) -> None:
    """Write that a version has become champion, after it has."""
    at = stamp(now)
    client.set_model_version_tag(name, version, SINCE, at)
    facts = {"version": version, "before": before, "at": at, "by": by}
    insist(client.set_registered_model_tag, name, PROMOTION, json.dumps(facts))


def announced(client: MlflowClient, name: str) -> str | None:
    """The version that was announced last; None where none was, or the tag was changed by hand."""
    try:
        facts = json.loads(client.get_registered_model(name).tags.get(PROMOTION, "{}"))
        return str(facts["version"])
    except (ValueError, KeyError, TypeError):
        return None


def stamp(now: datetime) -> str:
    """A moment in UTC, to the second."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
