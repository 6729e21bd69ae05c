"""What the page makes of answers: late ones, refusals, notices, and none at all."""

from __future__ import annotations

import json
from typing import Any

from tests.support.page_use import HEADER, ROW, WRONG_COST, answered, choose, fill_deal, focused, rank, refusal, rows
from tests.support.workspace import KEY


def test_a_late_answer_replaces_no_newer_one(page: Any) -> None:
    held: list[Any] = []
    page.route("**/v1/rank*", lambda route: route.continue_() if held else held.append(route))
    fill_deal(page, limit=3)
    rank(page)
    page.get_by_text("Ranking…").wait_for()
    fill_deal(page, limit=2, Brand="acme")
    rank(page)
    page.get_by_text("2 of 60 creators").wait_for()
    late = {"model_version": "late/1", "considered": 1, "scores": []}
    held[0].fulfill(status=200, content_type="application/json", body=json.dumps(late))
    page.evaluate("new Promise(done => setTimeout(done, 50))")
    assert "2 of 60 creators" in page.locator("#said").inner_text()
    assert rows(page).count() == 2
    held.clear()
    rank(page)
    fill_deal(page, limit=4)
    rank(page)
    page.get_by_text("4 of 60 creators").wait_for()
    held[0].fulfill(status=500, content_type="text/plain", body="late")
    page.evaluate("new Promise(done => setTimeout(done, 50))")
    assert page.locator("#wrong").inner_text() == ""
    assert rows(page).count() == 4


def test_a_file_read_late_replaces_no_newer_one(page: Any) -> None:
    page.evaluate("""() => {
      const read = File.prototype.arrayBuffer;
      File.prototype.arrayBuffer = async function () {
        if (this.name === "slow.csv") await new Promise(done => window.release = done);
        return read.call(this);
      };
    }""")
    choose(page, HEADER + WRONG_COST.replace("-5", "$5"), "slow.csv")
    choose(page, HEADER + ROW, "fast.csv")
    page.get_by_text("1 candidate in fast.csv").wait_for()
    page.evaluate("release()")
    page.evaluate("new Promise(done => setTimeout(done, 50))")
    assert "1 candidate in fast.csv" in page.locator("#about").inner_text()
    assert page.locator("#wrong").inner_text() == ""


def test_after_an_error_nothing_old_is_shown_or_downloaded(page: Any) -> None:
    fill_deal(page)
    rank(page)
    rows(page).first.wait_for()
    held: list[Any] = []
    page.route("**/v1/rank*", lambda route: held.append(route))
    rank(page)
    page.get_by_text("Ranking…").wait_for()
    assert page.get_by_role("button", name="Download CSV").is_disabled(), "what is shown answers another request"
    assert page.locator("#results").get_attribute("aria-busy") == "true"
    held[0].abort()
    page.get_by_text("The service cannot be reached").wait_for()
    assert rows(page).count() == 0
    assert not page.locator("#results").is_visible()
    page.unroute("**/v1/rank*")
    rank(page)
    rows(page).first.wait_for()
    assert page.locator("#wrong").inner_text() == ""
    assert page.get_by_role("button", name="Download CSV").is_enabled()


def test_what_the_service_notices_is_shown(page: Any) -> None:
    notice = {"row": 1, "field": "spendd", "detail": "it is not read; did you mean 'spend'?"}
    answer = {"model_version": "m/1", "scores": [], "notices": [notice]}
    page.route("**/v1/score*", answered(200, json.dumps(answer)))
    choose(page, HEADER + ROW + "\n" + ROW)
    rank(page)
    page.get_by_text("line 4, spendd: it is not read; did you mean 'spend'?").wait_for()


ANSWERS: list[tuple[int, dict[str, str], str, str]] = [
    (429, {"Retry-After": "3"}, refusal(detail="Too many."), "Too many. Try again in 3 seconds."),
    (503, {"Retry-After": "1"}, refusal(detail="It is being loaded."), "It is being loaded. Try again in 1 second."),
    (500, {}, refusal(detail="It was noted.", request_id="ab12"), "It was noted. (request ab12)"),
    (502, {}, "<html>Bad gateway</html>", "The service, or a proxy before it, answered 502 without a reason."),
    (200, {}, '{"scores": [', "The answer broke off."),
    (413, {}, refusal(detail="A body may have 8 bytes at most."), "A body may have 8 bytes at most."),
]


def test_what_stops_an_answer_is_explained(page: Any) -> None:
    fill_deal(page)
    for status, headers, body, words in ANSWERS:
        page.route("**/v1/rank*", answered(status, body, headers))
        rank(page)
        page.locator("#wrong").get_by_text(words).wait_for()
        page.unroute("**/v1/rank*")
    page.context.set_offline(True)
    rank(page)
    page.locator("#wrong").get_by_text("You are offline.").wait_for()
    page.context.set_offline(False)
    keys = {
        "wrong": "the service does not know this key",
        "": "the service needs a key",
        "Schlüssel–": "a key has no such characters: copy it again",
    }
    for key, words in keys.items():
        page.get_by_label("Key").fill(key)
        rank(page)
        page.locator("#wrong").get_by_text(f"API key: {words}", exact=True).wait_for()
        assert focused(page) == "key"
    page.get_by_label("Key").fill(f"  {KEY} ")
    page.keyboard.press("Tab")
    page.locator("#model").get_by_text("Backtest").wait_for()


def test_the_key_stays_in_its_field(page: Any) -> None:
    fill_deal(page)
    rank(page)
    rows(page).first.wait_for()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert KEY not in kept
    assert json.loads(kept)[:3] == [{}, {}, ""]
    page.reload()
    assert page.get_by_label("Key").input_value() == ""
