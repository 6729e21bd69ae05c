"""The model card: the full report of a training in Markdown."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from features.catalogue import BY_NAME
from features.settings import TIERS
from features.usage import in_words
from models.alarms import Alarm
from models.evaluation.skill import skill_sentence
from models.report.changed_ranks import BEST, MEANING
from models.report.changed_ranks import lines as changed_lines
from models.report.summary import Report, budget_line, factor, figures_table, importance, unlike
from models.studies.budget_study import CHOICES
from models.studies.claim_tests import MATERIAL, UNTESTED, WITHIN_DAYS, ClaimTest

FILE = "model_card.md"
FIGURES = (
    "A fold is tested with choices from earlier folds alone. skill: share of the Poisson deviance explained against "
    "one rate known in hindsight; rank: Spearman with the realised rate; value: conversions bought with a tenth of the "
    "money, over those of hindsight; total: predicted over realised."
)
MOVES = (
    "Mean factor by which a feature moves a score, up or down. It says how the model works, not what causes "
    "conversions."
)
LIMITS = (
    "Results come from creators that were hired, so little is known of those unlike them. Scores beyond the training "
    "range carry a warning, and so do those unlike all results, whose intervals are wider."
)
BUDGET = (
    "In each fold deals are taken from the best on until a share of the fold's money is spent. All choices are among "
    "the deals that were made, for the same money; *the deals as they were made* spends it evenly on all of them. "
    "Intervals (95 %) resample creators 500 times."
)
CLAIMS = (
    "Each claim of the articles is a question to these results. *Unadjusted*: the factor on conversions per dollar "
    "between the two sides. *Adjusted*: the same with platform, niches, country, objective, brand and quarter held "
    "equal, and, where the claim is not about size, price, followers, promotion length and deliverables too. Intervals "
    "(95 %) are those of each claim alone, for counts over-dispersed and alike within a creator; a verdict either way "
    "needs significance after correction for all tests (Holm). A claim also fails where a factor of "
    f"{MATERIAL:g} or more is ruled out. It is a comparison of what was hired, not an experiment: what is neither in "
    "the data nor held equal may lie behind a difference."
)
PARTS = (
    "Each part is compared with one rate known in hindsight for that part. *Seen*: a result of the creator was known."
)


def model_card(report: Report, alarms: Sequence[Alarm] = (), changed: pd.DataFrame | None = None) -> str:
    """The model card in Markdown: what the model is worth, what it was made from, what it uses.

    alarms: why a person should look at this training, if one should; they come first. changed: `changed_ranks` against
    the champion, None where no champion could rank the newest deals.
    """
    trained = report.trained
    facts, backtest = trained.scorer.facts, trained.backtest
    used = [["feature", "family", "what it is", "unit", "mean factor"]]
    for name, moved in importance(trained).items():
        f = BY_NAME.get(str(name))
        used.append([str(name), *([f.family, f.label, f.unit] if f else ["", "", ""]), f"{moved:.3f}"])
    recipes = ", ".join(f"{k} {w:.2f}" for k, w in facts.recipes.items()) or "none: one rate for all"
    made = (
        f"Predicts conversions per dollar of a creator's collaboration. Trained on {facts.results:,} results "
        f"({facts.conversions:,.0f} conversions for {facts.spend:,.0f} dollars) that started from "
        f"{facts.first_start[:10]} to {facts.last_start[:10]}; seed {facts.seed}."
    )
    choices = [
        f"- Blend of recipes, weights on the log scale: {recipes}.",
        f"- Late conversions: {facts.maturity}.",
        f"- Level set by recent results: × {np.exp(trained.scorer.rate.level_correction):.3f}.",
    ]
    proof = f"Cut-offs: {', '.join(backtest.cutoffs) or 'none'}. {FIGURES}"
    sections = {
        "What the same money would have bought": _budget(report),
        "Backtest in time": [proof, "", *markdown_table(figures_table(backtest.figures()))],
        **({f"What changes among the best {BEST}": _changed(changed)} if changed is not None else {}),
        "By tier, platform, and known creators": _parts(report),
        "What the articles claim": _claims(report),
        "Features": [MOVES, "", *markdown_table(used), *_unused(report)],
        "Limits": [LIMITS, "", unlike(backtest)],
    }
    first = [line for alarm in alarms for line in (f"**Alarm**: {alarm}", "")]
    lines = [*first, skill_sentence(facts.skill), "", "# Model card", "", made, "", *choices, ""]
    for title, content in sections.items():
        lines += [f"## {title}", "", *content, ""]
    return "\n".join(lines)


def _changed(changed: pd.DataFrame) -> list[str]:
    meaning = MEANING.format_map(changed.attrs)
    return [meaning, *(["", *markdown_table(changed_lines(changed))] if len(changed) else [])]


def markdown_table(cells: list[list[str]]) -> list[str]:
    """Lines of a table, its header first."""
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return [lines[0], "|" + "---|" * len(cells[0]), *lines[1:]]


def _unused(report: Report) -> list[str]:
    """The features that cannot tell one deal from another here."""
    lines = [f"- {line}." for line in in_words(report.trained.training.unused)]
    return ["", "Not in use here:", "", *lines] if lines else []


def _budget(report: Report) -> list[str]:
    if not report.bought:
        return [budget_line(report.bought)]
    cells = [["share of the money", "against", "its conversions", "ours", "times as many (95 %)", "result"]]
    for b in report.bought:
        result = "more" if b.low > 1 else "fewer" if b.high < 1 else "no significant difference"
        result = result if np.isfinite(b.low) else "too few creators"
        cells.append(
            [f"{b.share * 100:g} %", CHOICES[b.choice], f"{b.theirs:,.0f}", f"{b.ours:,.0f}", factor(b), result]
        )
    first = report.bought[0]
    lines = [BUDGET, f"{first.deals:,} deals of {first.creators:,} creators were compared.", "", *markdown_table(cells)]
    missing = [words for name, words in CHOICES.items() if name not in {b.choice for b in report.bought}]
    return lines + ([f"\nNot compared, because no deal has the data: {', '.join(missing)}."] if missing else [])


def _parts(report: Report) -> list[str]:
    """The backtest's figures by tier, by platform, and by whether the creator was known."""
    rows = report.rows
    tiers = [t for t in (*TIERS, *sorted(set(rows.group) - set(TIERS))) if (rows.group == t).any()]
    by = {
        "tier": pd.Series(pd.Categorical(rows.group, tiers), rows.index),
        "platform": rows.platform,
        "creator": pd.Series(np.where(rows.seen, "seen", "unseen"), rows.index),
    }
    lines = [PARTS]
    for name, part in by.items():
        table = report.trained.backtest.figures(part)
        lines += ["", *markdown_table(figures_table(table[table.fold != "all"], name))]
    return lines


