"""Starting the service: each call that cannot be carried out is one clear fault, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

import serve
from features.faults import InputError
from tests.support.paths import ROOT
from tests.support.workspace import Server, command, copy_workspace, digest, free_port


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, trained_workspace: Path) -> Path:
    return copy_workspace(tmp_path_factory.mktemp("start"), trained_workspace)


def ended(workspace: Path, *words: str) -> tuple[int, str]:
    """Status and standard error of a start that ends by itself; the folder is as it was."""
    before = sorted(workspace.iterdir())
    done = command(workspace, "serve.py", "--port", str(free_port()), "--no-auth", *words, TMPDIR=str(workspace))
    assert sorted(workspace.iterdir()) == before, "nothing is left behind"
    return done.returncode, done.stderr


@pytest.mark.parametrize(("data", "problem"), [("nowhere", "there is no such folder"), ("keys", "it is a file")])
def test_data_that_is_not_there_is_one_fault(workspace: Path, data: str, problem: str) -> None:
    status, said = ended(workspace, "--data", data)
    assert (status, said.count("\n")) == (2, 1), said
    assert said.startswith(f"--data: {problem}")


@pytest.mark.parametrize(
    ("data", "problem"),
    [("duckdb://nowhere.db", "there is no such file"), ("postgres://x", "databases of this kind cannot be opened")],
)
def test_a_database_that_is_not_there_is_one_fault(workspace: Path, data: str, problem: str) -> None:
    status, said = ended(workspace, "--data", data)
    assert (status, said.count("\n")) == (2, 1), said
    assert problem in said


@pytest.mark.long
def test_a_model_that_is_not_there_is_one_fault(workspace: Path) -> None:
    status, said = ended(workspace, "--data", "data", "--model", "models:/conversions-per-dollar/77")
    assert (status, said.count("\n")) == (2, 1), said
    assert "has no version 77" in said


@pytest.mark.long
def test_data_at_fault_says_every_fault(workspace: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(workspace / "data", data)
    creators = pd.read_parquet(data / "creators.parquet")
    pd.concat([creators, creators.iloc[:1]]).drop(columns="niche").to_parquet(data / "creators.parquet")
    status, said = ended(workspace, "--data", str(data))
    assert status == 2
    assert "creators.creator_id" in said
    assert "creators.niche" in said
    assert "Traceback" not in said


def parsed(*words: str, port: int = 0) -> str:
    return serve.require(serve.arguments(["--data", str(ROOT), "--port", str(port or free_port()), *words]))


def test_a_database_that_cannot_be_reached_is_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"me:\*\*\*@127.0.0.1:1/market: the database cannot be opened") as error:
        parsed("--data", "postgresql://me:hush@127.0.0.1:1/market", "--no-auth")
    assert "hush" not in str(error.value)


def test_names_of_hosts_are_resolved() -> None:
    assert parsed("--no-auth", "--host", "localhost") == "127.0.0.1"
    assert parsed("--no-auth", "--host", "127.3.2.1") == "127.3.2.1"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[int, str]]]:
    """What names stand for, as a resolver of the test's own says."""
    known: dict[str, list[tuple[int, str]]] = {}

    def resolve(host: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def test_without_keys_every_address_of_a_name_is_loopback(names: dict[str, list[tuple[int, str]]]) -> None:
    names["both"] = [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]
    assert parsed("--no-auth", "--host", "both") == "127.0.0.1"
    names["half"] = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "192.0.2.1")]
    with pytest.raises(InputError, match="--no-auth"):
        parsed("--no-auth", "--host", "half")


def test_machine_code_lies_in_the_state_folder_where_that_of_the_code_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {})
    serve.keep_machine_code(tmp_path)
    assert os.environ == {}
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    serve.keep_machine_code(tmp_path)
    assert os.environ == {"NUMBA_CACHE_DIR": str(tmp_path / "machine-code")}
    serve.keep_machine_code(tmp_path / "other")
    assert os.environ == {"NUMBA_CACHE_DIR": str(tmp_path / "machine-code")}, "one that is named is left as it is"


def test_a_port_in_use_is_one_fault() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match=r"--port: the service cannot listen there \(Address already in use\)"):
            parsed("--no-auth", port=other.getsockname()[1])


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 80, "é" * 70 + ".x", "1.2.3.4.5"])
def test_a_host_that_is_none_is_one_fault(host: str) -> None:
    with pytest.raises(InputError, match="--host"):
        parsed("--no-auth", "--host", host)


@pytest.mark.parametrize("option", ["--data", "--host", "--model"])
def test_an_empty_value_is_no_value(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        serve.arguments(["--data", "x", option, " "])
    assert left.value.code == 2
    assert f"argument {option}: it is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"# none\n", "there is no API key"), (b"", "there is no API key"), (b"tool:\xff", "the file is not UTF-8"),
     (b"tool:secret", "entry 1 is not NAME:SHA256"), (None, "the file cannot be read (No such file or directory)")],
)  # fmt: skip
def test_keys_that_cannot_be_read_are_one_fault(
    content: bytes | None, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "keys").write_bytes(content)
    monkeypatch.setenv("CREATOR_YIELD_API_KEYS", f"@{tmp_path / 'keys'}")
    with pytest.raises(InputError) as raised:
        parsed()
    assert str(raised.value).startswith(f"CREATOR_YIELD_API_KEYS: {problem}")
    assert "secret" not in str(raised.value)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.long
@pytest.mark.skipif(not _has_ipv6(), reason="needs the loopback address of IPv6")
def test_it_listens_on_ipv6_and_ends_quietly_when_it_is_ended_early(workspace: Path) -> None:
    started = Server(workspace, workspace / "data", "--no-auth", "--host", "::1", TMPDIR=str(workspace))
    arrived = threading.Event()
    for _ in range(600):
        try:
            socket.create_connection(("::1", started.port), timeout=5).close()
            arrived.set()
            break
        except OSError:
            if started.process.poll() is not None or arrived.wait(0.1):
                break
    for _ in range(600):
        if list(workspace.glob("creator-yield-*/scratch-*")):
            break  # its model is being loaded, by a process that now ends
        time.sleep(0.1)
    assert started.stop() == 0, started.log.read_text()
    assert arrived.is_set()
    assert [line for line in started.log.read_text().splitlines() if not line.startswith("{")] == []
    assert not list(workspace.glob("creator-yield-*"))


@pytest.mark.long
def test_calls_at_fault_end_with_2(workspace: Path, tmp_path: Path) -> None:
    keys = {"CREATOR_YIELD_API_KEYS": f"a:{digest('k')}"}
    calls: list[tuple[tuple[str, ...], dict[str, str], str]] = [
        (("--no-auth", "--host", "0.0.0.0"), {}, "--no-auth: without keys only this machine may send requests"),
        ((), {}, "CREATOR_YIELD_API_KEYS: there is no API key"),
        ((), {"CREATOR_YIELD_API_KEYS": "my plain key"}, "entry 1 is not NAME:SHA256"),
        (("--port", "0"), keys, "--port: it is not a port"),
    ]
    for words, variables, said in calls:
        done = command(workspace, "serve.py", "--data", "data", *words, **variables)
        assert done.returncode == 2, (words, done.stderr)
        assert said in done.stderr
        assert "my plain key" not in done.stderr
        assert "Traceback" not in done.stderr
    done = command(tmp_path, "serve.py", "--data", str(workspace / "data"), "--no-auth")
    assert done.returncode == 2
    assert "Train first" in done.stderr
    assert list(tmp_path.iterdir()) == []
