"""A real service, and a browser with its page in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.page_browser import browsing
from tests.support.workspace import KEY, Server


@pytest.fixture(scope="session")
def workspace(http_workspace: Path) -> Path:
    return http_workspace


@pytest.fixture(scope="session")
def server(http_server: Server) -> Server:
    return http_server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as started:
        yield started


@pytest.fixture
def open_page(server: Server, browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page with a key; an error of its scripts or a breach of its policy fails the test."""
    wrong: list[str] = []
    contexts: list[Any] = []

    def opened(**settings: Any) -> Any:
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if "Security Policy" in line.text else None)
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.get_by_label("Key").fill(KEY)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    return open_page()
