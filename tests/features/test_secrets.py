"""Passwords, tokens and keys stand in no output, log, run or file, however they are written."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from features.faults import Fault, InputError, shorten
from features.secrets import MASK, mask, masked_output
from tests.support.servers import closed_port, server
from tests.support.workspace import command, environment

PLAIN = "p@ss w/rd#%é?1"
FORMS = (PLAIN, quote(PLAIN, safe=""), quote(PLAIN), quote(PLAIN, safe="").lower(), json.dumps(PLAIN)[1:-1])
TOKEN, KEY = "tok-8f7d6e5c4b3a", "Zq/9+wJalrXUtnFEMI"


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "anna")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PLAIN)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)


def has_secret(text: str) -> list[str]:
    basic = base64.b64encode(f"anna:{PLAIN}".encode()).decode()
    return [one for one in (*FORMS, TOKEN, KEY, quote(KEY, safe=""), basic) if one in text]


@pytest.mark.parametrize("secret", [*FORMS, TOKEN, KEY, quote(KEY, safe=""), repr(PLAIN)[1:-1], quote(quote(PLAIN))])
def test_a_known_secret_is_masked_in_every_form(secret: str) -> None:
    assert mask(f"before {secret} after") == f"before {MASK} after"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("at postgresql://anna:hunter2@host:5432/d?x=1", "at postgresql://anna:***@host:5432/d?x=1"),
        ("http://u:p@h and mysql+x://v:q@i", "http://u:***@h and mysql+x://v:***@i"),
        ("http://anna:p@ss@host/", "http://anna:***@host/"),
        ("'http://anna:hunt…' is cut off", "'http://anna:***…' is cut off"),
        ("host=h user=u password=hunter2 dbname=d", "host=h user=u password=*** dbname=d"),
        ("PASSWORD='two words'&x", "PASSWORD=***&x"),
        ("?sslmode=off&api_key=abc123&sig=x%2Fy", "?sslmode=off&api_key=***&sig=***"),
        ('{"aws_secret_access_key": "abc", "a": "b"}', '{"aws_secret_access_key": "***", "a": "b"}'),
        ("CREATE SECRET (TYPE postgres, PASSWORD 'hunter2')", "CREATE SECRET (TYPE postgres, PASSWORD '***')"),
        ("Authorization: Basic YTpi", "Authorization: Basic ***"),
        ("Bearer abcdefghijklmnop1234", "Bearer ***"),
        ("id AKIAABCDEFGHIJKLMNOP", "id ***"),
    ],
)
def test_an_unknown_secret_is_masked_where_it_stands(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///mlflow.db", "http://anna@host:5000/x", "12:30 at http://host:5000/a", "a token: it is wrong",
        "models:/conversions-per-dollar@champion", "basic configuration", "c1 … 0.12 of 1,000", "duckdb:///a@b/c.db",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text


def test_short_secrets_are_masked_as_words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "abc")
    monkeypatch.setenv("USE_TOKEN", "true")
    assert mask("abc abcd (abc) x-abc true") == f"{MASK} abcd ({MASK}) x-{MASK} true"


def test_faults_and_shortened_values_are_masked() -> None:
    url = f"postgresql://anna:{quote(PLAIN)}@host/d"
    fault = Fault(url, received=url, problem=f"no {TOKEN}", remedy=f"Try {url}.")
    assert not has_secret(f"{fault} {InputError([fault])}")
    assert "anna" in str(fault)
    for limit in range(20, 60):
        assert quote(PLAIN)[:3] not in shorten(url, limit)


def test_streams_are_masked_inside_only(capsys: pytest.CaptureFixture[str]) -> None:
    with masked_output():
        print("one", TOKEN)
        print(TOKEN, file=sys.stderr)
        sys.stderr.writelines([TOKEN, "\n"])
    assert capsys.readouterr() == (f"one {MASK}\n", f"{MASK}\n{MASK}\n")
    print(TOKEN)
    assert TOKEN in capsys.readouterr().out


def everything(folder: Path, words: list[str], uri: str | None) -> tuple[int, str]:
    """Run a command as a user does; its status, and all that it printed and wrote."""
    more = {"MLFLOW_TRACKING_USERNAME": "anna", "MLFLOW_TRACKING_PASSWORD": PLAIN, "MLFLOW_TRACKING_TOKEN": TOKEN}
    more |= {"MLFLOW_TRACKING_URI": uri} if uri else {}
    more |= {"MLFLOW_HTTP_REQUEST_TIMEOUT": "2", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = command(folder, *words, **more)
    written = [p.read_bytes().decode(errors="replace") + str(p) for p in folder.rglob("*") if p.is_file()]
    return done.returncode, "\n".join([done.stdout, done.stderr, *written])


def test_a_failing_command_keeps_them(tmp_path: Path, tiny_market: Path) -> None:
    data, candidates, last = str(tiny_market / "data"), str(tiny_market / "candidates.parquet"), ["--debug"]
    secret = quote(PLAIN, safe="")
    with server(401, f"no {PLAIN} {TOKEN}") as address:
        refused = address.replace("://", f"://anna:{secret}@")
        assert_kept(everything(tmp_path, ["train.py", data, *last], refused))
    away = f"http://anna:{secret}@127.0.0.1:{closed_port()}/x"
    assert_kept(everything(tmp_path, ["predict.py", candidates, "--data", data, "--output", "s.csv", *last], away))
    database = f"postgresql://anna:{secret}@127.0.0.1:{closed_port()}/x"
    assert_kept(everything(tmp_path, ["train.py", database, *last], None))
    assert_kept(everything(tmp_path, ["serve.py", "--data", data, "--port", database, *last], None))
    assert_kept(everything(tmp_path, ["train.py", data, "--seed", TOKEN, database, *last], None))


def assert_kept(ended: tuple[int, str]) -> None:
    status, said = ended
    assert status == 2, said
    assert not has_secret(said), has_secret(said)
    assert MASK in said or "postgresql://…" in said


@pytest.mark.long
def test_a_passing_training_keeps_them(
    tmp_path: Path, tiny_market: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the store's params and tags, the artefacts, the packed model, and what the command prints."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    status, said = everything(tmp_path, ["train.py", str(tiny_market / "data"), "--search", "0"], "sqlite:///mlflow.db")
    assert status == 0, said[-2000:]
    assert not has_secret(said), has_secret(said)
    assert "model_card.md" in said


def test_logs_are_masked(tmp_path: Path) -> None:
    code = (
        "import logging\nfrom service import logs\nlogs.set_up()\n"
        f"logging.getLogger('creator_yield').error('no', extra={{'facts': {{'why': {PLAIN!r}}}}})\n"
        f"raise ValueError({TOKEN!r})"
    )
    more = {name: os.environ[name] for name in ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")}
    done = subprocess.run([sys.executable, "-c", code], env=environment(**more), capture_output=True, text=True)
    assert f'"why":"{MASK}"' in done.stderr
    assert f"ValueError: {MASK}" in done.stderr
    assert not has_secret(done.stderr)
