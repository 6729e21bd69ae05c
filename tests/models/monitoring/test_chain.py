"""The chain of lines: whatever is done to it is found, and named."""

from __future__ import annotations

import random
from io import BytesIO

import pytest

from models.monitoring.chain import START, Break, BrokenError, Head, Walk, Writer, check_heads, make, parse


def chain(lines: int = 7) -> list[bytes]:
    writer = Writer(START)
    return [writer.line("note", {"text": f"é {i}", "x": 0.1 * i}) for i in range(lines)]


def rebuilt(lines: list[bytes], at: int) -> list[bytes]:
    """The lines with the one at an index changed, and all after it made anew by one who knows how."""
    writer, out = Writer(START), []
    for i, raw in enumerate(lines):
        line = parse(raw[:-1])
        assert line
        content = {k: v for k, v in line.content().items() if k not in ("n", "previous", "kind", "sha256")}
        out.append(writer.line(line.kind, {**content, "x": 7.5} if i == at else content))
    return out


def walk(data: bytes) -> Walk:
    found = Walk(BytesIO(data))
    for _ in found:
        pass
    return found


def broken(data: bytes, heads: tuple[Head, ...] = ()) -> Break | None:
    """What a check of everything finds."""
    found, known = Walk(BytesIO(data)), {}
    try:
        for line in found:
            known[line.number] = line.sha256
    except BrokenError as error:
        return error.found
    if found.tail:
        return Break(found.at.lines + 1, "torn", "")
    return check_heads(heads, known, found.at)


def head(lines: list[bytes]) -> Head:
    at = walk(b"".join(lines)).at
    return Head(at.ledger, at.lines, at.sha256)


def test_a_line_reads_back_as_it_was_written() -> None:
    line = make(3, "a" * 64, "note", {"text": "é\n\u2028", "x": 0.1 + 0.2})
    read = parse(line.data)
    assert read == line
    assert read.content() == {**line.content(), "text": "é\n\u2028", "x": 0.1 + 0.2}
    assert b"\n" not in line.data


def test_a_number_that_json_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        make(1, "0" * 64, "note", {"x": float("nan")})


def test_a_chain_holds_and_ends_at_its_head() -> None:
    lines = chain()
    found = walk(b"".join(lines))
    assert (found.at.lines, found.at.offset) == (7, sum(map(len, lines)))
    assert found.at.ledger == parse(lines[0][:-1]).sha256  # type: ignore[union-attr]
    assert found.at.sha256 == parse(lines[-1][:-1]).sha256  # type: ignore[union-attr]
    assert Head.read(str(head(lines))) == head(lines)


def test_every_byte_that_is_changed_is_found() -> None:
    data, rng = b"".join(chain(4)), random.Random(0)
    for place in range(len(data)):
        other = bytearray(data)
        other[place] ^= 1 << rng.randrange(8)
        found = broken(bytes(other))
        assert found is not None, place
        assert found.line == data[:place].count(b"\n") + 1


def test_every_line_that_goes_comes_twice_or_moves_is_found_and_named() -> None:
    lines = chain()
    last = len(lines) - 1
    for i in range(len(lines)):
        without = lines[:i] + lines[i + 1 :]
        found = broken(b"".join(without), (head(lines),))
        assert found is not None
        assert (found.line, found.kind) == (i + 1, "removed")
        for j in range(len(lines)):
            twice = broken(b"".join([*lines[:j], lines[i], *lines[j:]]))
            assert twice is not None
            moved = broken(b"".join([*without[:j], lines[i], *without[j:]]))
            if i == j:
                assert moved is None
                continue
            assert moved is not None
            assert (moved.line, moved.kind) == (min(i, j) + 1, "reordered")
    assert broken(b"".join([*lines, lines[last]])) == Break(
        8, "inserted", "it was written as line 7: something was put in before it"
    )


def test_a_cut_at_any_byte_is_found_by_the_head_and_at_most_a_line_end_is_missing_otherwise() -> None:
    lines = chain(4)
    data, known = b"".join(lines), (head(lines),)
    ends = {i for i in range(len(data)) if data[i : i + 1] == b"\n"}
    for length in range(1, len(data) - 1):
        assert broken(data[:length], known) is not None
        whole = length in ends or length - 1 in ends
        assert (broken(data[:length]) is None) == whole, length
    assert broken(data[:-1], known) is None


def test_a_chain_made_anew_from_a_changed_line_is_found_by_a_head() -> None:
    lines = chain()
    early, known = head(lines[:3]), head(lines)
    for i in range(1, len(lines)):
        forged = b"".join(rebuilt(lines, i))
        assert broken(forged) is None
        found = broken(forged, (known, early))
        assert found is not None
        assert (found.line, found.kind) == ((3 if i < 3 else 7), "changed")
        assert f"from {1 if i < 3 else 4} to this one" in found.sentence
    longer = b"".join([*lines, Writer(walk(b"".join(lines)).at).line("note", {})])
    assert broken(longer, (known, early)) is None


def test_a_line_of_another_chain_is_a_change_of_the_line_before() -> None:
    lines, other = chain(), rebuilt(chain(), 2)
    found = broken(b"".join([*lines[:4], other[4], *lines[5:]]))
    assert found is not None
    assert (found.line, found.kind) == (4, "changed")


def test_a_torn_line_is_closed_without_being_hidden() -> None:
    lines = chain(3)
    whole = b"".join(lines)
    for cut in (1, 40, len(lines[2]) - 2):
        torn = b"".join(lines[:2]) + lines[2][:cut]
        found = walk(torn)
        assert found.tail == lines[2][:cut]
        writer = Writer(found.at)
        data = torn + writer.close_torn(found.tail, "2026-01-01T00:00:00Z") + writer.line("note", {})
        again = walk(data)
        assert (again.at.lines, again.tears) == (5, [3])
        assert again.at.sha256 == writer.at.sha256
        # neither the torn line nor what closes it can be changed or taken out, nor a whole line be passed off as torn
        pieces = data.splitlines(keepends=True)
        for i in range(len(pieces) - 1):
            assert broken(b"".join(pieces[:i] + pieces[i + 1 :])) is not None
        assert broken(data.replace(pieces[2], pieces[2][:-1] + b"x\n")) is not None
        assert broken(data.replace(pieces[2], lines[2])) is not None
    assert broken(whole) is None


def test_a_line_without_its_end_is_whole() -> None:
    lines = chain(3)
    found = walk(b"".join(lines)[:-1])
    assert (found.at.lines, found.ended, found.tail) == (3, False, b"")


@pytest.mark.parametrize("text", ["", "3", "0:" + "a" * 64 + ":" + "b" * 64, "3:xyz:" + "b" * 64])
def test_a_text_that_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a head is"):
        Head.read(text)
