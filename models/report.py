"""What a training tells about itself: its figures in words, plots, and the model card."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from features.catalogue import BY_NAME
from features.settings import TIERS
from models import plots as draw
from models.backtest import OURS, Backtest
from models.baselines import RULES_OF_THUMB
from models.budget import CHOICES, SHARES, Bought, compare, judged
from models.claims import MATERIAL, UNTESTED, WITHIN_DAYS, Claims, Finding, examine
from models.effects import Effect
from models.observed import count_loss, level_shift
from models.training import Trained

SAMPLE = 2_000
LITTLE = 100
FILE = "model_card.md"
FIGURES = (
    "A fold is judged with choices from earlier folds alone. skill: share of the Poisson deviance explained against "
    "one rate known in hindsight; rank: Spearman with the realised rate; value: conversions bought with a tenth of the "
    "money, over those of hindsight; total: predicted over realised."
)
MOVES = (
    "Mean factor by which a feature moves a score, up or down. It tells how the model works, not what causes "
    "conversions."
)
LIMITS = (
    "Results come from creators that were hired, so little is known of those unlike them. Scores beyond the training "
    "range carry a warning."
)
WORDS = {
    OURS: "this model",
    "one_rate": "one rate for all",
    "price_only": "the price alone",
    "own_record": "the creator's own record",
    "poisson_regression": "Poisson regression",
}


BUDGET = (
    "In each fold deals are taken from the best on until a share of the fold's money is spent. All choices are among "
    "the deals that were made, for the same money; *the deals as they were made* spends it evenly on all of them. "
    "Intervals (95 %) draw creators anew, 500 times."
)
CLAIMS = (
    "Each claim of the articles is a question to these results. *Raw*: the factor on conversions per dollar between "
    "the two sides. *Like for like*: the same with platform, niches, country, objective, brand and quarter held equal, "
    "and, where the claim is not about size, price, followers, promotion length and deliverables too. Intervals (95 %) "
    "are those of each claim alone, for counts over-dispersed and alike within a creator; a verdict on either side "
    f"takes what stands when all tests are counted (Holm). A claim also fails where a factor of {MATERIAL:g} or more "
    "is ruled out. It is a comparison of what was hired, not an experiment: what is neither in the data nor held equal "
    "may lie behind a difference."
)
PARTS = (
    "Each part is judged against one rate known in hindsight for that part. *Seen*: a result of the creator was known."
)


@dataclass(frozen=True)
class Report:
    """What a training found, worked out once: `judged` rows, what a budget would have bought, the claims."""

    trained: Trained
    rows: pd.DataFrame
    bought: list[Bought]
    claims: Claims


def study(trained: Trained) -> Report:
    """Work out the report of a training; the same training gives the same report."""
    rows = judged(trained)
    bought = compare(rows, int(trained.scorer.told["seed"]))
    return Report(trained, rows, bought, examine(trained.training, trained.scorer.maturity))


def evidence(backtest: Backtest) -> tuple[str, float]:
    """The rule of thumb that is hardest to beat, and the t of the model's paired differences in deviance from it.

    Every fold is set to the level known in hindsight first, so that only differences between rows count.
    """
    rows = backtest.rows
    if len(rows) < 2 or not rows.counts.sum():
        return RULES_OF_THUMB[0], 0.0
    ours = _losses(rows, OURS)
    better = {name: _losses(rows, name) - ours for name in RULES_OF_THUMB}
    spread = {name: float(v.std(ddof=1)) for name, v in better.items()}
    sure = {n: float(v.mean() / (spread[n] / np.sqrt(len(v)))) if spread[n] else 0.0 for n, v in better.items()}
    return min(sure.items(), key=lambda item: item[1])


def _losses(rows: pd.DataFrame, name: str) -> np.ndarray:
    out = np.zeros(len(rows))
    for fold in rows.fold.unique():
        mine = (rows.fold == fold).to_numpy()
        part = rows[mine]
        counts, variance = part.counts.to_numpy(float), part.variance.to_numpy(float)
        expected = (part.exposure * part[name]).to_numpy(float)
        shift = level_shift(counts, expected, variance)
        out[mine] = count_loss(counts, expected * np.exp(shift), variance)
    return out


def verdict(backtest: Backtest) -> str:
    """One sentence: does the model tell deals apart better than every rule of thumb?"""
    if not len(backtest.rows):
        return "No skill can be claimed: there are too few results for a backtest."
    rule, surely = evidence(backtest)
    told = f"(t = {surely:.1f} on {len(backtest.rows):,} results that the model had not seen)."
    told += " So few tell little." if len(backtest.rows) < LITTLE else ""
    if surely > 2:
        return f"The model tells deals apart better than every rule of thumb; the best of them is {WORDS[rule]} {told}"
    return f"No skill beyond {WORDS[rule]}: on this data the model is not surely better {told}"


def importance(trained: Trained) -> pd.Series:
    """Mean factor by which a feature moves a score, up or down, over the newest SAMPLE rows; largest first."""
    scorer = trained.scorer
    training = trained.training
    features = scorer.encoding.transform(training.matrix.tail(SAMPLE), training.creators[-SAMPLE:])
    moved = np.abs(scorer.rate.contributions(features)).mean(axis=0)
    return pd.Series(np.exp(moved), index=list(scorer.encoding.columns)).sort_values(ascending=False, kind="stable")


def plots(report: Report) -> dict[str, Figure]:
    """Figures by file name, those that the data suffice for."""
    out = {"importance.png": draw.importance(importance(report.trained).head(20))}
    if len(report.rows) >= 10:
        out |= {"calibration.png": draw.calibration(report.rows), "lift.png": draw.lift(report.rows)}
    if report.bought:
        out["budget.png"] = draw.budget(report.bought)
    if report.claims.tested:
        out["claims.png"] = draw.claims(report.claims)
    if len(report.claims.speed):
        out["speed.png"] = draw.speed(report.claims)
    return out


def figures_table(table: pd.DataFrame, first: str = "fold") -> list[list[str]]:
    """Figures of a backtest as cells, a header first; `first` is the header of what parts them."""
    header = [first, "model", "results", "skill", "rank", "value", "total", "coverage", "width"]
    cells = [
        [str(r.fold), WORDS[str(r.model)], str(r.rows)] + [_number(v) for v in r[3:]]
        for r in table.itertuples(index=False)
    ]
    return [header, *cells]


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.3f}"


def _markdown(cells: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return [lines[0], "|" + "---|" * len(cells[0]), *lines[1:]]


def budget_line(bought: list[Bought]) -> str:
    """One line: what the smallest of SHARES would have bought, against each other choice."""
    if not bought:
        return "What a budget would have bought cannot be told: there are too few results for a backtest."
    told = [f"{CHOICES[b.choice]} {_effect(b)}" for b in bought if b.share == SHARES[0]]
    little = "" if np.isfinite(bought[0].low) else f"; {bought[0].creators} creators are too few for intervals"
    return f"Conversions for {SHARES[0]:.0%} of the money, against {', '.join(told)}{little}."


def _effect(found: Bought | Effect | None) -> str:
    """A factor with its interval."""
    if found is None:
        return "–"
    ends = f" ({found.low:.2f} to {found.high:.2f})" if np.isfinite(found.low) else ""
    return f"×{found.factor:.2f}{ends}"


def _budget(report: Report) -> list[str]:
    if not report.bought:
        return [budget_line(report.bought)]
    cells = [["share of the money", "against", "its conversions", "ours", "times as many (95 %)", ""]]
    for b in report.bought:
        sure = "more" if b.low > 1 else "fewer" if b.high < 1 else "no sure difference"
        cells.append([f"{b.share:.0%}", CHOICES[b.choice], f"{b.theirs:,.0f}", f"{b.ours:,.0f}", _effect(b), sure])
    first = report.bought[0]
    lines = [BUDGET, f"{first.deals:,} deals of {first.creators:,} creators were judged.", "", *_markdown(cells)]
    told = {b.choice for b in report.bought}
    return lines + [
        f"\nNot compared: {words}, of which no deal tells." for c, words in CHOICES.items() if c not in told
    ]


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
        lines += ["", *_markdown(figures_table(table[table.fold != "all"], name))]
    return lines


def _claims(found: Claims) -> list[str]:
    cells = [["claim", "compared", "raw", "like for like", "results", "creators", "verdict"]]
    cells += [_finding(finding) for finding in found.findings if finding.verdict != UNTESTED]
    lines = [f"{found.tested} of {len(found.findings)} claims could be compared. {CLAIMS}"]
    if len(cells) > 1:
        lines += ["", *_markdown(cells)]
    untested = [f for f in found.findings if f.verdict == UNTESTED]
    if untested:
        why = {f.why: "; ".join(g.claim.words for g in untested if g.why == f.why) for f in untested}
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
        lines += ["", "Share of all conversions, of settled results that are told by day (95 %):", ""]
        lines += _markdown([header, *rows])
    return lines


def _finding(finding: Finding) -> list[str]:
    claim = finding.claim
    said = f"**{finding.verdict}**" + (f": {finding.why}" if finding.why else "")
    both = (f"{a:,} against {b:,}" for a, b in (finding.results, finding.creators))
    return [claim.words, claim.compared, _effect(finding.raw), _effect(finding.like), *both, said]


def _share(line: Mapping[Hashable, float], days: int) -> str:
    share, low, high = (line[f"{name}_{days}"] for name in ("share", "low", "high"))
    return "–" if not np.isfinite(share) else f"{share:.2f} ({low:.2f} to {min(high, 1):.2f})"


def model_card(report: Report) -> str:
    """The model card in Markdown: what it is worth, what it was made from, what it uses."""
    trained = report.trained
    told, backtest = trained.scorer.told, trained.backtest
    used = [["feature", "family", "what it is", "unit", "mean factor"]]
    for name, factor in importance(trained).items():
        f = BY_NAME.get(str(name))
        used.append([str(name), *([f.family, f.label, f.unit] if f else ["", "", ""]), f"{factor:.3f}"])
    recipes = ", ".join(f"{k} {w:.2f}" for k, w in told["recipes"].items()) or "none: one rate for all"
    made = (
        f"Predicts conversions per dollar of a creator's collaboration. Trained on {told['results']:,} results "
        f"({told['conversions']:,.0f} conversions for {told['spend']:,.0f} dollars) that started from "
        f"{told['first_start'][:10]} to {told['last_start'][:10]}; seed {told['seed']}."
    )
    choices = [
        f"- Blend of recipes, weights on the log scale: {recipes}.",
        f"- Late conversions: {told['maturity']}.",
        f"- Level set by recent results: × {np.exp(trained.scorer.rate.level):.3f}.",
    ]
    proof = f"Cut-offs: {', '.join(backtest.cutoffs) or 'none'}. {FIGURES}"
    sections = {
        "What the same money would have bought": _budget(report),
        "Backtest in time": [proof, "", *_markdown(figures_table(backtest.figures()))],
        "By tier, platform, and known creators": _parts(report),
        "What the articles claim": _claims(report.claims),
        "Features": [MOVES, "", *_markdown(used)],
        "Limits": [LIMITS],
    }
    lines = [verdict(backtest), "", "# Model card", "", made, "", *choices, ""]
    for title, content in sections.items():
        lines += [f"## {title}", "", *content, ""]
    return "\n".join(lines)
