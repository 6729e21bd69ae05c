"""Reads the bodies of requests: of the right kind, in time, and never more bytes at once than a worker has room for."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from service.problems import Problem

JSON = "application/json"
MOST_BYTES = 8 * 2**20
SECONDS = 10.0
SMALL_BYTES, DRAINED_BYTES = 65_536, 8 * MOST_BYTES
ROOM = 128 * 2**20  # bytes of all bodies that a worker holds at once
LARGE_ROOM = 96 * 2**20  # above this none but small ones are let in, so that a few large ones do not shut out the rest


class Room:
    """Counts the bytes of bodies that are held, or announced."""

    def __init__(self) -> None:
        self.held = 0

    def body(self) -> Body:
        """One that is still to be read."""
        return Body(self)


class Body:
    """The body of a request. It has its room until `take` or the end of the `with`."""

    def __init__(self, room: Room) -> None:
        self._room, self._held = room, 0
        self._data = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.take()

    def take(self) -> bytes:
        """The bytes, whose room is given back: whoever takes them reads them at once."""
        self._room.held -= self._held
        data, self._data, self._held = self._data, b"", 0
        return data

    def _reserve(self, size: int, most: int) -> bool:
        """Hold room for so many bytes in all; whether there is any."""
        more = size - self._held
        if more > 0 and self._room.held + more > most:
            return False
        self._held += max(more, 0)
        self._room.held += max(more, 0)
        return True

    async def read(self, scope: Any, proto: Any) -> None:
        """Read it. Raises Problem for what is too large, too slow, of another kind, or finds no room."""
        _require_json(scope.headers)
        stated = scope.headers.get("content-length")
        length = int(stated) if stated and stated.isdigit() else None
        try:
            async with asyncio.timeout(SECONDS):
                if length is not None and length <= SMALL_BYTES and self._reserve(length, ROOM):
                    self._data = await proto()
                else:
                    await self._read_large(proto, length)
        except TimeoutError:
            detail = f"The body did not arrive within {SECONDS:g} seconds."
            raise Problem(408, "slow", detail, connection="close") from None

    async def _read_large(self, proto: Any, length: int | None) -> None:
        # what is not kept is read, up to a point, and thrown away: else its sender never hears why
        parts: list[bytes] = []
        size, room = 0, length is None or length > MOST_BYTES or self._reserve(length, LARGE_ROOM)
        async for chunk in proto:
            size += len(chunk)
            if size > DRAINED_BYTES:
                break
            room = room and (size > MOST_BYTES or self._reserve(size, LARGE_ROOM))
            if room and size <= MOST_BYTES:
                parts.append(chunk)
            elif parts:
                parts.clear()
        if size > MOST_BYTES:
            raise Problem(413, "too-large", f"A body may have {MOST_BYTES:,} bytes at most.", connection="close")
        if not room:
            detail = "Too many large requests are arriving here. Try again shortly."
            raise Problem(429, "overloaded", detail, retry_after="1")
        self._data = b"".join(parts)


def _require_json(headers: Any) -> None:
    kind = headers.get("content-type")
    if kind and kind != JSON and kind.partition(";")[0].strip().lower() != JSON:
        raise Problem(415, "not-json", "Send the body with the header Content-Type: application/json.")
    encoding = headers.get("content-encoding")
    if encoding and encoding.strip().lower() != "identity":
        raise Problem(
            415, "encoding", "Send the body as it is, without a Content-Encoding.", accept_encoding="identity"
        )
