"""Train a model of conversions per dollar on past results.

Checks the data, builds features, holds the newest results against what is expected of them, backtests in time, fits,
logs all of it to MLflow, registers the model and makes it the champion if it is no worse than the one there is. Results
that no chance explains are kept out and listed. Where nothing has changed since an earlier training, nothing is
trained.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import cli
from features.engines.choice import DUCKDB, HELP, check_engine
from features.faults import AT_FAULT, ATTENTION, DONE, InputError, refuse, refuse_unreachable
from models.registry.names import check_name

if TYPE_CHECKING:
    from features.history.append.add import Added
    from models.alarms import Alarm
    from models.monitoring.checked import Checked
    from models.monitoring.findings import Intake
    from models.monitoring.promise_report import Watched
    from models.pipeline import Retrained
    from models.report.outcome import Action, Outcome
    from models.report.summary import Report

EXAMPLES = """examples:
  python train.py export/                                  a folder of tables (Parquet, CSV, .sql mappings)
  python train.py export/ --experiment summer --seed 7     under another name, with another seed
  python train.py export/ --search 20                      a longer search of settings, some seven times the time
  python train.py export/ --add new/                       new and corrected results in, then train
  python train.py duckdb://results.duckdb --add export/    the same into a DuckDB file, made if it is not there
  python train.py postgresql://me@db/results --add new/    the same into a team's database
  python train.py postgresql://me@db/results --engine postgresql    its database makes the features
  python train.py export/ --check                          everything but the training: what a training would say
  python train.py export/ --report training.html           how it ended, as a page that can be mailed
  python train.py --rollback                               the former champion back
  MLFLOW_TRACKING_URI=http://mlflow:5000 python train.py export/

