"""The page on deployment and the files under deploy/ fit the service: names of metrics, probes, time-outs, commands."""

from __future__ import annotations

import ast
import http.client
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

import train
from service.api.connections import KEPT_SECONDS
from service.api.hosts import Hosts
from service.problems import Problem
from service.publish.batch_path import SECONDS as BATCH_SECONDS
from tests.support.paths import ROOT
from tests.support.workspace import KEY, Server, free_port

DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "deployment.md").read_text()
RETRAINING = (ROOT / "docs" / "retraining.md").read_text()
UNITS = sorted(path.name for path in DEPLOY.iterdir() if path.suffix in (".service", ".timer"))
SUFFIXES = ("_bucket", "_sum", "_count")


def need(tool: str) -> str:
    path = shutil.which(tool, path="/usr/bin:/usr/sbin:/bin:/sbin:/usr/local/bin")
    if path is None:
        pytest.skip(f"needs {tool}")
    return path


def test_every_metric_is_explained_and_no_other_is_named(http_server: Server) -> None:
    http_server.request("GET", "/v1/model")
    page = http_server.request("GET", "/metrics").body.decode()
    exposed = set(re.findall(r"^# TYPE (\S+)", page, re.M))
    assert exposed == set(re.findall(r"^\| `(creator_yield_\w+)", PAGE, re.M))
    rules = (DEPLOY / "alerts.yml").read_text()
    named = set(re.findall(r"creator_yield_\w+", rules + PAGE))
    assert {re.sub(f"({'|'.join(SUFFIXES)})$", "", name) for name in named} <= exposed
    assert {name for name in exposed if re.search(rf"^{name}\S* ", page, re.M)} == exposed


def test_files_that_the_page_speaks_of_are_there() -> None:
    linked = set(re.findall(r"\(\.\./deploy/([\w.-]+)\)", PAGE + RETRAINING))
    assert linked == {path.name for path in DEPLOY.iterdir()}


def test_the_container_installs_as_make_does() -> None:
    locked = re.search(r"^PIP_LOCKED := (?P<words>.*)$", (ROOT / "Makefile").read_text(), re.M)
    container = (DEPLOY / "Containerfile").read_text()
    assert locked
    wanted = {*re.findall(r"--\S+(?: :all:)?", locked["words"]), "-r requirements-dev.lock"}
    assert [one for one in wanted if one not in container] == []


@pytest.mark.slow
def test_the_container_holds_what_the_commands_import_and_nothing_else() -> None:
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", (DEPLOY / "Containerfile").read_text(), re.M)
              for name in line.split()]  # fmt: skip
    code = [file for name in copied for file in (ROOT / name, *(ROOT / name).rglob("*.py")) if file.suffix == ".py"]
    imported: set[str] = set()
    for node in (node for file in code for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Import):
            imported |= {one.name.partition(".")[0] for one in node.names}
    ours = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    commands = {"train", "predict", "serve"}
    assert {Path(name).stem for name in copied} - {"requirements-dev"} == (imported & ours) | commands


def test_a_proxy_s_host_is_answered_to_as_the_page_says() -> None:
    hosts = Hosts("127.0.0.1")
    upstream = re.search(r"^upstream (\w+) ", (DEPLOY / "nginx.conf").read_text(), re.M)
    assert upstream
    assert f"`{upstream[1]}`, the name of its upstream" in PAGE
    with pytest.raises(Problem):
        hosts.require(upstream[1])
    header = re.search(r"proxy_set_header Host (\S+?);", PAGE)
    assert header
    hosts.require(header[1])


def test_probes_are_those_of_the_service(http_server: Server) -> None:
    (deployment,) = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert (
            http_server.request("GET", container[name]["httpGet"]["path"], key=None, Host="10.1.2.3:8000").status == 200
        )


