"""When a new model takes the champion's place.

Both are judged on the same newest results, which neither had seen: those that came in since the champion was trained,
where they are enough (`models.registry.window`). The challenger is
promoted where it is better: its deviance is significantly lower, and no other figure is significantly worse. It is
also promoted where it is surely not worse and there is a reason to renew, results that the champion was not trained on:
then the interval of each difference must stay within a margin. A margin is what may be lost at most for newer data;
`benchmarks/gate.py` measures how often the gate errs with these.

Three things keep any challenger out. It has no skill, and the champion has. Its total on the newest results is off by
more than its own interval. Or there are too few results to compare. A person should look at the first two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import duckdb
import numpy as np
import pandas as pd

from features.history.source import History
from features.matrix import FeatureBuilder
from models.alarms import Alarm
from models.evaluation.backtest import OURS
from models.evaluation.paired import Comparison, Total, compare, total
from models.evaluation.skill import LEAST_T, Skill
from models.registry.window import LEAST_CREATORS, Window, level_errors, newest, pair, seen
from models.report.changed_ranks import LIST, changed_ranks
from models.scorer import Scorer
from models.training import Trained

LEAST_ROWS = 50
DEVIANCE_MARGIN = 0.05  # of the champion's deviance; noise of 0.2 on the log rate costs as much
VALUE_MARGIN = 0.05  # of what hindsight would have bought
CALIBRATION_MARGIN, COVERAGE_MARGIN = 0.1, 0.05  # of |log total| and of |coverage − 0.8|: beyond these, lists mislead
Promote = Literal["if-better", "never", "always"]
PROMOTE: tuple[Promote, ...] = get_args(Promote)
OVERRIDE = "to promote it all the same, train with --promote always"


@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, and why in words.

    alarms: what a person should look at. comparison: differences of the challenger from the champion on `rows` results,
    None where they could not be compared; left_out: results of the same time with no prediction of the champion's that
    was made without them. total: the challenger's on the newest results. by: who decided. changed:
    `models.report.changed_ranks.changed_ranks`, where both models could rank the newest deals.
    """

    promoted: bool
    why: str
    alarms: tuple[Alarm, ...] = ()
    comparison: Comparison | None = None
    rows: int = 0
    left_out: int = 0
    total: Total | None = None
    by: Literal["gate", "person"] = "gate"
    changed: pd.DataFrame | None = field(default=None, compare=False)

    @property
    def alarm(self) -> bool:
        """Whether a person should look."""
        return bool(self.alarms)

    def overruled(self, promote: Promote) -> Decision:
        """The decision that stands where a person has decided already; the gate's own finding is kept in its words."""
        if promote == "if-better":
            return self
        found = f"by itself the gate would {'' if self.promoted else 'not '}have promoted it: {self.why}"
        why = f"a person decided so (--promote {promote}); {found}"
        return replace(self, promoted=promote == "always", why=why, by="person")


def decide(
    trained: Trained, champion: Scorer | None, history: History, kept_out: Sequence[Scorer] | None = ()
) -> Decision:
    """Compare a challenger with the champion, each on the features that its own classifier and settings make.

    history: what the challenger was trained on. Where the champion's features cannot be made, it is scored on the
    challenger's, and the decision says so. kept_out: versions that a person took back in the champion's favour; what
    they were trained on is no reason to renew, and nothing is where they cannot be read (None).
    """
    if champion is None:
        return first(trained)
    matrix, mine = trained.training.matrix, trained.scorer
    alike = champion.settings == mine.settings and champion.classifier.fingerprint == mine.classifier.fingerprint
    rows = newest(trained.backtest)
    unseen = ~seen(champion, rows)
    if alike or not unseen.any():
        return judge(trained, champion, matrix, kept_out)
    at = rows.row.to_numpy(int)[unseen]
    features = "the champion's features made by its own classifier and settings"
    try:
        with FeatureBuilder(history, champion.settings, champion.classifier) as builder:
            matrix = builder.build(trained.training.spine.iloc[at]).set_axis(at)
    except duckdb.Error as error:
        features = f"the champion scored on the challenger's features, for its own cannot be made ({error})"
    decision = judge(trained, champion, matrix, kept_out)
    return replace(decision, why=f"{decision.why}; {features}")


