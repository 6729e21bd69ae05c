"""Writes a made-up market to a folder: `python -m demo OUT`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from demo.market import World, make_market
from demo.settings import MarketSettings
from features.streams import steady_output

EXAMPLES = """examples:
  python -m demo build/market                                   2,000 creators, 5,000 past results, 2,000 candidates
  python -m demo build/market --seed 7 --force                  another market in its place
  python -m demo build/large --creators 20000 --results 20000   a large one

All of it is made up: OUT/MADE_UP.md says so and how. OUT/data is what train.py reads, OUT/candidates.parquet what
predict.py scores, OUT/truth.parquet what is true of each candidate (for judging alone)."""
TABLES = ("collaborations", "creators", "posts", "comments", "conversions")
MARKER = "MADE_UP.md"


def marker_text(settings: MarketSettings, seed: int) -> str:
    """What the marker file of a world says."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in settings.described().items())
    return f"""# Made up

Everything in this folder is made up by creator-yield's demo market: no creator, brand, post, comment or result is real,
and nothing learnt from it may be reported as a finding about real markets.

Seed {seed}. The same seed and settings write the same files, byte by byte. Mechanisms and sources: docs/demo-market.md.

| setting | value |
|---|---|
| seed | {seed} |
{rows}
"""


def write_world(world: World, out: Path, settings: MarketSettings, seed: int, force: bool = False) -> None:
    """Writes the world to the folder `out`, whole or not at all; raises FileExistsError as `check_free` does."""
    check_free(out, force)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        whole = aside / "world"
        (whole / "data").mkdir(parents=True)
        for name in TABLES:
            getattr(world, name).to_parquet(whole / "data" / f"{name}.parquet", index=False)
        world.candidates.to_parquet(whole / "candidates.parquet", index=False)
        world.truth.to_parquet(whole / "truth.parquet", index=False)
        (whole / MARKER).write_text(marker_text(settings, seed), encoding="utf-8")
        if out.exists():
            os.rename(out, aside / "old")
        os.rename(whole, out)
    finally:
        shutil.rmtree(aside)


def check_free(out: Path, force: bool) -> None:
    """Raises FileExistsError if `out` exists, unless `force` is given and it is empty or an earlier made-up market.

    Anything else is never replaced: it could be real data.
    """
    if not os.path.lexists(out):
        return
    if not force:
        raise FileExistsError(f"{out} exists already; choose another folder, or replace it with --force")
    empty = out.is_dir() and not any(out.iterdir())
    if not empty and not (out / MARKER).is_file():
        raise FileExistsError(f"{out} exists and has no {MARKER}, so it is no made-up market; it is left as it is")


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    default = MarketSettings()
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Writes a made-up influencer market with known truth to a folder.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write; it must not exist")
    for name, what in {"creators": "creators", "results": "past collaborations", "candidates": "candidates"}.items():
        value = getattr(default, name)
        parser.add_argument(f"--{name}", type=int, default=value, help=f"number of {what} (default {value:,})")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same bytes (default 1)")
    parser.add_argument("--force", action="store_true", help="replace a made-up market that is there already")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; 0 when written, 2 when the call is at fault, 1 when OUT cannot be written.

    Raises SystemExit where argparse ends it.
    """
    args = arguments(argv)
    try:
        if args.seed < 0:
            raise ValueError(f"seed must be at least 0, got {args.seed}")
        settings = MarketSettings(creators=args.creators, results=args.results, candidates=args.candidates)
        check_free(args.out, args.force)
        world = make_market(settings, args.seed)
        write_world(world, args.out, settings, args.seed, args.force)
    except (ValueError, FileExistsError) as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, a folder that may not be written to
        reason = os.strerror(error.errno) if error.errno else error
        print(f"error: {args.out} cannot be written: {reason}; nothing was left there", file=sys.stderr)
        return 1
    sizes = f"{len(world.creators):,} creators, {len(world.posts):,} posts, {len(world.collaborations):,} results"
    print(f"Made-up market (seed {args.seed}) in {args.out}: {sizes}, {len(world.candidates):,} candidates")
    return 0


def run() -> int:
    """`main` from a shell: a reader of the output who leaves early, or an encoding that lacks a character, changes
    nothing; the status is 1 where the output cannot be written.
    """
    with steady_output() as failure:
        try:
            status = main()
        except SystemExit as leave:  # help, or a call that argparse refuses
            status = leave.code if isinstance(leave.code, int) else 0
        if error := failure():
            print(f"error: standard output cannot be written: {error.strerror or error}", file=sys.stderr)
            status = status or 1
    return status


if __name__ == "__main__":
    sys.exit(run())
