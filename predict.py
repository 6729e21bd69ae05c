"""Score candidates with a trained model: conversions per dollar, interval, rank, reasons, warnings.

The output is either whole or absent; one that exists is replaced at the very end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import cli
from features.engines.choice import DUCKDB, HELP, check_engine, is_spark
from features.faults import refuse, refuse_unreachable

if TYPE_CHECKING:
    from models.batch.tally import Summary
    from models.registry.registry import Model
    from models.uncertainty.target import Target

EXAMPLES = """examples:
  python predict.py candidates.csv --data export/ --output scores.csv
  python predict.py candidates.parquet --data export/ --output scores.parquet --level 0.9
  python predict.py candidates.csv --data export/ --output scores.csv --model models:/conversions-per-dollar/3
  python predict.py candidates.csv --data export/ --output scores.csv --target-cost 25
  python predict.py candidates.csv --data export/ --output scores.csv --target-cost 25 --confidence 0.8
  python predict.py candidates.csv --data export/ --output scores.csv --ledger
  python predict.py everybody.parquet --data export/ --output scores.parquet --reasons 1000
  python predict.py everybody.parquet --data export/ --output short.csv --columns creator_id,conversions_per_dollar,rank
  python predict.py everybody/ --data export/ --output scored/ --resume
  python predict.py everybody/ --data export/ --output scored/ --engine spark://master:7077
  python predict.py candidates.csv --data postgresql://me@db/results --engine postgresql --output scores.csv

