"""The page as people use it, in a browser with a real service behind it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from service.api.page import PAGE_POLICY, PARTS
from tests.support.page_browser import browsing
from tests.support.workspace import KEY, Server

DEAL = {"Brand": "somebody", "Product niche": "beauty", "Spend, dollars": "300"}
START = "2026-06-01T12:00:00Z"
HEADER = "candidate_id,creator_id,brand,product_niche,starts_at,promotion_hours,spend\n"
ROW = f"a,creator_000001,acme,beauty,{START},48,300\n"
WRONG_COST = f"b,creator_000002,acme,beauty,{START},48,-5\n"
EXPLAINED = "[aria-invalid=true] ~ .fault, label:has([aria-invalid=true]) ~ .fault"


@pytest.fixture(scope="module")
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
        page.on("console", lambda told: wrong.append(told.text) if "Security Policy" in told.text else None)
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


def fill_deal(page: Any, limit: int = 5, **more: str) -> None:
    for label, value in (DEAL | more).items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_label("Starts").fill("2026-06-01T12:00")
    page.get_by_label("At most").fill(str(limit))


def choose(page: Any, text: str, name: str = "candidates.csv") -> None:
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": text.encode()})


def rank(page: Any) -> None:
    page.locator("#ask").get_by_role("button", name="Rank", exact=True).click()


def rows(page: Any) -> Any:
    return page.locator("#scores tbody tr:not(.why)")


def download(page: Any) -> pd.DataFrame:
    with page.expect_download() as told:
        page.get_by_role("button", name="Download CSV").click()
    return pd.read_csv(told.value.path())


def focused(page: Any) -> str:
    return page.evaluate("document.activeElement.name")


def candidates(n: int) -> pd.DataFrame:
    frame = pd.DataFrame({"candidate_id": [f"x{i}" for i in range(n)]})
    return frame.assign(
        creator_id=[f"creator_{i % 60 + 1:06}" for i in range(n)], brand='a "quoted", brand', product_niche="beauty",
        starts_at=START, promotion_hours=48, spend=[100.0 + i for i in range(n)],
    )  # fmt: skip


def test_it_ranks_creators_for_a_deal(server: Server, page: Any) -> None:
    fill_deal(page)
    rank(page)
    page.get_by_text("5 of 60 creators, by conversions-per-dollar/1: somebody, from 2026-06-01 12:00 UTC.").wait_for()
    deal = {"brand": "somebody", "product_niche": "beauty", "starts_at": START, "promotion_hours": 48, "spend": 300}
    reply = server.ask("POST", "/v1/rank?include=creator,reasons", {"deal": deal, "limit": 5})
    expected = reply.json["scores"]
    assert rows(page).locator("b").all_inner_texts() == [row["creator_id"] for row in expected]
    assert rows(page).nth(0).locator("svg[role=img]").get_attribute("aria-label").count(" to ") == 1
    why = rows(page).nth(0).get_by_role("button", name=f"Why this score, {expected[0]['creator_id']}")
    assert why.get_attribute("aria-expanded") == "false"
    why.click()
    reasons = page.locator("tr.why li").all_inner_texts()
    assert len(reasons) == len(expected[0]["reasons"])
    for reason in reasons:
        assert re.search(r"^[A-Z][^_]+: .+\n*×\d[\d.]*$", reason, re.S), reason
        assert not re.search(r"\d\.\d{4}", reason), "numbers are rounded"
    why.click()
    assert page.locator("tr.why").count() == 0
    assert "Backtest: rank" in page.locator("#model").inner_text()
    assert not page.locator("th.target").first.is_visible()
    costs = sorted(row["cost_per_conversion"] for row in expected)
    page.get_by_label("Most dollars a conversion").fill(str((costs[1] + costs[2]) / 2))
    assert rows(page).count() == 2
    page.get_by_role("button", name="$ per conversion").click()
    page.get_by_label("Most dollars a conversion").fill("0.0001")
    assert page.get_by_text("No row is left by these filters.").is_visible()
    assert page.get_by_role("button", name="Download CSV").is_disabled()


def test_it_scores_a_file_and_the_download_has_all_of_it(server: Server, page: Any) -> None:
    asked = candidates(30)
    page.get_by_label("Target cost per conversion, dollars").fill("25.5")
    choose(page, asked.to_csv(index=False))
    page.get_by_text("30 candidates in candidates.csv, with their own deals: the fields above are not used.").wait_for()
    assert page.get_by_label("Brand", exact=True).is_disabled()
    rank(page)
    page.get_by_text("30 candidates of candidates.csv, by conversions-per-dollar/1.").wait_for()
    saved = download(page)
    assert sorted(saved.candidate_id) == sorted(asked.candidate_id)
    assert saved["rank"].is_monotonic_increasing
    reply = server.ask("POST", "/v1/score?include=creator&target_cost=25.5", {"items": asked.to_dict("records")})
    expected = pd.DataFrame(reply.json["scores"]).set_index("candidate_id").loc[saved.candidate_id]
    for name in ("probability_within_target", "walk_away_price", "tier", "niche", "platform", "model_version"):
        assert saved[name].tolist() == expected[name].tolist(), name
    for name in map(str, asked):
        assert (
            saved.set_index("candidate_id").loc[asked.candidate_id].reset_index()[name].tolist() == asked[name].tolist()
        )
    _filter_by_keyboard(page, expected.assign(spend=saved.set_index("candidate_id").spend))


def _filter_by_keyboard(page: Any, table: pd.DataFrame) -> None:
    """The table that is shown, whose rows are those of `table`, filtered step by step with keys alone."""
    left = page.locator("#left")
    assert page.get_by_role("columnheader", name="Chance ≤ $25.5").is_visible()
    shown = rows(page).nth(0).locator("td").nth(7).inner_text()
    assert shown == f"{100 * table.probability_within_target.iloc[0]:.{int(shown.count('.'))}f} %"
    page.get_by_role("searchbox", name="Find").focus()
    page.keyboard.type("X29")
    assert left.inner_text() == "1 of 30 shown"
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.press("Tab")
    for number, name in enumerate(("tier", "niche", "platform")):
        assert focused(page) == name
        common = table[name].mode()[0]
        page.keyboard.type(common)
        kept = table[table[name] == common]
        assert len(kept) < len(table)
        assert left.inner_text() == f"{len(kept)} of 30 shown"
        kinds = rows(page).locator("td.who small:nth-child(2)").all_inner_texts()
        assert [told.split(" · ")[number] for told in kinds] == [common] * len(kept)
        page.keyboard.press("Home")
        assert rows(page).count() == 30
        page.keyboard.press("Tab")
    assert focused(page) == "spend"
    page.keyboard.type(f"{table.spend.median():.2f}")
    assert left.inner_text() == "15 of 30 shown"
    assert len(download(page)) == 15


def test_a_sorted_table_is_downloaded_as_it_is_sorted(page: Any) -> None:
    choose(page, candidates(12).to_csv(index=False))
    rank(page)
    price = page.get_by_role("columnheader", name="Price")
    for word, order in (("ascending", True), ("descending", False)):
        price.get_by_role("button").click()
        assert price.get_attribute("aria-sort") == word
        assert page.locator("[aria-sort]").count() == 1
        spends = download(page).spend
        assert spends.is_monotonic_increasing is order
        assert spends.is_monotonic_decreasing is not order


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
    assert page.get_by_role("button", name="Download CSV").is_disabled(), "what is shown is not what was asked"
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


def test_a_fault_of_a_file_names_the_line_an_editor_shows(page: Any) -> None:
    quoted = ROW.replace("acme", '"ac\r\nme"')
    text = HEADER + "\r\n" + quoted + "\n\n" + WRONG_COST + ROW.replace("300", '"$1,200"').replace("a,", "c,", 1)
    choose(page, text)
    page.get_by_text("candidates.csv: 1 cell cannot be read.").first.wait_for()
    fault = page.locator("#drop .fault")
    assert "line 8, spend: $1,200 is not a plain number: write 1200" in fault.inner_text()
    assert focused(page) == "file"
    choose(page, text.replace('"$1,200"', "1200"))
    page.get_by_text("3 candidates in candidates.csv").wait_for()
    assert fault.count() == 0
    rank(page)
    page.get_by_text("1 fault in the file.").first.wait_for()
    assert "line 7, spend: it is not above 0, received -5" in fault.inner_text()
    assert "row " not in page.locator("main").inner_text()
    many = HEADER + ROW + "".join(WRONG_COST.replace("b", str(i), 1) for i in range(70))
    choose(page, many)
    rank(page)
    page.get_by_text("70 faults in the file.").first.wait_for()
    assert "line 3, spend" in fault.inner_text()
    assert "and 50 more" in fault.inner_text()


def test_a_chosen_file_can_be_taken_back(page: Any) -> None:
    remove = page.get_by_role("button", name="Remove the file")
    assert not remove.is_visible()
    choose(page, "PK\x03\x04xl/workbook.xml", "candidates.xlsx")
    page.get_by_text("candidates.xlsx: This is an Excel workbook (XLSX), not a CSV").first.wait_for()
    remove.click()
    assert page.locator(EXPLAINED).count() == 0
    assert page.locator("#wrong").inner_text() == ""
    assert page.locator("#about").inner_text() == ""
    assert (focused(page), remove.is_visible()) == ("file", False)
    fill_deal(page)
    rank(page)
    page.get_by_text("5 of 60 creators").wait_for()


DROP = """([where, ...names]) => {
  const data = new DataTransfer();
  const told = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data });
  for (const [name, text] of names) data.items.add(new File([text], name));
  document.querySelector(where).dispatchEvent(told);
  return told.defaultPrevented;
}"""


def test_files_can_be_dropped_one_at_a_time(page: Any) -> None:
    assert page.evaluate(DROP, ["h1", ["a.csv", "x"]]), "a file beside the field does not take the place of the page"
    assert page.locator("#about").inner_text() == ""
    page.evaluate(DROP, ["#drop", ["a.csv", HEADER + ROW], ["b.csv", HEADER + ROW]])
    page.get_by_text("Drop one file at a time.").first.wait_for()
    page.evaluate(DROP, ["#drop", ["a.csv", HEADER + ROW]])
    page.get_by_text("1 candidate in a.csv").wait_for()
    assert page.locator("#wrong").inner_text() == ""


def test_ids_are_lines(page: Any) -> None:
    sent: list[Any] = []
    page.on("request", lambda request: sent.append(request.post_data_json) if "v1/rank" in request.url else None)
    fill_deal(page, limit=50)
    page.get_by_label("Ids, one a line").fill("  The Smith Family \n\na, b; c\ncreator_000001\n17.0\ncreator_000001\n")
    rank(page)
    page.get_by_text("4 of 4 creators").wait_for()
    assert sent[0]["creator_ids"] == ["The Smith Family", "a, b; c", "creator_000001", "17", "creator_000001"]
    said = page.locator("#said").inner_text()
    assert "1 id typed twice counts once." in said
    assert "3 of these creators are unknown to the data: “" in said
    page.get_by_label("Ids, one a line").fill("creator_000001\tacme\n")
    rank(page)
    page.get_by_text("line 1: there are several columns: paste that of the ids alone").first.wait_for()
    assert focused(page) == "creator_ids"
    page.get_by_label("Ids, one a line").fill("")
    page.get_by_label("Niches").fill('beauty , "home, garden"')
    page.get_by_label("Tiers").fill(" , ")
    with page.expect_request("**/v1/rank*") as told:
        rank(page)
    assert told.value.post_data_json["filters"] == {"niche": ["beauty", "home, garden"]}


def answered(status: int, body: str, headers: dict[str, str] | None = None) -> Callable[[Any], None]:
    """A route's handler that answers in the service's place."""
    return lambda route: route.fulfill(status=status, body=body, headers=headers or {})


def test_what_the_service_notices_is_shown(page: Any) -> None:
    notice = {"row": 1, "field": "spendd", "detail": "it is not read; did you mean 'spend'?"}
    told = {"model_version": "m/1", "scores": [], "notices": [notice]}
    page.route("**/v1/score*", answered(200, json.dumps(told)))
    choose(page, HEADER + ROW + "\n" + ROW)
    rank(page)
    page.get_by_text("line 4, spendd: it is not read; did you mean 'spend'?").wait_for()


def test_neither_place_nor_language_of_the_browser_changes_a_value(open_page: Callable[..., Any]) -> None:
    page = open_page(timezone_id="America/New_York", locale="de-DE")
    fill_deal(page, limit=1, **{"Spend, dollars": "1234.5", "Target cost per conversion, dollars": "2.5"})
    with page.expect_request("**/v1/rank*") as told:
        rank(page)
    assert told.value.post_data_json["deal"]["starts_at"] == "2026-06-01T16:00:00.000Z"
    assert told.value.post_data_json["deal"]["spend"] == 1234.5
    page.get_by_text("from 2026-06-01 16:00 UTC").wait_for()
    assert rows(page).first.locator("td").nth(2).inner_text() == "$1,234.50"
    assert download(page).spend.tolist() == [1234.5]


def test_a_file_that_changed_or_cannot_be_read_is_explained(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "candidates.csv"
    file.write_text(HEADER + ROW)
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_text("1 candidate in candidates.csv").wait_for()
    file.write_text(HEADER + ROW + ROW)
    rank(page)
    page.get_by_text("it changed or moved since it was chosen, or is a folder. Choose it again.").first.wait_for()
    assert focused(page) == "file"
    large = """async () => { const { readCandidates } = await import("/page_files.js");
      return readCandidates({ size: 3e8 }).catch(error => error.message); }"""
    assert page.evaluate(large).startswith("It has 286 MB; a list of 10,000 candidates has a few.")


def refusal(**more: Any) -> str:
    return json.dumps({"type": "urn:x", "title": "t", "status": 422, "detail": "one fault", "request_id": "r"} | more)


def test_a_fault_stands_at_its_field(page: Any) -> None:
    fill_deal(page)
    page.get_by_label("Starts").fill("2021-06-01T12:00")
    rank(page)
    starts = page.get_by_label("Starts")
    page.get_by_text("Starts, your time: a ranking is of deals to come").wait_for()
    assert starts.get_attribute("aria-invalid") == "true"
    assert focused(page) == "starts_at"
    note = page.locator(f"#{starts.get_attribute('aria-describedby')}")
    assert note.inner_text().startswith("a ranking is of deals to come, from ")
    starts.fill("2026-06-01T12:00")
    assert starts.get_attribute("aria-invalid") is None
    assert note.count() == 0
    page.get_by_label("Tiers").fill("nano, Micro")
    rank(page)
    page.locator("#fault-tier").get_by_text("no creator has 'Micro', did you mean 'micro'; there are ").wait_for()
    assert focused(page) == "tier"
    page.get_by_label("Tiers").fill("")
    for error, label in (
        ({"field": "tier", "pointer": "/filters/tier/0"}, "Tiers"),
        ({"field": "filters.niche"}, "Niches"),
        ({"field": "platform", "pointer": "/filters/platform"}, "Platforms"),
        ({"field": "limit", "pointer": "/limit"}, "At most"),
        ({"field": "target_cost"}, "Target cost per conversion, dollars"),
        ({"field": "creator_ids", "pointer": "/creator_ids/0"}, "Ids, one a line"),
        ({"field": "spend", "pointer": "/deal/spend"}, "Spend, dollars"),
    ):
        body = refusal(errors=[error | {"detail": "there is no 'Micro'; there are micro, nano"}], error_count=1)
        page.route("**/v1/rank*", answered(422, body))
        rank(page)
        field = page.get_by_label(label)
        page.locator(f"[name={error['field'].split('.')[-1]}][aria-invalid=true]").first.wait_for()
        ids = field.get_attribute("aria-describedby").split()
        assert "there is no 'Micro'; there are micro, nano" in page.locator(f"#{ids[-1]}").inner_text()
        assert field.evaluate("e => e === document.activeElement")
        page.unroute("**/v1/rank*")


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
    for key, words in (("wrong", "Key: the service does not know this key"), ("", "Key: the service needs a key"),
                       ("Schlüssel–", "Key: a key has no such letters: copy it again")):  # fmt: skip
        page.get_by_label("Key").fill(key)
        rank(page)
        page.locator("#wrong").get_by_text(words, exact=True).wait_for()
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


def test_no_row_one_row_and_names_that_are_markup(page: Any) -> None:
    page.route("**/v1/rank*", answered(200, json.dumps({"model_version": "m/1", "considered": 0, "scores": []})))
    fill_deal(page)
    rank(page)
    page.get_by_text("No creator fits the filters, by m/1").wait_for()
    assert page.get_by_role("button", name="Download CSV").is_disabled()
    name = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    choose(page, HEADER + ROW.replace("creator_000001", name).replace("acme", name))
    rank(page)
    page.get_by_text("1 candidate of candidates.csv").wait_for()
    assert rows(page).locator("b").inner_text() == name
    rows(page).get_by_role("button").click()
    assert page.locator("#results img, #results script").count() == 0
    assert "1 of these creators is unknown to the data" in page.locator("#said").inner_text()


def test_ten_thousand_rows_are_a_page_of_them_at_a_time(page: Any) -> None:
    n = 10_000
    choose(page, candidates(n).to_csv(index=False))
    page.get_by_text("10,000 candidates in candidates.csv").wait_for()
    rank(page)
    page.locator("#left").get_by_text("10,000 of 10,000 shown").wait_for()
    assert page.evaluate("document.querySelectorAll('*').length") < 5000
    assert rows(page).count() == 100
    pager = page.get_by_role("navigation", name="Pages of the table")
    pager.get_by_role("button", name="Next").click()
    assert pager.locator("span").inner_text() == "101 to 200 of 10,000"
    assert rows(page).nth(0).locator("td").first.inner_text() == "101"
    page.get_by_role("searchbox", name="Find").fill("x99")
    assert page.locator("#left").inner_text() == "111 of 10,000 shown"
    pager.get_by_role("button", name="Next").click()
    assert rows(page).count() == 11
    assert page.evaluate("document.activeElement.name") == "previous", "the keyboard's place is not lost"
    saved = download(page)
    assert len(saved) == 111
    page.get_by_role("searchbox", name="Find").fill("")
    assert len(download(page)) == n


# every text's contrast with what lies behind it, and that of the borders of controls (WCAG 2.2, 1.4.3 and 1.4.11)
CONTRAST = """() => {
  const rgb = text => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ratio = (a, b) => {
    const [x, y] = [light(rgb(a)), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const behind = e => {
    for (; e; e = e.parentElement) {
      const color = rgb(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
  };
  const faded = e => { for (; e; e = e.parentElement) if (getComputedStyle(e).opacity < 1) return true; };
  const found = [], typed = "input:not([type=file]), textarea, select";
  for (const e of document.querySelectorAll("body, body *")) {
    if (!e.checkVisibility() || e.closest(".unseen")) continue;
    const style = getComputedStyle(e), name = `${e.tagName}#${e.id}.${e.getAttribute("class")} ${e.name ?? ""}`;
    const text = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || e.matches(typed);
    const color = e instanceof SVGElement ? style.fill : style.color;
    if (text) found.push([name, 4.5, faded(e) ? 0 : ratio(color, behind(e))]);
    if (e.placeholder) found.push([name, 4.5, ratio(getComputedStyle(e, "::placeholder").color, behind(e))]);
    if (!e.matches(`#ask button, #drop, ${typed}`) || e.type === "file") continue;
    const around = behind(e.parentElement);
    found.push([name, 3, Math.max(ratio(style.borderColor, around), ratio(style.backgroundColor, around))]);
  }
  return found;
}"""


def states(page: Any) -> Iterator[str]:
    """The page as it stands in each of its states, one after another."""
    yield "fresh"
    fill_deal(page, limit=40)
    page.get_by_label("Target cost per conversion, dollars").fill("15")
    page.get_by_label("Ids, one a line").fill("creator_000001\nunheard-of-" + "x" * 60 + "\n")
    rank(page)
    rows(page).first.wait_for()
    rows(page).first.get_by_role("button").click()
    yield "ranked"
    choose(page, HEADER + WRONG_COST.replace("-5", "$" + "5" * 50), "a-long-name-" * 6 + ".csv")
    page.locator("#drop .fault").wait_for()
    yield "file refused"
    choose(page, candidates(150).assign(brand="b" * 70, note=1).to_csv(index=False))
    page.get_by_text("Not used: note.").wait_for()
    rank(page)
    page.locator("#left").get_by_text("150 of 150 shown").wait_for()
    yield "file scored"
    page.get_by_role("button", name="Remove the file").click()
    page.get_by_label("Starts").fill("2021-06-01T12:00")
    rank(page)
    page.locator("[name=starts_at][aria-invalid=true]").wait_for()
    yield "deal refused"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(open_page: Callable[..., Any], scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    for state in states(page):
        found = page.evaluate(CONTRAST)
        assert len(found) > 40
        assert [(state, *one) for one in found if one[2] < one[1]] == []


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_s_width_is_enough(open_page: Callable[..., Any], width: int) -> None:
    page = open_page(viewport={"width": width, "height": 740}, has_touch=True)
    wide = """() => [...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && !e.closest(".unseen")
      && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 90))"""
    for state in states(page):
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (state, page.evaluate(wide))
        assert page.evaluate(wide) == [], state
        small = "e => e.checkVisibility() && Math.min(e.offsetHeight, e.offsetWidth) < 24"
        assert page.evaluate(f"[...document.querySelectorAll('button')].filter({small}).map(e => e.outerHTML)") == []
        if state == "ranked":
            assert "Price" in page.locator("tr.why dl").inner_text(), "columns without room stand below the row"


def test_answers_move_nothing_that_stands_above_them(page: Any) -> None:
    button = page.locator("#ask button.first")
    before = button.bounding_box()
    fill_deal(page)
    rank(page)
    rows(page).first.wait_for()
    page.locator("#model").get_by_text("Backtest").wait_for()
    assert button.bounding_box() == before
    choose(page, HEADER + ROW)
    page.get_by_text("1 candidate in candidates.csv").wait_for()
    assert button.bounding_box() == before


def test_it_can_be_used_by_keyboard_and_heard(page: Any) -> None:
    page.get_by_label("Brand", exact=True).focus()
    page.keyboard.press("Tab")
    assert focused(page) == "product_niche"
    fill_deal(page, limit=2)
    page.keyboard.press("Enter")
    rows(page).first.wait_for()
    page.locator("th button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Rank")
    rows(page).first.get_by_role("button").focus()
    page.keyboard.press("Space")
    assert page.locator("tr.why").count() == 1
    named = "[...document.querySelectorAll('input, select, textarea')].filter(e => !e.labels.length).length"
    assert page.evaluate(named) == 0
    assert (
        page.locator("button").evaluate_all("all => all.filter(e => !e.textContent && !e.ariaLabel && !e.id).length")
        == 0
    )
    assert {(e, page.locator(e).get_attribute("role")) for e in ("#said", "#wrong", "#left", "#about", "#model")} == {
        ("#said", "status"), ("#wrong", "alert"), ("#left", "status"), ("#about", "status"), ("#model", "status")
    }  # fmt: skip
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("thead th:not([scope=col])").count() == 0


def test_print_has_the_table_alone(page: Any) -> None:
    fill_deal(page)
    rank(page)
    rows(page).first.wait_for()
    page.emulate_media(media="print")
    assert page.locator("#scores").is_visible()
    assert page.locator("#said").is_visible()
    assert [e for e in ("#ask", "#filters", "#save") if page.locator(e).is_visible()] == []


def test_parts_are_sober(server: Server) -> None:
    for path, (kind, content) in PARTS.items():
        reply = server.ask("GET", path, key=None)
        assert (reply.status, reply.body) == (200, content)
        assert reply.headers["content-type"] == kind
        assert reply.headers["content-security-policy"] == PAGE_POLICY
        text = content.decode()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|localStorage|sessionStorage", text
        )
        assert set(re.findall(r"https?://[^\s\"']*", text)) <= {"http://www.w3.org/2000/svg"}, (
            "nothing is from elsewhere"
        )
        assert not re.search(r"transition|animation|smooth", text), "nothing moves"
    html = PARTS["/"][1].decode()
    assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?! type=\"module\" src=)", html)
    assert PAGE_POLICY.startswith("default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'")
    assert "unsafe" not in PAGE_POLICY
    imported = re.findall(r'from "\./([\w.]+)"', "".join(body.decode() for _, body in PARTS.values()))
    assert {f"/{name}" for name in imported} <= PARTS.keys()


def test_its_download_can_be_scored_again(page: Any) -> None:
    asked = candidates(3).assign(creator_id=["@handle", "=1+1", "creator_000001"])
    choose(page, asked.to_csv(index=False))
    rank(page)
    rows(page).first.wait_for()
    with page.expect_download() as told:
        page.get_by_role("button", name="Download CSV").click()
    again = Path(told.value.path()).read_bytes()
    assert again.startswith(b"\xef\xbb\xbf")
    frame = pd.read_csv(io.BytesIO(again))
    assert sorted(frame.creator_id) == ["'=1+1", "'@handle", "creator_000001"]
    choose(page, again.decode("utf-8-sig"))
    page.get_by_text("2 cells are read without the '").wait_for()
    rank(page)
    rows(page).first.wait_for()
    assert sorted(rows(page).locator("b").all_inner_texts()) == ["=1+1", "@handle", "creator_000001"]