def with_changes(decision: Decision, trained: Trained, champion: Scorer) -> Decision:
    """The decision, with what changes among the best of the newest deals, where the champion knows today's features."""
    training = trained.training
    try:
        changed = changed_ranks(trained.scorer, champion, training.matrix.tail(LIST), training.spine.tail(LIST))
    except ValueError:  # the verdict says which columns are missing
        return decision
    return replace(decision, changed=changed)


def first(trained: Trained) -> Decision:
    """The decision on a model that has no champion to be compared with: promoted, with what there is to say."""
    found = newest_total(trained)
    skill = trained.scorer.facts.skill
    without = "" if has_skill(skill) else "; it has no skill beyond a rule of thumb, but there is no other model"
    alarms = (_total_off(found, trained),) if found and found.off else ()
    return Decision(True, f"it is the first{without}", alarms, total=found)


def unopposed(trained: Trained, why: str, skilled: bool, alarms: tuple[Alarm, ...] = ()) -> Decision:
    """The decision on a challenger of a champion that can never predict again: promoted unless it must not be at all.

    skilled: whether the champion is known to have had skill. alarms: about the champion.
    """
    found = newest_total(trained)
    barred = _bars(trained, found, skilled)
    why = f"{why}, but {_barred_by(trained, found, skilled)}" if barred else why
    return Decision(not barred, why, (*alarms, *barred), total=found)


def judge(trained: Trained, champion: Scorer, matrix: pd.DataFrame, kept_out: Sequence[Scorer] | None = ()) -> Decision:
    """Compare out-of-sample predictions on the newest results.

    matrix: the champion's features of the rows that it never saw, by the backtest's positions (index). kept_out: as for
    `decide`.
    """
    try:
        champion.encoding.require(matrix)
    except ValueError as error:
        why = f"the champion cannot score today's features ({error})"
        return unopposed(trained, why, has_skill(champion.facts.skill))
    window = pair(newest(trained.backtest), champion, matrix)
    found, skilled = newest_total(trained), has_skill(champion.facts.skill)
    comparison = compared(window, trained.scorer.facts.seed)
    facts = Decision(False, "", (), comparison, len(window.rows), window.left_out, found)
    left_out = f"; {window.left_out} were left out" if window.left_out else ""
    barred = _bars(trained, found, skilled)
    if comparison is None:
        creators = window.rows.creator_id.nunique()
        why = _barred_by(trained, found, skilled) if barred else "too few results can be compared"
        why = f"{why}, {len(window.rows)} of {creators} creators{left_out}; {LEAST_ROWS} of {LEAST_CREATORS} are needed"
        return replace(facts, why=why, alarms=barred)
    reason = None if kept_out is None else renewal(trained, [champion, *kept_out])
    promoted, verdict = weigh(comparison, reason)
    if barred:
        promoted, verdict = False, _barred_by(trained, found, skilled)
    figures = "; ".join(f"{name} {difference}" for name, difference in comparison.items())
    judged = f"{len(window.rows)} results that neither had seen{left_out}"
    judged += ", all that came in since the champion was trained" if window.unseen else ""
    why = f"{verdict}, on the newest {judged} ({figures})"
    return replace(facts, promoted=promoted, why=why, alarms=barred)


def compared(window: Window, seed: int) -> Comparison | None:
    """The comparison of a window's predictions; None where there are too few."""
    if len(window.rows) < LEAST_ROWS or window.rows.creator_id.nunique() < LEAST_CREATORS:
        return None
    return compare(window.rows, window.challenger, window.champion, seed)


