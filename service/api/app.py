"""The application of one worker, as granian calls it by RSGI: routes, keys, limits, answers, a line of log each."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from threadpoolctl import threadpool_limits

from service import logs
from service.api import connections, replies, responses
from service.api.batching import Batcher, ScoreTask
from service.api.bodies import Room
from service.api.hosts import Hosts
from service.api.keys import VARIABLE, Key, Keys
from service.api.metrics import Metrics
from service.api.page import PAGE_POLICY, PARTS
from service.api.requests import read_rank, read_score
from service.api.sealing import Sealer
from service.problems import Problem
from service.publish import batch_path, lifeline, state
from service.publish.heartbeat import silence
from service.publish.publication import Holder, Serving
from service.variables import HOST, LEDGER, NO_AUTH, PORT, STATE

LOAD_SECONDS = 20.0
# To turn a request away costs as much as to score a row: clients that retry at once, whatever Retry-After says, would
# slow the rest. The wait is random, so that clients that came together do not come back together.
HELD_SECONDS = (0.5, 1.0)
SWITCH_SECONDS = 0.0005  # the server's own thread needs Python for a moment, several times a request
REQUEST_ID = re.compile(r"[\w.:-]{1,64}")
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
OPEN = {"page", "openapi", "healthz", "readyz"}  # routes that need no key
FIXED = {"page", "openapi"}  # whose answers are the same for everybody
PLAIN = {"creators", "model"}  # which take no parameters; probes and scrapes may bring some
Answer = tuple[int, str, bytes]
Body = dict[str, Any]
log = logging.getLogger("creator_yield")
encode = msgspec.json.Encoder().encode


class App:
    """Answers requests. Raises ValueError or OSError for keys that cannot be read."""

    def __init__(self) -> None:
        self.folder = Path(os.environ[STATE])
        state.hold(self.folder)
        self.metrics = Metrics(self.folder / "metrics")
        self.keys: Keys | None = None
        self.hosts: Hosts | None = None
        if not os.environ.get(NO_AUTH):
            self.keys = Keys(os.environ[VARIABLE], self.folder / "limits")
        else:
            self.hosts = Hosts(os.environ.get(HOST, ""))
        self.room = Room()
        port, most = int(os.environ.get(PORT, 0)), connections.most()
        self.connections = connections.Connections(port, most, lambda n: self.metrics.count("closed", n))
        self.sealer = Sealer(self.folder, os.environ.get(LEDGER))
        self.holder = Holder(self.folder, swapped=lambda: self.metrics.count("swaps"))
        self.routes: dict[tuple[str, str], tuple[str, Callable[[Any, Any], Awaitable[Answer]]]] = {
            ("POST", "/v1/score"): ("score", self.score),
            ("POST", "/v1/rank"): ("rank", self.rank),
            ("GET", "/v1/model"): ("model", self.model),
            ("GET", "/openapi.json"): ("openapi", self.openapi),
            ("GET", "/healthz"): ("healthz", self.healthz),
            ("GET", "/readyz"): ("readyz", self.readyz),
            ("GET", "/metrics"): ("metrics", self.prometheus),
            **{("GET", path): ("page", self.page) for path in PARTS},
        }
        self.methods: dict[str, set[str]] = {}
        for method, path in self.routes:
            self.methods.setdefault(path, set()).add(method)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin with a worker's loop."""
        # a signal to the whole process group, as a terminal sends it, is for the server, which ends its workers once: a
        # worker that gets a second signal while it answers never ends, and the answer is lost
        os.setpgid(0, 0)
        logs.set_up(dropped=lambda: self.metrics.count("dropped_lines"))
        lifeline.end_with_server()
        self.connections.start()
        self.batcher = Batcher(loop)
        self.holder.start()
        loop.create_task(self._refresh_keys())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """The worker ends, all requests answered."""
        self.holder.stop()
        self.connections.stop()
        logs.WRITER.flush()
        # the server's own threads panic if they want the interpreter while it is being taken down
        os._exit(0)

    async def _refresh_keys(self) -> None:
        while self.keys is not None:
            await asyncio.sleep(1.0)
            try:
                self.keys.refresh()
            except (OSError, ValueError) as error:
                log.warning("keys cannot be read; the old ones stay", extra={"facts": {"why": type(error).__name__}})

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """Answer one request, whatever happens."""
        if scope.proto != "http":
            proto.close()
            return
        client = scope.client
        self.connections.busy.add(client)
        try:
            await self._answer(scope, proto)
        finally:
            self.connections.busy.discard(client)

    async def _answer(self, scope: Any, proto: Any) -> None:
        began = time.perf_counter()
        wanted = scope.headers.get("x-request-id") or ""
        request_id = wanted if REQUEST_ID.fullmatch(wanted) else secrets.token_hex(8)
        name, key = "none", None
        headers = [*replies.HEADERS, ("x-request-id", request_id)]
        try:
            if self.hosts is not None:
                self.hosts.require(scope.headers.get("host"))
            name, handler = self._route(scope.method, scope.path)
            if name not in OPEN:
                key = self._let_in(scope)
            if name in PLAIN:
                responses.require_no_parameters(scope.query_string)
            status, kind, body = await handler(scope, proto)
        except Problem as problem:
            if problem.code == "overloaded":
                problem.__traceback__ = None  # else its frames keep the body all the while
                await asyncio.sleep(random.uniform(*HELD_SECONDS))
            status, kind = problem.status, "application/problem+json"
            body = encode(problem.body(request_id))
            headers += problem.headers
        except Exception:  # an unforeseen error costs this request alone, and shows nothing of the internals
            log.exception("a request failed", extra={"facts": {"request_id": request_id}})
            status, kind = 500, "application/problem+json"
            body = encode(Problem(500, "internal", "It was logged under this request_id.").body(request_id))
        headers.append(("content-security-policy", PAGE_POLICY if name == "page" else API_POLICY))
        headers.append(("content-type", kind))
        if len(body) >= replies.COMPRESSED_FROM:
            headers.append(("vary", "accept-encoding"))
            if encoding := replies.accepted_encoding(scope.headers.get("accept-encoding") or ""):
                headers.append(("content-encoding", encoding))
                body = await replies.compressed(body, encoding, name in FIXED)
        proto.response_bytes(status, headers, body)
        seconds = time.perf_counter() - began
        self.metrics.request(name, status, seconds)
        logs.request(request_id, scope.method, name, status, seconds, key.name if key else None)

    def _route(self, method: str, path: str) -> tuple[str, Callable[[Any, Any], Awaitable[Answer]]]:
        method = "GET" if method == "HEAD" else method  # the server sends no body to it
        found = self.routes.get((method, path))
        if found:
            return found
        if path.startswith("/v1/creators/") and len(path) > len("/v1/creators/"):
            if method == "GET":
                return "creators", self.creator
            raise Problem(405, "method", "Only GET and HEAD are answered here.", allow="GET, HEAD")
        if path in self.methods:
            allowed = "GET, HEAD" if "GET" in self.methods[path] else ", ".join(sorted(self.methods[path]))
            raise Problem(405, "method", f"Only {allowed} is answered here.", allow=allowed)
        raise Problem(404, "no-such-path", "There is no such path. /openapi.json lists them.")

    def _let_in(self, scope: Any) -> Key | None:
        if self.keys is None:
            return None
        presented = scope.headers.get("x-api-key")
        key = self.keys.find(presented) if presented else None
        if key is None:
            raise Problem(401, "key", "Send a valid key in the header X-API-Key.", www_authenticate="ApiKey")
        if not self.keys.allows(key):
            raise Problem(429, "key-limit", f"This key may send {key.limit} requests a second.", retry_after="1")
        return key

    async def serving(self) -> Serving:
        """What answers now. Waits for what is published and being loaded; raises Problem where nothing is."""
        waited = 0.0
        while self.holder.serving is None:
            if waited > LOAD_SECONDS or not self.holder.published():
                why = "; ".join(f"{about}: {text}" for about, text in sorted(self.holder.alarms.items()))
                detail = f"Nothing can be scored yet: {why or 'the model is being loaded'}. Try again shortly."
                raise Problem(503, "not-ready", detail, retry_after="2")
            await asyncio.sleep(0.05)
            waited += 0.05
        return self.holder.serving

    async def score(self, scope: Any, proto: Any) -> Answer:
        """POST /v1/score."""
        options = responses.Options.read(scope.query_string)
        if options.seal:
            self.sealer.require()
        answer: Body | None = None
        with self.room.body() as body:
            await body.read(scope, proto)
            serving = await self.serving()
            with self.batcher.place():
                terms, candidates, history, notices = read_score(body.take())
                if history is None and (terms.starts_at >= serving.snapshot.horizon).all():
                    answer = await self._by_arrays(serving, terms, candidates, options)
        if answer is None:
            answer = await self._by_batch(serving, terms, candidates, history, options)
        if options.seal:
            answer["sealed"] = await self.sealer.seal(serving, terms, answer["scores"], options.level)
        return 200, "application/json", encode(responses.noticed(answer, notices))

    async def _by_arrays(self, serving: Serving, terms: Any, candidates: Any, options: responses.Options) -> Body:
        """Rows that the flat arrays can answer."""
        level = options.level if options.interval else None
        scores = await self.batcher.score(ScoreTask(serving, terms, level, options.reasons, options.target))
        self.metrics.count("items", len(terms))
        kinds = {}
        if options.creator:
            kinds = responses.kinds_of(serving.snapshot, serving.snapshot.rows(terms.creator_id))
        return responses.scores(serving.published.label, scores, candidates, kinds)

    async def _by_batch(
        self, serving: Serving, terms: Any, candidates: Any, history: Any, options: responses.Options
    ) -> Body:
        """Rows whose matrix the batch code makes, in its own process, so that no other request waits for it."""
        matrix = await batch_path.ask(self.folder / serving.published.socket, terms, history)
        self.metrics.count("batch")
        answer = await asyncio.to_thread(responses.by_batch, serving, matrix, terms, candidates, options)
        self.metrics.count("items", len(terms))
        return answer

    async def rank(self, scope: Any, proto: Any) -> Answer:
        """POST /v1/rank."""
        options = responses.Options.read(scope.query_string)
        responses.require_unsealed(options)
        with self.room.body() as body:
            await body.read(scope, proto)
            serving = await self.serving()
            with self.batcher.place():
                deal, request, notices = read_rank(body.take())
                terms, rows = responses.chosen(serving.snapshot, deal, request)
                if (terms.starts_at < serving.snapshot.horizon).any():
                    raise responses.too_early(serving.snapshot)
                scores = await self.batcher.score(ScoreTask(serving, terms, None, False, rows=rows))
                best = responses.best(scores, int(request.limit), terms, rows)
                level = options.level if options.interval else None
                wanted = ScoreTask(serving, best.terms, level, options.reasons, options.target, best.rows)
                shown = await self.batcher.score(wanted)
        self.metrics.count("items", len(terms))
        kinds = responses.kinds_of(serving.snapshot, best.rows) if options.creator else {}
        answer = responses.ranking(serving.published.label, shown, best, len(terms), kinds)
        return 200, "application/json", encode(responses.noticed(answer, notices))

    async def creator(self, scope: Any, proto: Any) -> Answer:
        """GET /v1/creators/{id}."""
        identifier = scope.path.removeprefix("/v1/creators/")  # the server has decoded it
        return 200, "application/json", encode(responses.creator(await self.serving(), identifier))

    async def model(self, scope: Any, proto: Any) -> Answer:
        """GET /v1/model."""
        return 200, "application/json", encode(responses.model(await self.serving()))

    async def openapi(self, scope: Any, proto: Any) -> Answer:
        """GET /openapi.json."""
        from service.api.openapi import DOCUMENT

        return 200, "application/json", DOCUMENT

    async def page(self, scope: Any, proto: Any) -> Answer:
        """GET / and its parts."""
        return 200, *PARTS[scope.path]

    async def healthz(self, scope: Any, proto: Any) -> Answer:
        """GET /healthz: the worker lives."""
        return 200, "text/plain; charset=utf-8", b"alive\n"

    async def readyz(self, scope: Any, proto: Any) -> Answer:
        """GET /readyz: 200 once it can score; alarms beside it, for it goes on with what it has."""
        serving = await self.serving()
        lines = [f"ready: {serving.published.label}"]
        lines += [f"alarm: {about}: {text}" for about, text in sorted(self.holder.alarms.items())]
        return 200, "text/plain; charset=utf-8", ("\n".join(lines) + "\n").encode()

    async def prometheus(self, scope: Any, proto: Any) -> Answer:
        """GET /metrics."""
        held = self.holder.serving
        alarms = self.holder.alarms
        gauges = {
            "creator_yield_ready": ("Whether this worker can score.", float(held is not None)),
            "creator_yield_alarm": ("Alarms that readyz shows.", float(len(alarms))),
            "creator_yield_publication": (
                "Serial of what is served: rises with each model and each set of features.",
                float(held.published.serial if held else 0),
            ),
            "creator_yield_publisher_silence_seconds": (
                "Seconds since the publisher last looked at the registry and the data.",
                silence(self.folder),
            ),
            "creator_yield_waiting_rows": ("Rows waiting in this worker.", float(self.batcher.waiting)),
        }
        return 200, "text/plain; version=0.0.4; charset=utf-8", self.metrics.page(gauges).encode()


def make() -> App:
    """The application of a worker, as `serve.py` names it; one that takes another's place begins when it can answer."""
    # a request's matrices are small: to share one out among threads costs more than to multiply it
    threadpool_limits(1, "blas")
    sys.setswitchinterval(SWITCH_SECONDS)
    app = App()
    if app.holder.published():
        app.holder.look()
    return app
