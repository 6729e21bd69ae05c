"""What all commands share: exit statuses, one line a fault, progress. Imports nothing that is slow."""

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

from features.faults import Fault, InputError
from features.secrets import masked_output
from features.streams import steady_output

DONE, FAILED, AT_FAULT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

_told_to_leave = threading.Event()


class CommandError(Exception):
    """What stops a command although its input is right, such as a full disk; its text says all, with status 1."""


def main(parse: Callable[[None], argparse.Namespace], command: Callable[[argparse.Namespace], int | None]) -> int:
    """Read the command line, run a command with it, and return its exit status; secrets are masked in all it prints.

    A reader of the output who leaves early changes nothing; output that cannot be written gives status 1.
    """
    with steady_output() as failure:
        status = _main(parse, command)
        if error := failure():
            received, remedy = error.strerror or str(error), "Send it elsewhere, or free some space."
            print(Fault("standard output", None, None, None, received, "it cannot be written", remedy), file=sys.stderr)
            status = status or FAILED
    return status


def _main(parse: Callable[[None], argparse.Namespace], command: Callable[[argparse.Namespace], int | None]) -> int:
    with masked_output():
        try:
            call, ended = parse(None), []
        except SystemExit as leave:  # help, or a call that argparse refuses
            return leave.code if isinstance(leave.code, int) else DONE
        status = run(lambda: ended.append(command(call)), call.debug)
    return status or sum(filter(None, ended))


def run(command: Callable[[], None], debug: bool = False) -> int:
    """Run a command and return its exit status; what is wrong is told on standard error, one line a fault.

    debug: also print the traceback of an error that is not the input's.
    """
    with masked_output():
        return _run(command, debug)


def _run(command: Callable[[], None], debug: bool) -> int:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        command()
    except InputError as error:
        print(error, file=sys.stderr)
        return AT_FAULT
    except CommandError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # the command's own end: whatever was not foreseen is told in a line, with status 1
        if _told_to_leave.is_set():  # a library between may have made an error of its own of it
            return TERMINATED
        if debug:
            traceback.print_exc()
        told = " ".join(str(error).split()) or type(error).__name__
        print(f"{type(error).__name__}: {told}" + ("" if debug else " (--debug shows where)"), file=sys.stderr)
        return FAILED
    return DONE


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Leave as from an exception, so that what lies aside is cleared away."""
    _told_to_leave.set()
    raise SystemExit(TERMINATED)


def refuse(option: str, received: object, problem: str, remedy: str) -> NoReturn:
    """Raise InputError for a call that cannot be carried out."""
    raise InputError([Fault(option, received=str(received), problem=problem, remedy=remedy)])


def note(sentences: Iterable[str]) -> None:
    """What a person should know before the work, on standard error."""
    for sentence in sentences:
        print(f"note: {sentence}", file=sys.stderr, flush=True)


def some(text: str) -> str:
    """An argument that is not empty; argparse refuses one that is, with status 2."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


def path(text: str) -> Path:
    """A path that is not empty: an empty one would be the current folder."""
    return Path(some(text))


class Progress:
    """Tells on standard error how far a command is: a live bar on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._bars: dict[str, Any] = {}
        self._told: dict[str, int] = {}

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
        """`done` of `total` steps of a stage are behind us."""
        if self._live:
            if stage not in self._bars:
                self._bars[stage] = self._display.add_task(stage, total=total)
            self._display.update(self._bars[stage], completed=done, total=total)
            return
        tenth = 10 * done // max(total, 1)
        if tenth > self._told.get(stage, -1):
            self._told[stage] = tenth
            print(f"{stage}: {done:,} of {total:,}", file=sys.stderr, flush=True)


def show_table(cells: list[list[str]]) -> None:
    """Print cells, a header first, as aligned columns on standard output; the first three lines up left."""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for row in cells:
        line = (v.ljust(w) if v and not _is_number(v) else v.rjust(w) for v, w in zip(row, widths, strict=True))
        print("  ".join(line).rstrip())


def _is_number(text: str) -> bool:
    return text.strip("–").replace(",", "").replace(".", "", 1).lstrip("-").isdigit() or text == "–"
