"""What goes back to a client beside the answer itself: headers, and the body compressed for those who take it so."""

from __future__ import annotations

import asyncio
import zlib
from functools import lru_cache

GZIP_FROM = 1_400  # bytes; what fits into one packet is no faster for being smaller
ASIDE_FROM = 65_536  # bytes whose compression takes a millisecond and more, so that it is done in a thread
HEADERS = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
]


@lru_cache(256)  # clients send the same again and again
def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header allows gzip, as RFC 9110 has it: by its name, else by `*`, unless with q=0."""
    found: dict[str, bool] = {}
    for one in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in one.split(";"))
        weights = [p.removeprefix("q=").strip() for p in parameters if p.startswith("q=")]
        try:
            found[name] = not weights or float(weights[0]) > 0
        except ValueError:
            found[name] = False
    return found.get("gzip", found.get("x-gzip", found.get("*", False)))


async def compressed(body: bytes, fixed: bool) -> bytes:
    """The body as gzip. fixed: it is the same for everybody, and compressed once."""
    if fixed:
        return _best(body)
    return _gzip(body) if len(body) < ASIDE_FROM else await asyncio.to_thread(_gzip, body)


@lru_cache(16)
def _best(body: bytes) -> bytes:
    return _gzip(body, 9)


def _gzip(body: bytes, level: int = 1) -> bytes:
    return zlib.compress(body, level, wbits=31)
