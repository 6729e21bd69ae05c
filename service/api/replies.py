"""What goes back to a client beside the answer itself: headers, and the body compressed for those who take it so."""

from __future__ import annotations

import asyncio
import zlib
from functools import lru_cache
from typing import Literal

import brotli

Encoding = Literal["br", "gzip"]
COMPRESSED_FROM = 1_400  # bytes; what fits into one packet is no faster for being smaller
ASIDE_FROM = 65_536  # bytes whose compression takes a millisecond and more, so that it is done in a thread
HEADERS = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
]


@lru_cache(256)  # clients send the same again and again
def accepted_encoding(accepted: str) -> Encoding | None:
    """What an Accept-Encoding header likes best, as RFC 9110 has it; None for an answer as it is.

    An encoding has the weight beside its name, else that of `*`; with 0 it is refused. Brotli goes before gzip where
    both are as welcome: it makes a smaller answer in the same time.
    """
    found: dict[str, float] = {}
    for one in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in one.split(";"))
        weights = [p.removeprefix("q=").strip() for p in parameters if p.startswith("q=")]
        try:
            found[name] = float(weights[0]) if weights else 1.0
        except ValueError:
            found[name] = 0.0
    others = found.get("*", 0.0)
    br, gzip = found.get("br", others), found.get("gzip", found.get("x-gzip", others))
    if max(br, gzip) <= 0:
        return None
    return "br" if br >= gzip else "gzip"


async def compressed(body: bytes, encoding: Encoding, fixed: bool) -> bytes:
    """The body in that encoding. fixed: it is the same for everybody, and compressed once."""
    if fixed:
        return _best(body, encoding)
    if len(body) < ASIDE_FROM:
        return _encoded(body, encoding, 1)
    return await asyncio.to_thread(_encoded, body, encoding, 1)


@lru_cache(32)
def _best(body: bytes, encoding: Encoding) -> bytes:
    return _encoded(body, encoding, 9)


def _encoded(body: bytes, encoding: Encoding, level: int) -> bytes:
    if encoding == "br":
        return bytes(brotli.compress(body, quality=level))
    return zlib.compress(body, level, wbits=31)