def weigh(comparison: Comparison, reason: str | None) -> tuple[bool, str]:
    """Whether a comparison is for the challenger, and the verdict in words. reason: to renew, if there is one."""
    deviance, value = comparison.deviance, comparison.value
    margin = DEVIANCE_MARGIN * deviance.second
    # a difference may be certain and yet too small to matter
    harm = {
        "deviance": deviance.low > 0 and deviance.high >= margin,
        "value": value.high < 0 and value.low <= -VALUE_MARGIN,
        "calibration": comparison.calibration.low > CALIBRATION_MARGIN,
        "coverage": comparison.coverage.low > COVERAGE_MARGIN,
    }
    if any(harm.values()):
        return False, f"it is significantly worse in {' and '.join(name for name in harm if harm[name])}"
    if deviance.high < 0:
        return True, "it is significantly better"
    if not (deviance.high < margin and value.low > -VALUE_MARGIN):
        return False, "it is neither better nor surely as good"
    if reason is None:
        return False, "it is as good, but there is no result that was not trained on before"
    return True, f"it is surely not worse, and {reason}"


def renewal(trained: Trained, known: Sequence[Scorer]) -> str | None:
    """A reason to renew: results that none of the models was trained on, or that have changed since.

    None where there is none.
    """
    before = np.concatenate([scorer.past.collaboration_id.to_numpy(object) for scorer in known])
    new = int((~np.isin(trained.training.results.identifiers.astype(str), before.astype(str))).sum())
    if new:
        return f"{new:,} results came in since"
    facts = trained.scorer.facts
    if all((facts.conversions, facts.spend) != (s.facts.conversions, s.facts.spend) for s in known):
        return "results have changed since"
    return None


def has_skill(skill: Skill) -> bool:
    """Whether a model tells deals apart better than every rule of thumb, as its sentence says."""
    return skill.results > 0 and skill.t > LEAST_T


def newest_total(trained: Trained) -> Total | None:
    """The challenger's total on the newest results; None where they are too few to judge it by."""
    rows = newest(trained.backtest, LEAST_ROWS)
    if len(rows) < LEAST_ROWS or rows.creator_id.nunique() < LEAST_CREATORS:
        return None
    errors = level_errors(trained.backtest, rows)
    return total(rows, rows[OURS].to_numpy(float), errors, trained.scorer.facts.seed)


def _bars(trained: Trained, found: Total | None, skilled: bool) -> tuple[Alarm, ...]:
    """What keeps a challenger out whatever the comparison says."""
    alarms = []
    if found and found.off:
        alarms.append(_total_off(found, trained))
    skill = trained.scorer.facts.skill
    if skilled and not has_skill(skill):
        alarms.append(
            Alarm(
                "gate",
                f"the new model has no skill (t = {skill.t:.1f}), and the champion has: most likely results are "
                "attached to the wrong deals, or tables or columns are missing that were there before. Compare the "
                f"newest data with what the champion was trained on; {OVERRIDE}.",
            )
        )
    return tuple(alarms)


def _barred_by(trained: Trained, found: Total | None, skilled: bool) -> str:
    reasons = []
    if found and found.off:
        reasons.append("its total on the newest results is off by more than its own interval")
    if skilled and not has_skill(trained.scorer.facts.skill):
        reasons.append("it has no skill, and the champion has")
    return " and ".join(reasons)


def _total_off(found: Total, trained: Trained) -> Alarm:
    rows = newest(trained.backtest, LEAST_ROWS)
    return Alarm(
        "gate",
        f"on the newest {len(rows):,} tested results the new model predicts {found.total:.3g} times the conversions "
        f"that came, beyond its own interval ({found.low:.3g} to {found.high:.3g}): most likely a slip of unit or "
        "currency in their spend or conversions, else a market that has changed at once. Check the newest results and "
        f"train again; {OVERRIDE}.",
    )
