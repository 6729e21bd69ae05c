"""API keys: how they are read, compared, limited and replaced."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from service.api.keys import Key, Keys, read
from tests.support.deals import ITEM
from tests.support.workspace import KEY, LIMITED, Server, digest

DIGEST = hashlib.sha256(b"secret").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def test_entries_are_read_with_blanks_commas_lines_and_remarks() -> None:
    found = read(f"a:{DIGEST}, b:{OTHER.upper()}:3\n# c:{DIGEST}\nd:{OTHER}")
    assert [(key.name, key.limit) for key in found] == [("a", None), ("b", 3), ("d", None)]
    assert found[1].digest == bytes.fromhex(OTHER)


@pytest.mark.parametrize("entry", ["secret", f"a b:{DIGEST}", f"a:{DIGEST[:-1]}", f"a:{DIGEST}:0", f"a:{DIGEST}:x"])
def test_another_form_is_refused_and_never_shown(entry: str) -> None:
    with pytest.raises(ValueError, match=r"entry \d is not NAME:SHA256") as raised:
        read(f"{entry}")
    assert "secret" not in str(raised.value)
    assert DIGEST[:-1] not in str(raised.value)


@pytest.mark.parametrize("setting", ["", "  \n", "# nothing"])
def test_no_key_at_all_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="there is no API key"):
        read(setting)


def test_the_key_is_found_by_its_digest_alone(tmp_path: Path) -> None:
    keys = Keys(f"a:{DIGEST},b:{OTHER}:2", tmp_path / "counts")
    found = keys.find("secret")
    assert found
    assert found.name == "a"
    assert keys.find("Secret") is None
    assert keys.find(DIGEST) is None
    assert keys.find("\ud800") is None


def test_room_for_the_limits_is_taken_at_once(tmp_path: Path) -> None:
    """Else the first request of a limited key after the disk is full ends the worker by SIGBUS."""
    for _ in range(2):
        Keys(f"b:{OTHER}:2", tmp_path / "counts")
    found = (tmp_path / "counts").stat()
    assert found.st_blocks * 512 >= found.st_size == 4096 * 16


def test_a_limit_counts_by_second_for_all_workers(tmp_path: Path) -> None:
    now = [100.0]
    workers = [Keys(f"b:{OTHER}:2", tmp_path / "counts", lambda: now[0]) for _ in range(2)]
    limited = workers[0].keys[0]
    assert [workers[i % 2].allows(limited) for i in range(4)] == [True, True, False, False]
    now[0] += 1
    assert workers[0].allows(limited)
    assert all(workers[0].allows(Key("a", bytes.fromhex(DIGEST), None)) for _ in range(9))


def test_a_file_is_read_again_when_it_changes_and_a_broken_one_locks_nobody_out(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"a:{DIGEST}")
    keys = Keys(f"@{file}", tmp_path / "counts")
    file.write_text(f"a:{OTHER}\nb:{DIGEST}\n")
    keys.refresh()
    assert [key.name for key in keys.keys] == ["a", "b"]
    file.write_text("")
    with pytest.raises(ValueError, match="there is no API key"):
        keys.refresh()
    assert keys.find("secret")


def test_without_a_key_nobody_enters(server: Server, workspace: Path) -> None:
    for key in (None, "", "wrong", digest(KEY)):
        for method, path in [
            ("POST", "/v1/score"),
            ("GET", "/v1/model"),
            ("GET", "/metrics"),
            ("GET", "/v1/creators/x"),
        ]:
            reply = server.request(method, path, {"items": [ITEM]} if method == "POST" else None, key=key)
            assert reply.status == 401, (key, path)
    for path in ("/healthz", "/readyz", "/openapi.json", "/"):
        assert server.request("GET", path, key=None).status == 200


def test_a_key_may_ask_as_often_as_it_may(server: Server) -> None:
    statuses = [server.request("GET", "/v1/model", key=LIMITED).status for _ in range(12)]
    assert statuses[0] == 200
    assert 429 in statuses
    time.sleep(1.1)
    assert server.request("GET", "/v1/model", key=LIMITED).status == 200


def test_keys_come_and_go_without_a_restart(server: Server, workspace: Path) -> None:
    before = (workspace / "keys").read_text()
    (workspace / "keys").write_text(f"{before}new:{digest('a new key')}\n")
    try:
        until = time.monotonic() + 20
        # every worker has read it once ten requests in a row were let in
        while time.monotonic() < until:
            if all(server.request("GET", "/v1/model", key="a new key").status == 200 for _ in range(10)):
                break
        else:
            raise AssertionError("the new key was never let in")
    finally:
        (workspace / "keys").write_text(before)
    until = time.monotonic() + 20
    while not all(server.request("GET", "/v1/model", key="a new key").status == 401 for _ in range(10)):
        assert time.monotonic() < until, "the key that was removed is still let in"
        time.sleep(0.1)
    assert server.request("GET", "/v1/model").status == 200
