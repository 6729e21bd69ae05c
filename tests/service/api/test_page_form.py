"""The page's form: fields and their faults, ids, and files that are chosen or dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service.api.page import PARTS
from tests.support.page_use import (
    EXPLAINED,
    HEADER,
    ROW,
    WRONG_COST,
    answered,
    choose,
    fill_deal,
    focused,
    rank,
    refusal,
)
from tests.support.workspace import KEY


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
  const answer = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data });
  for (const [name, text] of names) data.items.add(new File([text], name));
  document.querySelector(where).dispatchEvent(answer);
  return answer.defaultPrevented;
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
    page.get_by_label("Creator IDs").fill("  The Smith Family \n\na, b; c\ncreator_000001\n17.0\ncreator_000001\n")
    rank(page)
    page.get_by_text("4 of 4 creators").wait_for()
    assert sent[0]["creator_ids"] == ["The Smith Family", "a, b; c", "creator_000001", "17", "creator_000001"]
    said = page.locator("#said").inner_text()
    assert "line 6, Creator IDs, one per line: one entry names a creator named before, such as 'creator_000001'" in said
    assert said.count("creator_000001") == 1
    assert "3 of these creators are not in the data: “" in said
    page.get_by_label("Creator IDs").fill("creator_000001\tacme\n")
    rank(page)
    page.get_by_text("line 1: there are several columns: paste that of the ids alone").first.wait_for()
    assert focused(page) == "creator_ids"
    page.get_by_label("Creator IDs").fill("")
    page.get_by_label("Niches").fill('beauty , "home, garden"')
    page.get_by_label("Tiers").fill(" , ")
    with page.expect_request("**/v1/rank*") as answer:
        rank(page)
    assert answer.value.post_data_json["filters"] == {"niche": ["beauty", "home, garden"]}


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


def test_a_fault_stands_at_its_field(page: Any) -> None:
    fill_deal(page)
    page.get_by_label("Starts").fill("2021-06-01T12:00")
    rank(page)
    starts = page.get_by_label("Starts")
    page.get_by_text("Starts at, your local time: a ranking is of deals to come").wait_for()
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
        ({"field": "limit", "pointer": "/limit"}, "Show at most"),
        ({"field": "target_cost"}, "Target cost per conversion, dollars"),
        ({"field": "creator_ids", "pointer": "/creator_ids/0"}, "Creator IDs, one per line"),
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


def test_a_column_that_the_contract_adds_has_a_field_with_its_bounds(page: Any) -> None:
    added = {"name": "commission", "kind": "number", "required": False, "meaning": "dollars a conversion",
             "unit": "US dollars", "low": 0, "above": None, "most": 100}  # fmt: skip
    contract = (
        PARTS["/page_contract.js"][1].decode().replace("CANDIDATES = [", f"CANDIDATES = [{json.dumps(added)}, ", 1)
    )
    page.route("**/page_contract.js", lambda route: route.fulfill(content_type="text/javascript", body=contract))
    page.reload()
    page.get_by_label("Key").fill(KEY)
    fill_deal(page)
    field = page.get_by_label("Dollars a conversion, US dollars")
    field.fill("101")
    assert not field.evaluate("field => field.checkValidity()")
    assert page.locator("[name=promotion_hours]").get_attribute("max") == "2400000"
    field.fill("2.5")
    with page.expect_request("**/v1/rank*") as sent:
        rank(page)
    assert sent.value.post_data_json["deal"]["commission"] == 2.5
