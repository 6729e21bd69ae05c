"""What MLflow and its databases raise, as faults that say what is wrong with the store and how to mend it."""

from __future__ import annotations

import functools
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, ParamSpec, TypeVar

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException
from sqlalchemy.exc import SQLAlchemyError

from features.faults import Fault, InputError
from features.secrets import mask
from models.registry.store_files import GONE

P = ParamSpec("P")
R = TypeVar("R")
LONGEST = 300  # of another program's message

_STATEMENT = re.compile(r"^\((?:\w+\.)+\w+\) | \[SQL: .*| \(Background on this error at .*")  # SQLAlchemy's

_AGAIN = "Start it, or set MLFLOW_TRACKING_URI to where it is."
_LOGIN = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
# what a message says, what that means, and the cure
_KNOWN = tuple(
    (re.compile(pattern, re.IGNORECASE), problem, remedy)
    for pattern, problem, remedy in (
        (r"error code 401|UNAUTHENTICATED|password authentication failed|access denied for user",
         "the store wants a login, or does not know this one", _LOGIN),
        (r"error code 403|PERMISSION_DENIED|permission denied for", "the store does not allow this user to do that",
         f"Ask for the rights, or log in as someone else. {_LOGIN}"),
        (r"SSLError|certificate verify|\bTLS\b", "no secure connection can be made to the store",
         "Check the server's certificate, REQUESTS_CA_BUNDLE and MLFLOW_TRACKING_SERVER_CERT_PATH."),
        (r"Max retries|connection refused|timed out|failed to establish|name or service not known|NameResolution"
         r"|getaddrinfo|could not translate host|unreachable|connection (?:was )?(?:reset|aborted|closed)"
         r"|RemoteDisconnected|error code 50[234]", "no answer comes from there", _AGAIN),
        (r"error code 404|ENDPOINT_NOT_FOUND|not in a valid JSON format|No API found",
         "what answers there is no MLflow server", "Check the address and its path."),
        (r"out-of-date database schema", "its tables are of another version of MLflow",
         "Back it up, then run `mlflow db upgrade` on it, or install the version of MLflow that made it."),
        (r"database is locked", "another program keeps the store locked", "Wait until that one ends, then try again."),
        (r"readonly database|read-only", "the store is read-only", "Make the file and its folder writable."),
        (r"File name too long", "its path, or a name in it, is too long", "Give the store a shorter one."),
        (r"Databricks (?:credential|auth)", "no login to Databricks is set up",
         "Install databricks-sdk, and set DATABRICKS_HOST and DATABRICKS_TOKEN or a profile of its own."),
        (r"Unity Catalog tracking URI", "it keeps registered models, but no runs",
         "Set MLFLOW_TRACKING_URI=databricks and MLFLOW_REGISTRY_URI to this one."),
        (r"disk is full|No space left|Disk quota|File too large", "the disk is full", "Make room, then try again."),
        (GONE, "it was moved away or deleted meanwhile", "Bring it back, and start again."),
        (r"unable to open database file", "the store's file cannot be opened",
         "Check the permissions of the file and of its folder."),
        (r"file is not a database|malformed", "the file is no SQLite database, or is damaged",
         "Put a backup in its place, or name another file."),
        (r"no such (?:table|column)", "tables or columns that MLflow needs are missing",
         "Put a backup in its place, or name another store."),
        (r"No module named|Can't load plugin|Could not parse SQLAlchemy URL",
         "the database's driver is not installed, or the URI is wrong", "Install the driver, or check the URI."),
        (r"unsupported URI|Unsupported URI", "MLflow knows no store of this kind",
         "Use sqlite:///FILE, postgresql://…, mysql://…, mssql://… or http(s)://…."),
    )
)  # fmt: skip
# PostgreSQL, SQLite, MySQL, SQL Server
_TAKEN = re.compile(r"UniqueViolation|UNIQUE constraint|Duplicate entry|duplicate key", re.IGNORECASE)


class StoreError(InputError):
    """The store cannot be reached, read or written to; it may be well again later."""


def place() -> str:
    """What names the store in a fault."""
    return "MLFLOW_TRACKING_URI" if os.environ.get("MLFLOW_TRACKING_URI") else "MLflow's store"


def refuse(uri: str, problem: str, remedy: str) -> NoReturn:
    """Raise StoreError about the store at `uri`."""
    raise StoreError([Fault(place(), received=uri, problem=problem, remedy=remedy)]) from None


def explain(error: BaseException, uri: str) -> StoreError:
    """The fault that an exception of MLflow, of a database or of the disk stands for, or one that it was raised from:
    MLflow says of a disk that fills up while it copies code only that some file cannot be copied."""
    problem, remedy, text = "it cannot be used", "Check the store and MLFLOW_TRACKING_URI.", _text(error)
    for one in _causes(error):
        code = str(getattr(one, "error_code", ""))
        if known := next((known for known in _KNOWN if known[0].search(f"{code} {_text(one)}")), None):
            _, problem, remedy = known
            text = _text(one)
            break
    cause = text.rpartition("(Caused by ")[2].rstrip(")")
    said = cause if len(cause) <= LONGEST else cause[: LONGEST - 1] + "…"
    return StoreError([Fault(place(), received=uri, problem=f"{problem} ({said})", remedy=remedy)])


def _text(error: BaseException) -> str:
    return mask(_STATEMENT.sub("", " ".join(str(error).split()))) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that it was raised from or because of."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@contextmanager
def store_faults(uri: str) -> Iterator[None]:
    """Turn what the store raises into StoreError."""
    try:
        yield
    except InputError:
        raise
    except (MlflowException, SQLAlchemyError, sqlite3.Error, RequestException, OSError, ModuleNotFoundError) as error:
        raise explain(error, uri) from error


def was_taken(error: MlflowException) -> bool:
    """Whether another process wrote the same row for the first time in the same moment.

    MLflow looks whether a row is there, and inserts or changes it, without a lock between the two.
    """
    return _TAKEN.search(str(error)) is not None


def insist(write: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Write a row, whether or not another process writes it for the first time in the same moment: the later counts."""
    try:
        write(*args, **kwargs)
    except MlflowException as error:
        if not was_taken(error):
            raise
        write(*args, **kwargs)  # it is there now, and is changed


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose first argument is a client, with `store_faults` of that client's store."""

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        client: Any = args[0]
        assert isinstance(client, MlflowClient)
        with store_faults(client.tracking_uri):
            return function(*args, **kwargs)

    return inner


@contextmanager
def impatient(seconds: int = 5) -> Iterator[None]:
    """Let requests to a server that does not answer fail within seconds, unless the environment says otherwise.

    seconds: to wait for the answer of a server that is there.
    """
    settings = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
                "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds)}  # fmt: skip
    added = [name for name in settings if name not in os.environ]
    os.environ |= {name: settings[name] for name in added}
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
