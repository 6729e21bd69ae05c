"""Train a model of conversions per dollar on past results.

Checks the data, builds features, backtests in time, fits, logs all of it to MLflow, registers the model and makes it
the champion if it is no worse than the one there is.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cli
from features.faults import ATTENTION, DONE, refuse
from models.registry.names import check_name

if TYPE_CHECKING:
    from models.registry.gate import Decision
    from models.report.summary import Report

EXAMPLES = """examples:
  python train.py export/                                  a folder of tables (Parquet, CSV, .sql mappings)
  python train.py export/ --experiment summer --seed 7     under another name, with another seed
  python train.py export/ --search 20                      a longer search of settings, some seven times the time
  MLFLOW_TRACKING_URI=http://mlflow:5000 python train.py export/

docs/models.md says what the figures mean."""
MOST_TRIES = 100


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        "train.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=cli.nonempty, metavar="DATA", help="folder of the tables, or duckdb://FILE")
    parser.add_argument(
        "--experiment",
        metavar="NAME",
        default="conversions-per-dollar",
        help="MLflow experiment, and name of the registered model (%(default)s)",
    )
    parser.add_argument("--seed", type=int, metavar="N", default=0, help="same data and seed, same model (%(default)s)")
    parser.add_argument("--search", type=int, metavar="N", help="other settings to try for each recipe (2)")
    parser.add_argument("--comment-classifier", type=cli.path, metavar="DIR", help="a retrained one, instead of ours")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    return parser.parse_args(argv)


def train(args: argparse.Namespace) -> int:
    """Train, log, register, promote; returns the exit status. Raises InputError for bad data or arguments."""
    if not 0 <= args.seed < 2**31:
        refuse("--seed", args.seed, "it is out of range", "Give a whole number from 0 to 2147483647.")
    if args.search is not None and not 0 <= args.search <= MOST_TRIES:
        refuse("--search", args.search, "it is out of range", f"Give a whole number from 0 to {MOST_TRIES}.")
    check_name(args.experiment)
    if args.comment_classifier and not args.comment_classifier.is_dir():
        refuse("--comment-classifier", args.comment_classifier, "there is no such folder", "Give a saved classifier.")
    began = time.time()
    from models.estimators.recipes import TRIES
    from models.pipeline import retrain

    with cli.Progress() as progress:
        done = retrain(
            args.data, args.experiment, began=began, seed=args.seed,
            search=TRIES if args.search is None else args.search, comment_classifier=args.comment_classifier,
            note=cli.note, progress=progress,
        )  # fmt: skip
    version, decision = done.version, done.decision
    print_summary(done.report, args.experiment, version, decision, time.time() - began)
    if decision.alarm:
        print(f"alarm: {args.experiment} {version}: {decision.why}", file=sys.stderr)
    return ATTENTION if decision.alarm else DONE


def print_summary(found: Report, name: str, version: str, decision: Decision, seconds: float) -> None:
    """The summary on standard output."""
    from features.usage import in_words
    from models.evaluation.skill import skill_sentence
    from models.report import model_card, summary

    backtest, facts = found.trained.backtest, found.trained.scorer.facts
    print(skill_sentence(facts.skill))
    print(
        f"{facts.results:,} results, {facts.conversions:,.0f} conversions for {facts.spend:,.0f} $, "
        f"{facts.first_start[:10]} to {facts.last_start[:10]}; {len(backtest.cutoffs)} folds; "
        f"late conversions: {facts.maturity}; {seconds:.0f} s"
    )
    figures = backtest.figures()
    cli.show_table([row[1:] for row in summary.figures_table(figures[figures.fold == "all"])])
    tiers = ", ".join(f"{k} {c:.2f} ({n:,})" for k, (c, n) in backtest.coverage_by_group().items())
    print(f"coverage of the 80 % interval by tier: {tiers or 'not measured'}")
    for line in in_words(found.trained.training.unused):
        print(f"not in use, {line}")
    print(summary.unlike(backtest))
    print(summary.budget_line(found.bought))
    outcome = "is now the champion" if decision.promoted else "is not promoted"
    print(f"models:/{name}/{version} {outcome}: {decision.why}")
    print(
        f"the full report is the run's artefact {model_card.FILE}; claims of the articles tested: {found.claims.tested}"
    )


if __name__ == "__main__":
    sys.exit(cli.main(arguments, train))
