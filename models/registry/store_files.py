"""SQLite files of stores: opened where they are, and never made anew where one was moved away meanwhile.

SQLite makes an empty file where there is none, and MLflow opens its store for every single query.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import event
from sqlalchemy.engine import Dialect, Engine

GONE = "is not there any more"
_opened_only: set[str] = set()  # absolute paths


def never_make(file: Path) -> None:
    """From now on have this process fail, with sqlite3.OperationalError, where it would open a file that is gone.

    It applies to all that opens the file by SQLAlchemy, as MLflow does.
    """
    if not event.contains(Engine, "do_connect", _connect):
        event.listen(Engine, "do_connect", _connect)
    _opened_only.add(os.path.abspath(file))


def _connect(dialect: Dialect, record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
    """A connection to such a file; None for all others, which SQLAlchemy then opens as ever."""
    if dialect.name != "sqlite" or not arguments or arguments[0] not in _opened_only:
        return None
    path = arguments[0]
    if not os.path.exists(path):
        raise sqlite3.OperationalError(f"{path} {GONE}")
    # SQLite itself makes nothing either, should the file go in this very moment: https://www.sqlite.org/uri.html
    return dialect.connect(f"file:{quote(os.fsencode(path))}?mode=rw", **(options | {"uri": True}))
