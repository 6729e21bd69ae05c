"""Apps that always answer the same, for `benchmarks.serve`: what HTTP costs before anything is scored.

Three kinds: a bare RSGI function on our own server, FastAPI that reads nothing, and FastAPI as it is mostly written,
which checks the items with pydantic and answers with a dict. CONSTANT names the file of the answer.

python -m benchmarks.constant --workers 2 --port 8001        the FastAPI app, under uvicorn
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import socket
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel

BODY = Path(os.environ["CONSTANT"]).read_bytes()
CONTENT = json.loads(BODY)
app = FastAPI()


class Item(BaseModel):
    """What the service's items have."""

    creator_id: str
    brand: str
    product_niche: str
    product_country: str | None = None
    objective: str | None = None
    starts_at: str
    promotion_hours: float
    deliverables: float | None = None
    spend: float


class Request(BaseModel):
    """The body of a request."""

    items: list[Item]


@app.get("/ready")
async def ready() -> str:
    """That it has begun."""
    return "ready"


@app.post("/bare")
async def bare() -> Response:
    """The answer, the body unread."""
    return Response(BODY, media_type="application/json")


@app.post("/checked")
async def checked(request: Request) -> dict[str, Any]:
    """The answer, once the items are checked."""
    return CONTENT


async def rsgi(scope: Any, proto: Any) -> None:
    """The answer, on the server that the service runs on."""
    await proto()
    proto.response_bytes(200, [("content-type", "application/json")], BODY)


def serve(listening: socket.socket) -> None:
    """One worker under uvicorn."""
    uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning")).run([listening])


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.constant")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with socket.create_server(("127.0.0.1", args.port), backlog=2048) as listening:
        # under `uvicorn --workers` it is not set, and each answer waits 40 ms for the client's ACK
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        workers = [multiprocessing.Process(target=serve, args=(listening,)) for _ in range(args.workers)]
        for worker in workers:
            worker.start()
        signal.sigwait({signal.SIGTERM})
        for worker in workers:
            worker.kill()


if __name__ == "__main__":
    main()
