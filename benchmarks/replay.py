"""A year in which nobody looks: the demo market, week by week, retrained from a scheduler.

Every Monday a batch comes in: deals that started, conversions that arrived since, posts, comments. It is added to a
DuckDB file, trained on and judged by the door and the gate, and what is offered for the next eight weeks is scored by
the champion and sealed in the ledger, all by the functions behind `train.py DATA --add BATCH --ledger FILE` and
`predict.py --ledger`, with the clock of the market. As many offers are never taken as deals are made.

What happens in the year: one batch with its spend in cents, one that has the batch before once more under other ids,
one whose conversions are dealt out anew among its new deals; the level of all conversions falls by a fifth within two
months; in another month a fifth of the creators buys as many followers as they have. A week later the team has seen to
a spoilt batch: right rows are delivered again, copies deleted in the database.

Conversions are those that can be expected of a quarter of the money of what starts before the next training, spent
from the best score down: of the champion; of the first model, never trained again; of the newest model, whatever the
gate says; of the newest one that was trained on everything, without a door (`--force`); of the creators' own records;
and of who knows the market. A challenger is *worse* or *better* where it truly is by more than the gate's margins, on
the offers of the next eight weeks. Made-up data: it shows how the parts work together, not what a real market brings.

examples:
  python -m benchmarks.replay                                a year; a training takes up to a minute
  python -m benchmarks.replay --every 2                      a training every other week
  python -m benchmarks.replay --weeks 12 --results 2000 --creators 600 --output build/short
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pandas as pd

import cli
from benchmarks.figures import cells, write, write_tables
from benchmarks.replay_market import make_year
from benchmarks.replay_report import by_month, line, picture, sentences
from benchmarks.replay_team import Team
from features.faults import refuse

OUTPUT, LEAST_WEEKS = Path("build/replay"), 6


@contextmanager
def store(folder: Path) -> Iterator[None]:
    """MLflow's store in a folder, for as long as the context lasts."""
    name = "MLFLOW_TRACKING_URI"
    before = os.environ.get(name)
    os.environ[name] = f"sqlite:///{quote(str(folder.absolute() / 'mlflow.db'))}"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    text, examples = (__doc__ or "").split("\n\nexamples:")
    parser = argparse.ArgumentParser(
        "benchmarks.replay", description=text, epilog=f"examples:{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--weeks", type=int, default=52, help="of the year (%(default)s)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="weeks from training to training (1)")
    parser.add_argument(
        "--results", type=int, default=6_000, help="of the market, a year before and eight weeks after (%(default)s)"
    )
    parser.add_argument("--creators", type=int, default=1_000, help="of the market (%(default)s)")
    parser.add_argument("--search", type=int, default=0, help="as that of train.py (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the market (%(default)s)")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER", help="for all of it (%(default)s)")
    return parser.parse_args(argv)


def check(args: argparse.Namespace) -> None:
    """Raise InputError for a call that cannot be met."""
    if not LEAST_WEEKS <= args.weeks <= 520:
        refuse("--weeks", args.weeks, "it is out of range", f"Give a whole number from {LEAST_WEEKS} to 520.")
    if not 1 <= args.every <= 4:
        refuse("--every", args.every, "it is out of range", "Give a whole number from 1 to 4.")


def main(args: argparse.Namespace) -> None:
    """Replay, show each week as it is done, and what came of the year; write tables and picture."""
    check(args)
    args.output.mkdir(parents=True, exist_ok=True)
    year = make_year(args.results, args.creators, args.weeks, args.seed)
    lines: list[dict] = []
    with tempfile.TemporaryDirectory(dir=args.output) as scratch, store(Path(scratch)):
        team = Team(year, Path(scratch), every=args.every, search=args.search)
        for week in range(0, args.weeks + 1, args.every):
            lines.append(team.week(week))
            print(line(lines[-1]), flush=True)
            write(args.output / "weeks.csv", pd.DataFrame(lines).to_csv(index=False).encode())
        settled = team.settle()
        shutil.copy(team.ledger, args.output / "ledger.jsonl")
    weeks = pd.DataFrame(lines)
    months = by_month(weeks, settled)
    write_tables(months, args.output / "months")
    write(args.output / "replay.png", picture(weeks, settled, year))
    print()
    cli.show_table(cells(months))
    print("\n".join(sentences(weeks, settled)))


if __name__ == "__main__":
    call = arguments(None)
    sys.exit(cli.run(lambda: main(call), debug=True))