With a target cost per conversion, two more columns say how likely a deal stays within it, and its walk-away price: the
highest spend at which it still does with the given confidence. With --ledger the list is sealed before its file
appears: what was promised can be checked against what came, and cannot be rewritten unnoticed.
docs/models.md says what the columns and warnings mean, docs/ledger.md what is sealed."""
REASONS = 2  # shown for each of the best


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        "predict.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "candidates",
        type=cli.path,
        metavar="CANDIDATES",
        help="a .parquet or .csv file of candidates, or a folder of Parquet parts",
    )
    parser.add_argument(
        "--data",
        required=True,
        type=cli.nonempty,
        metavar="DATA",
        help="folder of the tables, duckdb://FILE, or postgresql://USER@HOST/DB",
    )
    parser.add_argument("--engine", type=cli.nonempty, metavar="ENGINE", default=DUCKDB, help=HELP)
    parser.add_argument(
        "--output",
        required=True,
        type=cli.nonempty,
        metavar="FILE",
        help="a .parquet or .csv file to write, or, ending in /, a new folder of Parquet parts",
    )
    parser.add_argument(
        "--model",
        type=cli.nonempty,
        metavar="URI",
        default="models:/conversions-per-dollar@champion",
        help="models:/NAME@ALIAS or models:/NAME/VERSION (%(default)s)",
    )
    parser.add_argument("--level", type=float, default=0.8, help="of the central interval (%(default)s)")
    parser.add_argument("--target-cost", type=float, metavar="DOLLARS", help="the most that a conversion may cost")
    parser.add_argument(
        "--confidence",
        type=float,
        metavar="P",
        help="probability with which the walk-away price must meet the target cost (0.5)",
    )
    parser.add_argument(
        "--ledger",
        type=cli.path,
        nargs="?",
        const=Path("ledger.jsonl"),
        metavar="FILE",
        help="seal what is promised in a ledger (%(const)s)",
    )
    parser.add_argument(
        "--reasons",
        default="all",
        metavar="WHICH",
        help="rows with reasons: all, none, or a number of the best, which is quicker (%(default)s)",
    )
    parser.add_argument(
        "--columns",
        metavar="A,B,…",
        help="columns of FILE besides candidate_id, of the candidates' own and of the scores; what is not written is "
        "not computed (all)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on where a killed run of the same call stopped, and leave what is scored if this one is killed",
    )
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    return parser.parse_args(argv)


def most_reasons(text: str) -> int | None:
    """How many of the best rows have reasons; None for all. Raises InputError for another word than --reasons takes."""
    if text in ("all", "none"):
        return None if text == "all" else 0
    if not (text.isascii() and text.isdecimal() and int(text)):
        remedy = "Give the number of the best that need them, such as 1000."
        refuse("--reasons", text, "it is neither all nor none nor a number above 0", remedy)
    return int(text)


def check(args: argparse.Namespace) -> Target | None:
    """The target, if there is one. Raises InputError for a wrong call, before anything slow is imported."""
    from models.batch.file_columns import check_call, named_columns
    from models.uncertainty.target import MOST_DOLLARS, SURE, Target

    if not 0 < args.level < 1:
        refuse("--level", args.level, "it is no probability", "Give a number between 0 and 1, such as 0.8.")
    if args.target_cost is not None and not 0 < args.target_cost <= MOST_DOLLARS:
        refuse("--target-cost", args.target_cost, "it is no price", "Give dollars above 0, such as 25.")
    if args.confidence is not None and args.target_cost is None:
        remedy = "Give --target-cost too, or leave it out."
        refuse("--confidence", args.confidence, "it means nothing without a target cost", remedy)
    if args.confidence is not None and not 0 < args.confidence < 1:
        remedy = "Give a number between 0 and 1, such as 0.5."
        refuse("--confidence", args.confidence, "it is no probability", remedy)
    names, target, reasons = named_columns(args.columns), args.target_cost is not None, most_reasons(args.reasons)
    check_call(names, target=target, reasons=bool(reasons), ledger=bool(args.ledger))
    check_engine(args.engine, args.data)
    if args.resume and is_spark(args.engine):
        refuse("--resume", args.engine, "a run in Spark cannot be gone on with", "Leave --resume or --engine out.")
    check_files(args)
    if args.target_cost is None:
        return None
    return Target(args.target_cost, SURE if args.confidence is None else args.confidence)


def check_files(args: argparse.Namespace) -> None:
    """Raise InputError where candidates, output or ledger cannot be what they are to be."""
    from models.batch.output_file import check_output
    from models.batch.output_folder import check_output_folder

    refuse_unreachable("CANDIDATES", args.candidates)
    if not (args.candidates.is_file() or args.candidates.is_dir()):
        problem = "it is no regular file" if args.candidates.exists() else "there is no such file"
        refuse("CANDIDATES", args.candidates, problem, "Give a .parquet or .csv file, or a folder of Parquet parts.")
    if args.candidates.is_dir() and args.candidates.suffix not in ("", ".parquet"):
        remedy = "Give the file in it, or a folder of Parquet parts, whose name has no ending."
        refuse("CANDIDATES", args.candidates, "it is a folder", remedy)
    if args.output.endswith("/"):
        check_output_folder(Path(args.output))
    else:
        check_output(Path(args.output), args.candidates)
    if args.ledger:
        from models.monitoring.append_file import check_appendable

        check_appendable(args.ledger)


def now() -> datetime:
    """The moment, UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def predict(args: argparse.Namespace) -> None:
    """Score a file into a file; raises InputError for data or a call that is at fault."""
    target, most, output = check(args), most_reasons(args.reasons), Path(args.output)
    from features.history.elsewhere import elsewhere as in_engine
    from features.history.notes import notes_on_left_out
    from features.history.opening import open_data
    from features.history.source import open_candidates
    from features.usage import changed_columns

    with (
        cli.Progress() as progress,
        open_data(args.data, args.engine) as history,
        in_engine(history, args.data, args.engine) as elsewhere,
    ):
        candidates = open_candidates(history, args.candidates)
        cli.note((*history.notes, *candidates.notes))
        from models.batch.file_columns import chosen_columns, named_columns
        from models.batch.score_file import check_candidates, score_file
        from models.monitoring.drift import Listed

        columns = chosen_columns(named_columns(args.columns), candidates.columns, target is not None)
        check_candidates(history, candidates, output, target, columns)
        from models import tracking
        from models.batch.output_file import check_not_kept
        from models.registry import artifacts, left_out

        client = tracking.connect(create=False)
        check_not_kept(output, artifacts.places(client))
        model = tracking.require(client, args.model)
        newest = left_out.announced(client, model.name)
        model, unread = left_out.without_announced(client, model, newest)
        kept_out_by = left_out.followed(model, newest, unread)
        cli.note(unread)
        sealing = None
        if args.ledger:
            from models.batch.sealing import Sealing, check_apart

            inputs = history.stamp.also(candidates.stamp)
            check_apart(args.ledger, output, inputs, artifacts.places(client))
            sealing = Sealing(
                args.ledger, client, model, history, level=args.level, clock=now, kept_out_by=kept_out_by,
                note=cli.note,
            )  # fmt: skip
        notes = (*candidates.notes, *unread)
        if trained := model.scorer.facts.columns:  # not recorded by a training outside train.py
            changed = changed_columns(trained, history.given, candidates.columns)
            cli.note([changed] if changed else [])
            notes += (changed,) if changed else ()
        without = notes_on_left_out(history.collaborations, model.scorer.facts.kept_out, kept_out_by)
        cli.note(without)
        notes += without
        listed = Listed(candidates.rows)
        summary = score_file(
            history, candidates, model.scorer, model.label, output, columns=columns, level=args.level, target=target,
            reasons=most, resume=args.resume, progress=progress, seal=sealing.seal if sealing else None, look=listed,
            note=cli.note, elsewhere=elsewhere,
        )  # fmt: skip
    anchored = sealing.anchor() if sealing else ""  # before anything else can fail: the scores and the seal are there
    print_summary(summary, model, args, target)
    differs, loss = listed.judge(model.scorer)
    print(f"a result is expected to be off by {loss}")
    notes += (differs,) if differs else ()
    if anchored:
        print(anchored)
    for note in notes:  # once more, where the scores are looked at
        print(note)


