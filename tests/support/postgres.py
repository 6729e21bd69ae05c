"""A PostgreSQL server of the tests' own, from Debian's package, and databases in it."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from adbc_driver_postgresql import dbapi

from tests.support.contract_tables import Frames

SETTINGS = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "16MB",
    "max_connections": "20", "autovacuum": "off", "listen_addresses": "127.0.0.1", "TimeZone": "Asia/Tokyo",
}  # fmt: skip
# who is asked for a password, and who is not
ACCESS = "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
# of a database whose texts are sorted as people do, not by their code points
AS_PEOPLE_SORT = "TEMPLATE template0 LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
_numbers = itertools.count()


def programs() -> Path | None:
    """The folder of the newest server's programs; None where none is installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found and (path := shutil.which("initdb")):
        found = [Path(path).resolve().parent]
    return max(found, key=lambda path: (len(path.parent.name), path.parent.name), default=None)


@dataclass(frozen=True)
class Server:
    """A running server. folder: that of its socket."""

    folder: Path
    port: int

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Of a database, by TCP."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements, each on its own; the rows of the last one, if it has any."""
        with dbapi.connect(self.url(database), autocommit=True) as connection, connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def database(self, tables: Frames | None = None, options: str = "") -> str:
        """A new database with these tables; its name. options: of CREATE DATABASE."""
        name = f"market_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} {options}")
        if tables:
            self._add(name, {table: pa.Table.from_pandas(rows, preserve_index=False) for table, rows in tables.items()})
        return name

    def fill(self, database: str, tables: Mapping[str, pa.Table]) -> None:
        """Give a database these tables instead of all that it has."""
        self.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", database=database)
        self._add(database, tables)

    def _add(self, database: str, tables: Mapping[str, pa.Table]) -> None:
        with dbapi.connect(self.url(database)) as connection, connection.cursor() as cursor:
            for table, rows in tables.items():
                cursor.adbc_ingest(table, rows)
            connection.commit()


@contextmanager
def running(bin_folder: Path) -> Iterator[Server]:
    """A server in a folder of its own, which goes with it; by another user where this one is root, as it demands."""
    user = next((u for u in ("postgres", "nobody") if os.getuid() == 0 and _is_user(u)), None)
    # no folder of pytest's: another user may not enter it, and the name of a socket must be short
    with tempfile.TemporaryDirectory(prefix="postgres-") as made:
        folder = Path(made)
        if user:
            shutil.chown(folder, user)
        data = folder / "data"
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        run = subprocess.run(
            [bin_folder / "initdb", *options, data], user=user, cwd=folder, capture_output=True, text=True, timeout=120
        )
        assert run.returncode == 0, run.stderr
        (data / "pg_hba.conf").write_text(ACCESS)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = SETTINGS | {"port": str(port), "unix_socket_directories": str(folder)}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [bin_folder / "postgres", "-D", data, *words], user=user, cwd=folder, stdout=log, stderr=log
            )
        try:
            one = Server(folder, port)
            _wait(one, server)
            yield one
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(timeout=60)


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            server.execute("SELECT 1")
            return
        except dbapi.Error:
            assert process.poll() is None, (server.folder / "log").read_text()
            time.sleep(0.1)
    raise TimeoutError((server.folder / "log").read_text())