def test_the_units_can_be_read(tmp_path: Path) -> None:
    analyze = need("systemd-analyze")
    for name in UNITS:
        text = (DEPLOY / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/creator-yield/.venv/bin/python", "/bin/true"))
    units = [str(tmp_path / name) for name in UNITS]
    done = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_trainings_are_called_as_train_py_is(tmp_path: Path) -> None:
    """In the timer's unit, the compose file, the workflow, and the line for cron."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    calls = [" ".join(compose["services"]["train"]["entrypoint"])]
    calls += re.findall(r"^ExecStart=(.*?(?:\\\n.*)?)$", (DEPLOY / "creator-yield-train.service").read_text(), re.M)
    calls += re.findall(r"run: (.*train\.py.*)$", (DEPLOY / "retrain-workflow.yml").read_text(), re.M)
    calls += re.findall(r"^    0 5 .*?(/opt/.*train\.py.*)$", RETRAINING, re.M)
    assert len(calls) == 4
    for call in calls:
        words = shlex.split(call.replace("\\\n", " "))
        args = train.arguments(words[[word.endswith("train.py") for word in words].index(True) + 1 :])
        assert args.report.suffix == ".html"


@pytest.mark.long
def test_the_compose_file_s_services_are_wired() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= services.keys(), name
        assert set(service.get("secrets", [])) <= compose["secrets"].keys(), name
        built = service.get("build")
        if built:
            assert (DEPLOY / built["context"] / built["dockerfile"]).is_file()
        mounts = {mount.split(":")[0] for mount in service.get("volumes", []) if not mount.startswith("..")}
        assert mounts <= compose["volumes"].keys(), name
        assert "POSTGRES_PASSWORD" not in service.get("environment", {}), "secrets are files"
    assert services["train"]["environment"] == {"MLFLOW_TRACKING_URI": "http://mlflow:5000"}
    (command,) = services["mlflow"]["command"]
    options = subprocess.run(
        [sys.executable, "-m", "mlflow", "server", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert [one for one in re.findall(r"--[a-z-]+", command) if one not in options] == []


def test_the_alerts_can_be_read() -> None:
    done = subprocess.run(
        [need("promtool"), "check", "rules", str(DEPLOY / "alerts.yml")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_metrics_can_be_scraped(http_server: Server) -> None:
    page = http_server.request("GET", "/metrics").body
    done = subprocess.run([need("promtool"), "check", "metrics"], input=page, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_proxy_s_times_fit_the_service_s() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    seconds = {name: float(value) for name, value in re.findall(r"(\w+) (\d+)s;", text)}
    assert seconds["keepalive_timeout"] < KEPT_SECONDS - 10
    assert seconds["proxy_read_timeout"] > BATCH_SECONDS


def test_nginx_passes_requests_on(http_server: Server, tmp_path: Path) -> None:
    nginx, openssl, port = need("nginx"), need("openssl"), free_port()
    call = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*call, "-keyout", tmp_path / "key", "-out", tmp_path / "cert"], check=True, capture_output=True)
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in {"127.0.0.1:8000": f"127.0.0.1:{http_server.port}", "listen 443": f"listen 127.0.0.1:{port}",
                     "/etc/ssl/certs/scores.example.com.pem": f"{tmp_path}/cert",
                     "/etc/ssl/private/scores.example.com.key": f"{tmp_path}/key"}.items():  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/error; daemon off; events {{}}\n"
        f"http {{ access_log off; {folders}\n{text}\n}}\n"
    )
    process = subprocess.Popen([nginx, "-c", tmp_path / "nginx.conf", "-p", tmp_path], stderr=subprocess.PIPE)
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "cert"))
        until = time.monotonic() + 20
        while True:
            connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=context)
            try:
                connection.request("GET", "/v1/model", headers={"X-API-Key": KEY, "Accept-Encoding": "gzip"})
                break
            except ConnectionRefusedError:
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < until
                time.sleep(0.05)
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 200
        assert re.fullmatch("[0-9a-f]{32}", reply.headers["X-Request-Id"] or "")
        connection.request("GET", "/metrics", headers={"X-API-Key": KEY})
        assert connection.getresponse().status == 404
        connection.close()
    finally:
        process.terminate()
        process.wait(20)
