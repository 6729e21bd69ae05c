"""Masks passwords, tokens and keys in all that is printed, logged or stored.

A secret is known by where it stands: the password of a URL, a parameter such as `password=`, an `Authorization` header;
or by its value, once it stands in the environment or on the command line: percent-encoded, decoded and quoted forms of
it count as well. User names stay.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import IO, Any
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
WHOLE_WORD = 8  # a shorter secret is masked only where no letter or digit is beside it
SHORTEST = 3

_NAMED = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|_PWD$|(^|_)PASS($|_)|SECRET|(^|_)TOKENS?($|_)|(API|ACCESS|PRIVATE|ACCOUNT|SHARED)_?KEYS?"
    r"|CREDENTIALS?($|_)|(^|_)SAS($|_)",
    re.IGNORECASE,
)
_NO_SECRETS = {"true", "false", "none", "null", "yes", "no"}
_URL = re.compile(r"[a-z][a-z0-9+.-]*://(?P<user>[^\s:/@]*):(?P<password>\S*)@", re.IGNORECASE)
_KEY = (
    r"[\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|account[_-]?key|signature)[\w-]*"
    r"|pwd|sig"
)
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)[^\s/'\"]*(?=@)",
        r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)[^\s/@'\"]*(?=…)",  # a URL that was cut off
        rf"(?P<keep>\b(?:{_KEY})=)(?!\*\*\*)(?:'[^']*'|\"[^\"]*\"|[^\s&;,)'\"]+)",
        rf"(?P<keep>['\"](?:{_KEY})['\"]\s*:\s*['\"])[^'\"]+",
        r"(?P<keep>\b(?:password|secret)\s+')[^']+",
        r"(?P<keep>\bauthorization['\"]?\s*[:=]\s*['\"]?(?:basic |bearer )?)[^\s'\",]+",
        r"(?P<keep>\bbearer )[\w.~+/=-]{16,}",
        r"(?P<keep>)\bAKIA[0-9A-Z]{16}\b",
    )
)


def mask(text: str) -> str:
    """The text with `***` for each secret."""
    values = _values(tuple(os.environ.items()), tuple(sys.argv))
    if values is not None:
        text = values.sub(MASK, text)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<keep>{MASK}", text)
    return text


@lru_cache(maxsize=8)
def _values(environment: tuple[tuple[str, str], ...], arguments: tuple[str, ...]) -> re.Pattern[str] | None:
    """What matches any form of a secret that the environment or the command line holds."""
    variables = dict(environment)
    found: set[str] = set()
    for name, value in environment:
        if _NAMED.search(name) and not value.startswith("@") and not os.path.exists(value):
            found |= {value, *(part.rpartition(":")[2] for part in re.split(r"[,;\s]+", value))}
    for text in (*variables.values(), *arguments):
        for url in _URL.finditer(text):
            found |= {url["password"], _basic(url["user"], url["password"])}
    if password := variables.get("MLFLOW_TRACKING_PASSWORD"):
        found.add(_basic(variables.get("MLFLOW_TRACKING_USERNAME", ""), password))
    forms = {form for secret in found for form in _forms(secret)}
    usable = sorted((f for f in forms if len(f) >= SHORTEST and f.lower() not in _NO_SECRETS), key=len, reverse=True)
    return re.compile("|".join(map(_bounded, usable))) if usable else None


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()


def _forms(secret: str) -> Iterable[str]:
    """The ways in which a message may write a secret."""
    for plain in {secret, unquote(secret)}:
        encoded = {quote(plain, safe=""), quote(plain), quote_plus(plain)}
        escaped = {repr(plain)[1:-1], json.dumps(plain)[1:-1], " ".join(plain.split())}
        lower = {re.sub(r"%[0-9A-F]{2}", lambda m: m[0].lower(), one) for one in encoded}
        yield from (
            {plain} | encoded | lower | escaped | {quote(one, safe=safe) for one in encoded for safe in ("", "/")}
        )


def _bounded(secret: str) -> str:
    pattern = re.escape(secret)
    return pattern if len(secret) >= WHOLE_WORD else rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"


class _Masked:
    """A text stream that masks what is written to it; in all else it is the stream."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def mask_output() -> None:
    """Mask all that this process writes to standard output and standard error from now on."""
    if not isinstance(sys.stdout, _Masked):
        sys.stdout, sys.stderr = _Masked(sys.stdout), _Masked(sys.stderr)


@contextmanager
def masked_output() -> Iterator[None]:
    """Mask what is written to standard output and standard error inside the context."""
    before = sys.stdout, sys.stderr
    mask_output()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