def print_summary(summary: Summary, model: Model, args: argparse.Namespace, target: Target | None) -> None:
    """The summary on standard output; what the model is worth comes first."""
    from features.history.score_columns import TARGET_SCORES
    from models.batch.file_columns import INTERVAL
    from models.evaluation.skill import skill_sentence
    from models.explanations.reason_words import reason_words

    print(skill_sentence(model.scorer.facts.skill))
    print(f"{summary.rows:,} candidates scored by {model.label} into {args.output}")
    best = summary.best
    with_level, with_target = (set(names) <= best[0].keys() for names in (INTERVAL, TARGET_SCORES))
    cells = [["rank", "candidate", "creator", "brand", "spend $", "conversions/$"]]
    cells[0] += [f"{100 * args.level:g} %"] if with_level else []
    cells[0] += ["conversions", "$/conversion"]
    if target and with_target:
        cells[0] += [f"P(≤ {target.cost:g} $)", f"walk away $ ({100 * target.confidence:g} %)"]
    rates = [row["conversions_per_dollar"] for row in best]
    for row in best:
        cells.append([
            str(rates.index(row["conversions_per_dollar"]) + 1), row["candidate_id"], row["creator_id"], row["brand"],
            f"{row['spend']:,.0f}", f"{row['conversions_per_dollar']:.4f}",
        ])  # fmt: skip
        if with_level:
            low, high = row["conversions_per_dollar_low"], row["conversions_per_dollar_high"]
            cells[-1].append(f"{low:.4f} to {high:.4f}")
        cells[-1] += [f"{row['conversions']:,.1f}", f"{row['cost_per_conversion']:,.2f}"]
        if target and with_target:
            cells[-1] += [f"{row['probability_within_target']:.2f}", f"{row['walk_away_price']:,.0f}"]
    cli.show_table(cells)
    explained = [row for row in best if row.get("reasons", "[]") != "[]"]
    if explained:
        print("what moved these scores most, against the average score:")
        for row in best if args.reasons == "all" else explained:
            print(f"  {row['candidate_id']}: {'; '.join(reason_words(row['reasons'])[:REASONS]) or 'nothing much'}")
    if summary.warnings is not None:
        print("warnings: " + (", ".join(f"{k} {n:,}" for k, n in summary.warnings.items()) or "none"))
        unlike = summary.warnings.get("unlike_results", 0)
        share = unlike / max(summary.rows, 1)
        print(f"unlike all past results: {unlike:,} of {summary.rows:,} candidates ({share:.1%})")


if __name__ == "__main__":
    sys.exit(cli.main(arguments, predict))
