"""Serve scores over HTTP: a model from the registry and the newest features of DATA, kept up to date.

Keys come from the environment: CREATOR_YIELD_API_KEYS, see docs/service.md.
"""

from __future__ import annotations

import argparse
import ipaddress
import logging
import multiprocessing
import os
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import cli
from features.faults import fail, refuse, refuse_unreachable

EXAMPLES = """examples:
  python serve.py --data export/ --no-auth                                 on 127.0.0.1:8000, for this machine alone
  CREATOR_YIELD_API_KEYS=@keys.txt python serve.py --data export/ --host 0.0.0.0
  python serve.py --data export/ --model models:/conversions-per-dollar/3 --no-auth

docs/service.md describes the requests."""
WORKERS = max(2, min(os.cpu_count() or 2, 8))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        "serve.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=cli.nonempty,
        required=True,
        metavar="DATA",
        help="folder of the tables, duckdb://FILE, or postgresql://USER@HOST/DB",
    )
    parser.add_argument("--host", type=cli.nonempty, default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (%(default)s)")
    parser.add_argument(
        "--model",
        type=cli.nonempty,
        metavar="URI",
        default="models:/conversions-per-dollar@champion",
        help="models:/NAME@ALIAS or models:/NAME/VERSION; a new version under an alias is taken up (%(default)s)",
    )
    parser.add_argument(
        "--ledger", type=cli.path, metavar="FILE", help="let requests seal their scores in this ledger (docs/ledger.md)"
    )
    parser.add_argument("--no-auth", action="store_true", help="serve without keys; on a loopback address only")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    return parser.parse_args(argv)


def require(call: argparse.Namespace) -> str:
    """The address to listen on. Raises InputError for a call that cannot be carried out."""
    if not 0 < call.port < 65536:
        refuse("--port", call.port, "it is not a port", "Give a number from 1 to 65535.")
    scheme, is_url, path = call.data.partition("://")
    if is_url:
        from features.history.databases import require_database

        require_database(scheme, path)
    else:
        refuse_unreachable("--data", folder := Path(call.data))
        if not folder.is_dir():
            problem = "it is a file, not a folder" if folder.exists() else "there is no such folder"
            remedy = "Give the folder that holds collaborations and creators, or a database URL."
            refuse("--data", call.data, problem, remedy)
    if call.ledger:
        from models.monitoring.append_file import check_appendable

        check_appendable(call.ledger)
    try:
        found = socket.getaddrinfo(call.host, call.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        refuse("--host", call.host, "it is not an address of this machine", "Give 127.0.0.1, or 0.0.0.0 for all.")
    if call.no_auth and not all(ipaddress.ip_address(str(a[0]).partition("%")[0]).is_loopback for *_, a in found):
        refuse(
            "--no-auth",
            call.host,
            "without keys only this machine may send requests",
            "Use --host 127.0.0.1, or set keys.",
        )
    if not call.no_auth:
        require_keys()
    # a name may stand for both kinds of addresses; clients that are given a name try both
    family, kind, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    with socket.socket(family, kind) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(address)
        except OSError as error:
            received = f"{call.host}:{call.port}"
            refuse("--port", received, f"the service cannot listen there ({error.strerror})", "Choose another.")
    return str(address[0])


def require_keys() -> None:
    """Raise InputError where the environment has no keys that can be read."""
    from service.api.keys import VARIABLE, read

    setting = os.environ.get(VARIABLE, "")
    remedy = f"Set {VARIABLE} to NAME:SHA256 of each key or to @FILE, or give --no-auth on 127.0.0.1."
    try:
        read(setting)
    except (ValueError, OSError) as error:
        problem = str(error) if isinstance(error, ValueError) else f"the file cannot be read ({error.strerror})"
        raise fail(VARIABLE, problem, remedy) from None


def serve(call: argparse.Namespace) -> int:
    """Serve until the server is stopped; the exit status. Raises InputError for a call that is at fault."""
    address = require(call)
    from service import logs
    from service.publish import state
    from service.publish.supervisor import Supervisor
    from service.variables import HOST, LEDGER, NO_AUTH, PORT, STATE

    logs.set_up()
    if stale := [folder.name for folder in state.remove_stale()]:
        logging.getLogger("creator_yield").info(
            "removed folders of servers that were killed", extra={"facts": {"folders": stale}}
        )
    folder = state.make()
    keep_machine_code(folder)
    os.environ |= {STATE: str(folder), NO_AUTH: "1" if call.no_auth else ""}
    os.environ |= {HOST: call.host, PORT: str(call.port), LEDGER: str(call.ledger.absolute()) if call.ledger else ""}
    try:
        supervisor = Supervisor(folder, call.data, call.model)
        try:
            listen(call, address)
        except SystemExit:
            if not supervisor.status:  # else it was the supervisor who ended the server
                raise
        finally:
            supervisor.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return supervisor.status


def keep_machine_code(folder: Path) -> None:
    """Let numba keep in `folder` what it compiled where it cannot beside the code, or each worker would compile it."""
    if not os.access(Path(__file__).parent / "models", os.W_OK):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(folder / "machine-code"))


def listen(call: argparse.Namespace, address: str) -> None:
    """Answer requests until the server is stopped."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    from service.api import connections

    multiprocessing.set_start_method("spawn")  # workers load LightGBM and its threads themselves
    connections.raise_limit()
    Granian(
        "service.api.app:make",
        factory=True,
        address=address,
        port=call.port,
        interface=Interfaces.RSGI,
        workers=WORKERS,
        backlog=4096,
        backpressure=connections.most(),
        websockets=False,
        # with HTTP/2 enabled, granian first waits, without a limit, for bytes that show which of the two it is
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=connections.rest(), max_buffer_size=131_072),
        respawn_failed_workers=True,
        respawn_interval=0.1,
        workers_kill_timeout=30,
        log_enabled=call.debug,
    ).serve()


if __name__ == "__main__":
    sys.exit(cli.main(arguments, serve))
