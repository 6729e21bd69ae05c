"""How many results a ranking needs: ours and the peers', from a few hundred results to tens of thousands.

    python -m benchmarks.efficiency [--results 300,1000,3000,8000,20000]

One demo market has as many results as the largest number requested; smaller sizes are random samples of it over the
whole time, with the same creators, posts, comments, candidates and truth. Keeping the newest results instead would
leave a few days, all still being counted; another market of that size would have other candidates. Small samples are
drawn several times and their means shown. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pandas as pd

import cli
from benchmarks.figures import cells, write, write_tables
from benchmarks.market import BUILD, DEFAULT, Market, make, opened, prepare, thinned, whole_numbers
from benchmarks.peers import OURS, measure_ours, measure_peers, task_of

SIZES = (300, 1_000, 3_000, 8_000, 20_000)
DRAWS = ((300, 5), (1_000, 3))  # up to so many results, so many draws; one beyond
PEERS = ("creator's past rate", "glum Poisson", "LightGBM Poisson", "LightGBM log", "CatBoost Tweedie 1.5")
SHOWN = ("value", "rank", "skill", "total")


def draws(results: int, all_results: int) -> int:
    """How often so few results are drawn; all of them once."""
    return next((times for most, times in DRAWS if results <= most < all_results), 1)


def measure(market: Market, results: int, draw: int, folder: Path) -> list[dict]:
    """The lines of one draw: a model each."""
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        part = thinned(market, results, draw, Path(aside) / "data")
        with opened(part) as (history, holdout):
            prepared = prepare(history, holdout)
            task, took = task_of(history, holdout, prepared, 0.0)
        ours, _ = measure_ours(prepared, holdout, None)
    lines = [ours, *measure_peers(dict.fromkeys(PEERS, (task, took)), holdout, PEERS, None)]
    return [{"results": results, "draw": draw} | line for line in lines]


def means(lines: pd.DataFrame) -> pd.DataFrame:
    """A row for each number of results and model, in the order of `lines`: draws, means of `SHOWN`, spread of value."""
    groups = lines.groupby(["results", "model"], sort=False)
    table = groups[list(SHOWN)].mean()
    table.insert(0, "draws", groups.size())
    table["value_sd"] = groups.value.std()
    table["rank_sd"] = groups["rank"].std()
    return table.reset_index()


def picture(table: pd.DataFrame) -> bytes:
    """Value and rank against the number of results, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, 2), SHOWN, strict=False):
        for model, part in table.groupby("model", sort=False):
            ours = model == OURS
            axes.errorbar(
                part.results, part[name], part[f"{name}_sd"].fillna(0), marker="o", markersize=4, capsize=2,
                linewidth=2.5 if ours else 1.2, color="black" if ours else None, label=str(model),
            )  # fmt: skip
        axes.set(xscale="log", xlabel="results", ylabel=name, xticks=sorted(set(table.results)))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    figure.suptitle(
        "Demo market (made up): conversions that a tenth of the money buys, and the ranking of all candidates"
    )
    out = BytesIO()
    figure.savefig(out, format="png", dpi=120, metadata={"Software": None})
    return out.getvalue()


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    text = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        "benchmarks.efficiency", description=text[0], epilog=text[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--results", type=whole_numbers, default=list(SIZES), help="numbers of results, by commas")
    parser.add_argument("--creators", type=int, default=DEFAULT.creators, help="of the market (%(default)s)")
    parser.add_argument("--candidates", type=int, default=DEFAULT.candidates, help="of the market (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the market (%(default)s)")
    parser.add_argument("--output", type=Path, default=BUILD, metavar="FOLDER", help="for tables and picture")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Measure, print the table, write it and the picture."""
    sizes = sorted(set(args.results))
    settings = replace(DEFAULT, results=sizes[-1], creators=args.creators, candidates=args.candidates)
    market = make(args.output / "efficiency-market", settings, args.seed)
    runs = [(size, draw) for size in sizes for draw in range(draws(size, sizes[-1]))]
    lines: list[dict] = []
    with cli.Progress() as progress:
        for done, (size, draw) in enumerate(runs, 1):
            lines += measure(market, size, draw, args.output)
            table = means(pd.DataFrame(lines))
            write_tables(pd.DataFrame(lines), args.output / "efficiency-runs")
            write_tables(table, args.output / "efficiency")
            progress("runs", done, len(runs))
    write(args.output / "efficiency.png", picture(table))
    cli.show_table(cells(table))


if __name__ == "__main__":
    call = arguments(None)
    sys.exit(cli.run(lambda: main(call), debug=True))
