"""API keys: only their SHA-256 is held, one a name; limits are counted for all workers together.

CREATOR_YIELD_API_KEYS has entries `NAME:SHA256[:REQUESTS_PER_SECOND]`, with spaces, commas or lines between them, or is
`@FILE`, a file of such entries that is read again when it changes: keys come and go without a restart.
"""

from __future__ import annotations

import hashlib
import hmac
import mmap
import os
import re
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "CREATOR_YIELD_API_KEYS"
_ENTRY = re.compile(r"(?P<name>[\w.-]{1,64}):(?P<digest>[0-9a-fA-F]{64})(?::(?P<limit>[1-9][0-9]{0,6}))?")
SLOTS = 4096
_SLOT = struct.Struct("<qq")


@dataclass(frozen=True)
class Key:
    """A key that is let in. limit: requests a second, None for any number."""

    name: str
    digest: bytes
    limit: int | None


def read(setting: str) -> list[Key]:
    """The keys of the variable's value. Raises ValueError for none or for one of another form, OSError for a file."""
    try:
        text = Path(setting[1:]).read_text(encoding="utf-8") if setting.startswith("@") else setting
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8") from None
    entries = [entry for entry in re.split(r"[\s,]+", re.sub(r"#.*", "", text)) if entry]
    if not entries:  # a file that is being written, too: it must not shut everybody out
        raise ValueError("there is no API key")
    return [_key(number, entry) for number, entry in enumerate(entries, 1)]


def _key(number: int, entry: str) -> Key:
    parts = _ENTRY.fullmatch(entry)
    if parts is None:  # never shown: it may be a key in plain text
        raise ValueError(f"entry {number} is not NAME:SHA256 or NAME:SHA256:REQUESTS_PER_SECOND")
    limit = int(parts["limit"]) if parts["limit"] else None
    return Key(parts["name"], bytes.fromhex(parts["digest"]), limit)


class Keys:
    """The keys as they stand now. clock: seconds since 1970."""

    def __init__(self, setting: str, counts: Path, clock: Callable[[], float] = time.time) -> None:
        """counts: a file that all workers share. Raises ValueError or OSError for keys that cannot be read."""
        self.setting, self.clock = setting, clock
        self._stamp = self._changed()
        self.keys = read(setting)
        with counts.open("a+b") as file:
            # not a hole: writing to one kills the process once the disk is full
            file.write(bytes(max(0, SLOTS * _SLOT.size - os.fstat(file.fileno()).st_size)))
            file.flush()
            self._counts = mmap.mmap(file.fileno(), SLOTS * _SLOT.size)

    def refresh(self) -> None:
        """Read the file again where it changed. Raises as at first; what was there stays then."""
        stamp = self._changed()
        if stamp != self._stamp:
            self.keys = read(self.setting)
            self._stamp = stamp

    def _changed(self) -> tuple[int, ...]:
        if not self.setting.startswith("@"):
            return ()
        file = Path(self.setting[1:]).stat()
        return file.st_mtime_ns, file.st_size, file.st_ino

    def find(self, presented: str) -> Key | None:
        """The key that was presented; every one is compared, in the same time."""
        digest = hashlib.sha256(presented.encode(errors="surrogatepass")).digest()
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def allows(self, key: Key) -> bool:
        """Count a request; False where the key has had its requests of this second.

        Workers count without a lock: of two at the same instant one may be missed, never more.
        """
        if key.limit is None:
            return True
        place = int.from_bytes(key.digest[:4], "little") % SLOTS * _SLOT.size
        second, count = _SLOT.unpack_from(self._counts, place)
        now = int(self.clock())
        count = count + 1 if second == now else 1
        _SLOT.pack_into(self._counts, place, now, count)
        return count <= key.limit
