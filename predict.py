"""Score candidates with a trained model: conversions per dollar, interval, rank, reasons, warnings.

The output is either whole or absent; one that exists is replaced at the very end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models import console

if TYPE_CHECKING:
    from models.ranking import Summary

EXAMPLES = """examples:
  python predict.py candidates.csv --data export/ --output scores.csv
  python predict.py candidates.parquet --data export/ --output scores.parquet --level 0.9
  python predict.py candidates.csv --data export/ --output scores.csv --model models:/conversions-per-dollar/3

docs/models.md says what the columns and warnings mean."""


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        "predict.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("candidates", type=Path, metavar="CANDIDATES", help="a .parquet or .csv file of candidates")
    parser.add_argument("--data", required=True, metavar="DATA", help="folder of the tables, or a database URL")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="a .parquet or .csv file to write")
    parser.add_argument(
        "--model",
        metavar="URI",
        default="models:/conversions-per-dollar@champion",
        help="models:/NAME@ALIAS or models:/NAME/VERSION (%(default)s)",
    )
    parser.add_argument("--level", type=float, default=0.8, help="of the central interval (%(default)s)")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    return parser.parse_args(argv)


def predict(asked: argparse.Namespace) -> None:
    """Score a file into a file; raises InputError for data or a call that is at fault."""
    if not 0 < asked.level < 1:
        console.refuse("--level", asked.level, "it is no probability", "Give a number between 0 and 1, such as 0.8.")
    if not asked.candidates.is_file():
        console.refuse("CANDIDATES", asked.candidates, "there is no such file", "Give a .parquet or .csv file.")
    from models.ranking import check_output, score_file

    check_output(asked.output)
    from features.source import open_candidates, open_history

    with console.Progress() as progress, open_history(asked.data) as history:
        candidates = open_candidates(history, asked.candidates)
        from models import tracking

        model = tracking.load(tracking.connect(create=False), asked.model)
        summary = score_file(
            history, candidates, model.scorer, model.label, asked.output, level=asked.level, progress=progress
        )
    tell(summary, model.label, asked)


def tell(summary: Summary, label: str, asked: argparse.Namespace) -> None:
    """The summary on standard output."""
    print(f"{summary.rows:,} candidates scored by {label} into {asked.output}")
    percent = f"{100 * asked.level:g} %"
    cells = [
        ["rank", "candidate", "creator", "brand", "spend $", "conversions/$", percent, "conversions", "$/conversion"]
    ]
    for rank, row in enumerate(summary.best, 1):
        low, high = row["conversions_per_dollar_low"], row["conversions_per_dollar_high"]
        cells.append([
            str(rank), row["candidate_id"], row["creator_id"], row["brand"], f"{row['spend']:,.0f}",
            f"{row['conversions_per_dollar']:.4f}", f"{low:.4f} to {high:.4f}", f"{row['conversions']:,.1f}",
            f"{row['cost_per_conversion']:,.2f}",
        ])  # fmt: skip
    console.show_table(cells)
    print("warnings: " + (", ".join(f"{k} {n:,}" for k, n in summary.warnings.items()) or "none"))


if __name__ == "__main__":
    call = arguments(None)
    sys.exit(console.run(lambda: predict(call), call.debug))