Exit status: 0 done (promoted, kept, or nothing new), 3 done, but a person should look, 2 the data or the call is at
fault, 1 anything else. docs/models.md says what the figures mean."""
MOST_TRIES = 100
SHOWN = 10  # ids of results that are kept out; all of them are in the report and in the run's intake.json
REPORTS = (".json", ".html")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        "train.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data",
        type=cli.nonempty,
        nargs="?",
        metavar="DATA",
        help="folder of the tables, duckdb://FILE, or postgresql://USER@HOST/DB",
    )
    parser.add_argument(
        "--experiment",
        metavar="NAME",
        default="conversions-per-dollar",
        help="MLflow experiment, and name of the registered model (%(default)s)",
    )
    parser.add_argument("--engine", type=cli.nonempty, metavar="ENGINE", default=DUCKDB, help=HELP)
    parser.add_argument("--seed", type=int, metavar="N", default=0, help="same data and seed, same model (%(default)s)")
    parser.add_argument("--search", type=int, metavar="N", help="other settings to try for each recipe (2)")
    parser.add_argument("--comment-classifier", type=cli.path, metavar="DIR", help="a retrained one, instead of ours")
    parser.add_argument(
        "--promote",
        choices=("if-better", "never", "always"),
        default="if-better",
        help="whether the gate decides about the new model, or you have decided already (%(default)s)",
    )
    parser.add_argument(
        "--add",
        type=cli.path,
        metavar="NEW",
        help="first add a folder of tables, or a file of collaborations, to DATA: whole or not at all",
    )
    parser.add_argument("--no-train", action="store_true", help="with --add: add, and train nothing")
    parser.add_argument("--rollback", action="store_true", help="put the former champion back, and train nothing")
    parser.add_argument("--check", action="store_true", help="do everything but the training, and write nothing")
    parser.add_argument(
        "--force", action="store_true", help="train even where nothing has changed, on results that stand out too"
    )
    parser.add_argument(
        "--ledger",
        type=cli.path,
        metavar="FILE",
        help="hold the promises of this ledger against the results (ledger.jsonl, where it is there)",
    )
    parser.add_argument("--report", type=cli.path, metavar="FILE", help="write how it ended to a .json or .html file")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    args = parser.parse_args(argv)
    if args.data is None and not args.rollback:
        parser.error("the following arguments are required: DATA")
    return args


def train(args: argparse.Namespace) -> int:
    """Train, log, register, promote; returns the exit status. Raises InputError for bad data or arguments."""
    began = time.time()
    check(args)
    try:
        if args.rollback:
            done = _roll_back(args, began)
        else:
            added = _add(args, began) if args.add else None
            done = _only_added(added) if added and args.no_train else _retrain(args, began)
            if added:
                done = replace(done, details={**done.details, "added": added.to_dict()}, alarms=_with(done, added))
    except InputError as error:
        if args.report:
            faults = tuple(map(str, error.faults))
            sentence = error.done or "the data, the call or the store is at fault; no version was registered"
            write_report(args, _outcome(args, began, AT_FAULT, "failed", sentence, faults=faults), None)
        raise
    if done.checked:
        print_check(done.checked)
    elif done.intake and not done.report:
        for line in done.intake.in_words():
            print(line)
    if done.report:
        print_summary(done.report, time.time() - began)
    if done.intake and len(done.intake.kept_out):
        print_kept_out(done.intake)
    if done.watched:
        print_promises(done.watched)
    print(done.sentence)
    for alarm in done.alarms:
        print(f"alarm: {alarm}", file=sys.stderr)
    status = ATTENTION if done.alarms else DONE
    if args.report:
        from models.evaluation.skill import skill_sentence

        skill = skill_sentence(done.report.trained.scorer.facts.skill) if done.report else None
        outcome = _outcome(args, began, status, done.action, done.sentence, version=done.version, skill=skill,
                           alarms=done.alarms, details=done.details)  # fmt: skip
        write_report(args, outcome, done)
    return status


def check(args: argparse.Namespace) -> None:
    """Raise InputError for a wrong call, before anything slow is imported."""
    if not 0 <= args.seed < 2**31:
        refuse("--seed", args.seed, "it is out of range", "Give a whole number from 0 to 2147483647.")
    if args.search is not None and not 0 <= args.search <= MOST_TRIES:
        refuse("--search", args.search, "it is out of range", f"Give a whole number from 0 to {MOST_TRIES}.")
    check_name(args.experiment)
    if args.rollback and args.data is not None:
        refuse("--rollback", args.data, "it reads no DATA", "Leave DATA out.")
    if args.data is not None:
        check_engine(args.engine, args.data)
    if args.no_train and not args.add:
        refuse("--no-train", "no --add", "there is nothing to do", "Give --add NEW too, or leave it out.")
    if args.check and args.add:
        refuse("--check", "--add", "it writes nothing, and --add does", "Add first, with --no-train; then check.")
    if args.comment_classifier:
        refuse_unreachable("--comment-classifier", args.comment_classifier / "model.json")
        if not args.comment_classifier.is_dir():
            problem = "there is no such folder"
            refuse("--comment-classifier", args.comment_classifier, problem, "Give a saved classifier.")
    if args.ledger and not args.ledger.is_file():
        remedy = "Give the file that predict.py --ledger wrote, or leave the option out."
        refuse("--ledger", args.ledger, "there is no such file", remedy)
    if args.report:
        from models.batch.output_file import check_output

        check_output(args.report, option="--report", endings=REPORTS)


def _retrain(args: argparse.Namespace, began: float) -> Retrained:
    from models.estimators.recipes import TRIES
    from models.monitoring.ledger import DEFAULT
    from models.pipeline import check as check_data
    from models.pipeline import retrain

    with cli.Progress() as progress:
        if args.check:
            return check_data(
                args.data, args.experiment, engine=args.engine, seed=args.seed,
                comment_classifier=args.comment_classifier, note=cli.note, progress=progress,
            )  # fmt: skip
        return retrain(
            args.data, args.experiment, engine=args.engine, began=began, seed=args.seed,
            search=TRIES if args.search is None else args.search, comment_classifier=args.comment_classifier,
            force=args.force, promote=args.promote, ledger=args.ledger or (DEFAULT if DEFAULT.is_file() else None),
            note=cli.note, progress=progress,
        )  # fmt: skip


def _add(args: argparse.Namespace, began: float) -> Added:
    """Add NEW to DATA, and print what became of its rows."""
    from features.history.append.add import add_results

    now = datetime.fromtimestamp(began, UTC).replace(tzinfo=None)
    added = add_results(args.data, args.add, now=now, note=cli.note)
    for sentence in added.sentences():
        print(sentence, flush=True)
    return added


def _with(done: Retrained, added: Added) -> tuple[Alarm, ...]:
    """Alarms, of rows that were refused first."""
    from models.alarms import Alarm

    if not added.refused_file:
        return done.alarms
    sentence = f"{added.refused:,} rows of NEW were refused: {added.refused_file} has each with its reason"
    return (Alarm("intake", f"{sentence}; correct and add them again"), *done.alarms)


def _only_added(added: Added) -> Retrained:
    from models.pipeline import Retrained

    return Retrained("added", f"{added.sentences()[-1]}; nothing was trained")


def _roll_back(args: argparse.Namespace, began: float) -> Retrained:
    from models.pipeline import Retrained
    from models.registry.rollback import rollback
    from models.registry.store import connect

    before, now = rollback(connect(create=False), args.experiment, now=datetime.fromtimestamp(began, UTC))
    sentence = f"models:/{args.experiment}/{now} is the champion again, instead of version {before}"
    return Retrained("rolled back", sentence, now)


def _outcome(
    args: argparse.Namespace, began: float, status: int, action: Action, sentence: str, **more: Any
) -> Outcome:
    from features.secrets import mask
    from models.report.outcome import Outcome

    started = datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds")
    return Outcome(
        status, action, sentence, mask(args.data or ""), args.experiment, started, time.time() - began, **more
    )


def write_report(args: argparse.Namespace, outcome: Outcome, done: Retrained | None) -> None:
    """Write the outcome to the file of --report, whole or not at all."""
    from models.batch.aside import aside
    from models.batch.output_file import behind, replace
    from models.report.model_card import model_card
    from models.report.outcome import outcome_page
    from models.report.summary import plots

    if args.report.suffix == ".json":
        text = outcome.to_json()
    else:
        report, watched = (done.report, done.watched) if done else (None, None)
        changed = done.decision.changed if done and done.decision else None
        pages = [model_card(report, changed=changed)] if report else []
        pages += [watched.page()] if watched else []
        pages += [done.checked.page()] if done and done.checked else []
        figures = (plots(report) if report else {}) | (watched.plots if watched else {})
        text = outcome_page(outcome, "\n".join(pages), figures)
    output = behind(args.report)
    with aside(output, "--report", cli.note) as folder:
        made = folder / output.name
        made.write_text(text, encoding="utf-8", newline="\n")
        replace(made, output, "--report")


def print_check(found: Checked) -> None:
    """What a check found: sentences, and units as a table."""
    for line in found.lines():
        print(line)
    if units := found.units():
        cli.show_table(units)


def print_kept_out(intake: Intake) -> None:
    """How many results are kept out for what reason, and the first of them."""
    for reason, rows in intake.kept_out.groupby("reason", sort=False):
        first = ", ".join(rows.collaboration_id.head(SHOWN)) + (", …" if len(rows) > SHOWN else "")
        print(f"kept out, {len(rows):,} results ({reason}): {first}")


def print_promises(watched: Watched) -> None:
    """What came of the ledger's promises."""
    if watched.settled:
        counts = ", ".join(f"{count:,} {name}" for name, count in watched.settled.reasons.items() if count)
        print(f"promises of {watched.path}: {counts or 'none'}")
        if len(watched.settled.deals):
            whole = watched.table.iloc[0]
            print(
                f"of those judged, {whole.coverage:.2f} of the realised rates lie within intervals that promised "
                f"{whole.level:.2f}; the page is the run's artefact promises.md"
            )


def print_summary(found: Report, seconds: float) -> None:
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
    print(
        f"the full report is the run's artefact {model_card.FILE}; claims of the articles tested: {found.claims.tested}"
    )


if __name__ == "__main__":
    sys.exit(cli.main(arguments, train))
