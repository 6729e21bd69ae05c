"""Our model beside what a user would pick instead, on their own results, forecast from several moments in turn.

    python -m benchmarks.rolling_origin DATA [--at 0.4,0.5,0.6,0.7,0.8] [--test-share 0.2]

A moment is when a share `--at` of the collaborations in DATA had started. Every model is trained on what was known then
and scores the collaborations that started next, a share `--test-share` of all. Nothing that became known later is used:
posts, comments and conversions end at the moment, and a result counts as far as it had come. Figures are means over the
moments; `±` is the standard error of the difference to ours from moment to moment (moments share results, so it is
rather too small). Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import cli
from benchmarks.figures import cells, write_tables
from benchmarks.market import BUILD, Market, opened, prepare
from benchmarks.peer_models import PEER_MODELS
from benchmarks.peers import OURS, measure_ours, measure_peers, task_of
from features.faults import refuse
from features.history.contract import CANDIDATES
from features.history.source import History, open_history
from features.settings import FeatureSettings
from models.estimators.maturity import fit_maturity
from models.estimators.outcomes import Outcomes
from models.evaluation.backtest import LEAST_TRAINING, RIPE_SHARE

PEERS = (
    "one rate for all", "rate by price", "creator's past rate", "glum Poisson", "LightGBM Poisson", "LightGBM log",
    "CatBoost Tweedie 1.5",
)  # fmt: skip
SHOWN = ("skill", "rank", "value", "total", "coverage", "width")
COMPARED = ("skill", "rank", "value")
AT = (0.4, 0.5, 0.6, 0.7, 0.8)


def cut(history: History, share: float, test_share: float, folder: Path) -> Market | None:
    """What was known when `share` of all collaborations had started, and those that came next, in `folder`.

    Only settled results are tested on: one whose conversions are still arriving when DATA ends shows no truth. None
    where too little was known, or nothing followed.
    """
    spine = history.collaborations.order_by("starts_at", "collaboration_id").to_pandas()
    daily = None if history.conversions is None else history.conversions.to_pandas()
    results = Outcomes.from_tables(spine, daily, FeatureSettings().attribution_days)
    moment = results.starts[int(share * len(results))].astype("datetime64[D]").astype("datetime64[us]")
    end = results.starts[min(int((share + test_share) * len(results)), len(results) - 1)]
    rows, then = results.as_of(moment)
    arrived, _ = fit_maturity(results).arrived(results)
    tested = (arrived >= RIPE_SHARE) & (results.starts >= moment) & (results.starts <= end)
    if len(rows) < LEAST_TRAINING or then.counts.sum() <= 0 or results.counts[tested].sum() <= 0:
        return None
    known = spine.iloc[rows].assign(conversions=then.counts.astype(int), observed_until=then.until)
    # a click is counted when its result is; no table says how many there were before
    known["clicks"] = known.clicks.where(then.until == results.until[rows])
    (folder / "data").mkdir(parents=True)
    tables = {"collaborations": known, "creators": history.creators.to_pandas()}
    for name, at in {"posts": "posted_at", "comments": "commented_at"}.items():
        if (table := getattr(history, name)) is not None:
            tables[name] = table.filter(table[at] < pd.Timestamp(moment)).to_pandas()
    if daily is not None:
        ended = pd.to_datetime(daily.date) + pd.Timedelta(days=1) <= moment
        tables["conversions"] = daily[ended & daily.collaboration_id.isin(known.collaboration_id)]
    for name, table in tables.items():
        table.dropna(axis=1, how="all").to_parquet(folder / f"data/{name}.parquet", index=False)
    candidates = spine[tested].rename(columns={"collaboration_id": "candidate_id"})
    wanted = [name for name in CANDIDATES.columns if name in candidates]
    candidates[wanted].dropna(axis=1, how="all").to_parquet(folder / "candidates.parquet", index=False)
    truth = pd.DataFrame(
        {
            "candidate_id": candidates.candidate_id,
            "spend": results.spend[tested],
            "conversions": results.counts[tested] / arrived[tested],
        }
    )
    truth.to_parquet(folder / "truth.parquet", index=False)
    return Market.of(folder)


def measure(market: Market) -> list[dict]:
    """The lines of one moment: a model each."""
    with opened(market) as (history, holdout):
        prepared = prepare(history, holdout)
        task, took = task_of(history, holdout, prepared, 0.0)
    ours, _ = measure_ours(prepared, holdout, None)
    return [ours, *measure_peers(dict.fromkeys(PEER_MODELS, (task, took)), holdout, PEERS, None)]


def summary(lines: pd.DataFrame) -> pd.DataFrame:
    """A row a model, in the order of `lines`: means over moments, and how sure the difference to ours is."""
    ours = lines[lines["model"] == OURS].set_index("at")
    groups = lines.groupby("model", sort=False)
    table = groups[list(SHOWN)].mean()
    for name in COMPARED:
        less = lines[name] - lines["at"].map(ours[name])
        error: pd.Series = less.groupby(lines["model"], sort=False).std() / np.sqrt(groups.size())
        table[f"± {name}"] = error.where(table.index != OURS)
    return table.reset_index()


def shares(text: str) -> list[float]:
    """`0.4,0.6` as numbers, for the command line. Raises ValueError where one is none, or not within 0 to 1."""
    numbers = [float(part) for part in text.split(",")]
    if not all(0 < number < 1 for number in numbers):
        raise ValueError(text)
    return numbers


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    text = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        "benchmarks.rolling_origin",
        description=text[0],
        epilog=text[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", metavar="DATA", help="folder of tables, or a database")
    parser.add_argument("--at", type=shares, default=list(AT), help="shares of the collaborations, by commas")
    parser.add_argument(
        "--test-share", type=float, default=0.2, help="share of the collaborations to test on next (%(default)s)"
    )
    parser.add_argument("--output", type=Path, default=BUILD, metavar="FOLDER", help="for the tables (%(default)s)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Print the table and write it; raises InputError for data at fault, or too few."""
    lines: list[dict] = []
    args.output.mkdir(parents=True, exist_ok=True)
    with cli.Progress() as progress, tempfile.TemporaryDirectory(dir=args.output) as aside:
        for done, share in enumerate(args.at, 1):
            with open_history(args.data) as history:
                market = cut(history, share, args.test_share, Path(aside) / str(done))
            if market:
                lines += [{"at": share} | line for line in measure(market)]
            progress("moments", done, len(args.at))
    if not lines:
        refuse("DATA", args.data, "too little was known at every moment", "Give later ones with --at.")
    every = pd.DataFrame(lines)
    table = summary(every)
    write_tables(every, args.output / "rolling-origin-runs")
    write_tables(table, args.output / "rolling-origin")
    print(f"{every['at'].nunique()} moments")
    cli.show_table(cells(table))


if __name__ == "__main__":
    call = arguments(None)
    sys.exit(cli.run(lambda: main(call), debug=True))
