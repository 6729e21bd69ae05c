"""What the commands share: arguments, exit status, progress, tables. Imports nothing that is slow."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

from features.faults import AT_FAULT, DONE, FAILED, Fault, InputError, OutputError
from features.secrets import masked_output
from features.streams import steady_output

INTERRUPTED, TERMINATED = 130, 143
_terminated = threading.Event()


def main(parse: Callable[[None], argparse.Namespace], command: Callable[[argparse.Namespace], int | None]) -> int:
    """Parse the command line, run the command, and return the exit status; secrets are masked in everything printed.

    A reader of the output who leaves early changes nothing; output that cannot be written gives status 1.
    """
    with steady_output() as failure, masked_output():
        try:
            arguments = parse(None)
        except SystemExit as leave:  # help, or arguments that argparse refuses
            status = leave.code if isinstance(leave.code, int) else DONE
        else:
            status = run(lambda: command(arguments), arguments.debug)
        if error := failure():
            received, remedy = error.strerror or str(error), "Send it elsewhere, or free some space."
            print(Fault("standard output", None, None, None, received, "it cannot be written", remedy), file=sys.stderr)
            status = status or FAILED
    return status


def run(command: Callable[[], int | None], debug: bool = False) -> int:
    """Run a command and return its exit status; faults are printed on standard error, one line each.

    debug: also print the traceback of an error that is not the input's.
    """
    with masked_output():
        return _run(command, debug)


def _run(command: Callable[[], int | None], debug: bool) -> int:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        return command() or DONE
    except InputError as error:
        print(error, file=sys.stderr)
        return AT_FAULT
    except OutputError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # whatever was not foreseen becomes one line and status 1
        if _terminated.is_set():  # a library in between may have turned the signal into an error of its own
            return TERMINATED
        if debug:
            traceback.print_exc()
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"{type(error).__name__}: {message}" + ("" if debug else " (--debug shows where)"), file=sys.stderr)
        return FAILED


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Leave as from an exception, so that temporary files are removed."""
    _terminated.set()
    raise SystemExit(TERMINATED)


def note(sentences: Iterable[str]) -> None:
    """Print on standard error what a person should know before the work begins."""
    for sentence in sentences:
        print(f"note: {sentence}", file=sys.stderr, flush=True)


def nonempty(text: str) -> str:
    """An argument that is not empty; argparse refuses an empty one with status 2."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


def path(text: str) -> Path:
    """A path that is not empty: an empty one would be the current folder."""
    return Path(nonempty(text))


class Progress:
    """Shows progress on standard error: a live bar on a terminal, otherwise a line now and then."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._bars: dict[str, Any] = {}
        self._tenths: dict[str, int] = {}  # printed last, by stage

    def __enter__(self) -> Progress:
        if self._live:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._display = Bars(*columns, console=Console(stderr=True), transient=True)
            self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._display.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` steps of a stage are finished."""
        if self._live:
            if stage not in self._bars:
                self._bars[stage] = self._display.add_task(stage, total=total)
            self._display.update(self._bars[stage], completed=done, total=total)
            return
        tenth = 10 * done // max(total, 1)
        if tenth > self._tenths.get(stage, -1):
            self._tenths[stage] = tenth
            print(f"{stage}: {done:,} of {total:,}", file=sys.stderr, flush=True)


def show_table(cells: list[list[str]]) -> None:
    """Print cells, a header first, as aligned columns on standard output: texts to the left, numbers to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    header, *rows = cells
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for name, values in zip(header, zip(*rows, strict=True), strict=True):
        numbers = all(map(_is_number, filter(None, values)))
        table.add_column(Text(name), justify="right" if numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    # wider than any table: it would cut cells at the width of the terminal, or at 80 where there is none
    console = Console(width=10_000, color_system=None)
    with console.capture() as printed:
        console.print(table)
    print("\n".join(map(str.rstrip, printed.get().splitlines())))


def _is_number(text: str) -> bool:
    return text.strip("–").replace(",", "").replace(".", "", 1).lstrip("-").isdigit() or text == "–"
