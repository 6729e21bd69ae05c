"""The log is written aside: whoever does not read it holds up nobody, and what is lost is counted."""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service import logs
from service.logs import MOST_LINES, WHOLE, Writer

LINE = b'{"n":%d,"padding":"' + b"x" * 80 + b'"}\n'


def read_lines(end: int) -> list[dict[str, Any]]:
    """What is in a pipe until it is closed."""
    with os.fdopen(end, "rb") as file:
        return [json.loads(line) for line in file]


def test_lines_come_in_order_and_whole() -> None:
    out, into = os.pipe()
    writer = Writer(into)
    writer.start()
    for n in range(300):
        writer.put(LINE % n)
    writer.put(b'{"long":"' + b"y" * 3 * WHOLE + b'"}\n')
    assert writer.flush(20)
    os.close(into)
    *lines, long = read_lines(out)
    assert [line["n"] for line in lines] == list(range(300))
    assert len(str(long["long"])) == 3 * WHOLE


def test_a_reader_that_stalls_costs_lines_that_are_counted() -> None:
    out, into = os.pipe()
    dropped: list[int] = []
    writer = Writer(into)
    writer.dropped = lambda: dropped.append(1)
    writer.start()
    put = 3 * MOST_LINES
    for n in range(put):
        writer.put(LINE % n)
    assert not writer.flush(0.05)
    assert len(dropped) > MOST_LINES
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(read_lines, out)
        flushed = writer.flush(20)
        os.close(into)
        lines = read.result()
    assert flushed
    counts = [line["count"] for line in lines if line.get("message") == "log lines dropped"]
    assert sum(counts) == len(dropped)
    assert sum("n" in line for line in lines) == put - len(dropped)


@pytest.mark.parametrize("target", ["closed", "/dev/full"])
def test_a_target_that_takes_nothing_is_no_failure(target: str) -> None:
    if target == "closed":
        out, into = os.pipe()
        os.close(out)
    else:
        into = os.open(target, os.O_WRONLY)
    lost: list[int] = []
    writer = Writer(into)
    writer.dropped = lambda: lost.append(1)
    writer.start()
    writer.put(LINE % 1)
    assert writer.flush(20)
    assert lost
    os.close(into)


def test_messages_of_other_modules_go_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    out, into = os.pipe()
    monkeypatch.setattr(logs, "WRITER", Writer(into))
    logger = logging.getLogger("creator_yield")
    monkeypatch.setattr(logger, "handlers", [])
    logs.set_up()
    try:
        raise KeyError("a secret")
    except KeyError:
        logger.exception("it failed", extra={"facts": {"about": "model"}})
    assert logs.WRITER.flush(20)
    os.close(into)
    (line,) = read_lines(out)
    assert (line["message"], line["about"], line["error"]) == ("it failed", "model", "KeyError")
    assert "a secret" not in str(line)
