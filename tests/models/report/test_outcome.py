"""The outcome of a training as JSON and as a page."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from matplotlib.figure import Figure

from models.alarms import Alarm
from models.report.outcome import Outcome, outcome_page

OUTCOME = Outcome(
    3, "kept", "models:/x/2 is not promoted: <b>worse</b>", "data & more", "x", "2026-01-05T06:00:00+00:00", 12.3,
    version="2", alarms=(Alarm("gate", "no skill <over> the champion"),), details={"total": float("nan"), "n": (1, 2)},
)  # fmt: skip


class Tags(HTMLParser):
    """The tags of a page, and what they refer to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]


def test_json_is_strict_and_whole() -> None:
    values = json.loads(OUTCOME.to_json(), parse_constant=lambda name: pytest_fail(name))
    assert values["details"] == {"total": None, "n": [1, 2]}
    assert values["alarms"] == [{"source": "gate", "sentence": "no skill <over> the champion"}]
    assert (values["status"], values["version"], values["skill"]) == (3, "2", None)


def pytest_fail(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_the_page_stands_alone_and_shows_names_as_text() -> None:
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    page = outcome_page(OUTCOME, "# Card\n\n| brand | n |\n|---|---|\n| <script>x</script> | 3 |\n", {"a.png": figure})
    tags = Tags(page)
    assert {"table", "img", "h1"} <= set(tags.seen)
    assert not {"script", "b", "link"} & set(tags.seen)
    assert [address[:22] for address in tags.addresses] == ["data:image/png;base64,"]
    assert "no skill &lt;over&gt; the champion" in page
    assert "exit status 3" in page