def _claims(report: Report) -> list[str]:
    found = report.claims
    bounds = zip(TIERS[1:], report.trained.scorer.settings.tier_bounds, strict=True)
    cells = [["claim", "compared", "unadjusted", "adjusted", "results", "creators", "verdict"]]
    cells += [_claim_row(test) for test in found.tests if test.verdict != UNTESTED]
    lines = [f"{found.tested} of {len(found.tests)} claims could be compared. {CLAIMS}"]
    lines += ["", f"Tiers begin at so many followers: {', '.join(f'{tier} {bound:,}' for tier, bound in bounds)}."]
    if len(cells) > 1:
        lines += ["", *markdown_table(cells)]
    untested = [test for test in found.tests if test.verdict == UNTESTED]
    if untested:
        why = {one.why: "; ".join(t.claim.words for t in untested if t.why == one.why) for one in untested}
        lines += ["", "Cannot be tested here:", "", *(f"- {words}: {reason}." for reason, words in why.items())]
    if len(found.speed):
        header = ["tier", "results", "creators", *(f"within {k} day{'s' * (k > 1)}" for k in WITHIN_DAYS)]
        rows = [
            [
                str(line["tier"]),
                f"{line['results']:,}",
                f"{line['creators']:,}",
                *(_share(line, k) for k in WITHIN_DAYS),
            ]
            for line in found.speed.to_dict("records")
        ]
        lines += ["", "Share of all conversions, of settled results with conversions by day (95 %):", ""]
        lines += markdown_table([header, *rows])
    return lines


def _claim_row(test: ClaimTest) -> list[str]:
    claim = test.claim
    verdict = f"**{test.verdict}**" + (f": {test.why}" if test.why else "")
    both = (f"{a:,} against {b:,}" for a, b in (test.results, test.creators))
    return [claim.words, claim.compared, factor(test.unadjusted), factor(test.adjusted), *both, verdict]


def _share(line: Mapping[Hashable, float], days: int) -> str:
    share, low, high = (line[f"{name}_{days}"] for name in ("share", "low", "high"))
    return "–" if not np.isfinite(share) else f"{share:.2f} ({low:.2f} to {min(high, 1):.2f})"
