"""Bodies: never more of them are held than there is room for."""

from __future__ import annotations

import asyncio

import pytest

from service.api.bodies import LARGE_ROOM, MOST_BYTES, ROOM, SMALL_BYTES, Room
from service.problems import Problem


class Body:
    """A request whose body comes in parts."""

    def __init__(self, *parts: bytes, **headers: str) -> None:
        self.headers, self.parts = {name.replace("_", "-"): value for name, value in headers.items()}, list(parts)

    async def __call__(self) -> bytes:
        return b"".join(self.parts)

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        if not self.parts:
            raise StopAsyncIteration
        return self.parts.pop(0)


def test_never_more_bodies_are_held_than_there_is_room_for() -> None:
    asyncio.run(_fill(Room()))


async def _fill(room: Room) -> None:
    held = []
    large = LARGE_ROOM // MOST_BYTES
    for number in range(large + 3):
        body, request = room.body(), Body(b"x" * MOST_BYTES, content_length=str(MOST_BYTES))
        if number < large:
            await body.read(request, request)
            held.append(body)
        else:  # one that announces its length, and one that does not
            request.headers = request.headers if number == large else {}
            with pytest.raises(Problem) as caught:
                await body.read(request, request)
            assert (caught.value.status, caught.value.headers) == (429, [("retry-after", "1")])
            body.take()
    assert room.held == LARGE_ROOM
    small = Body(b"{}", content_length=str(SMALL_BYTES))
    with room.body() as one:
        await one.read(small, small)
        assert room.held == LARGE_ROOM + SMALL_BYTES < ROOM
        assert one.take() == b"{}"
        assert room.held == LARGE_ROOM
    assert len(held.pop().take()) == MOST_BYTES
    again = Body(b"x" * 70_000, b"y" * 70_000)
    with room.body() as one:
        await one.read(again, again)
        assert room.held == LARGE_ROOM - MOST_BYTES + 140_000
    for one in held:
        one.take()
    assert room.held == 0


class SlowBody(Body):
    """A request whose body comes once `sent` is set."""

    def __init__(self, sent: asyncio.Event) -> None:
        super().__init__(b"x" * MOST_BYTES, content_length=str(MOST_BYTES))
        self.sent = sent

    async def __anext__(self) -> bytes:
        await self.sent.wait()
        return await super().__anext__()


def test_a_body_has_its_room_before_its_first_byte_comes() -> None:
    """Else clients that send slowly would all be let in, and the worker would hold what they have sent so far."""
    asyncio.run(_announce(Room()))


async def _announce(room: Room) -> None:
    sent = asyncio.Event()
    held = [room.body() for _ in range(LARGE_ROOM // MOST_BYTES)]
    reading = [asyncio.create_task(one.read(slow, slow)) for one in held for slow in [SlowBody(sent)]]
    await asyncio.sleep(0)
    assert room.held == LARGE_ROOM
    late = Body(b"x" * MOST_BYTES, content_length=str(MOST_BYTES))
    with room.body() as one, pytest.raises(Problem) as caught:
        await one.read(late, late)
    assert caught.value.status == 429
    sent.set()
    await asyncio.gather(*reading)
    assert [len(one.take()) for one in held] == [MOST_BYTES] * len(held)
    assert room.held == 0
