"""How the page looks: contrast, narrow screens, keyboard, print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.page_use import HEADER, ROW, WRONG_COST, candidates, choose, fill_deal, focused, rank, rows

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
    if (!e.matches(`#request button, #drop, ${typed}`) || e.type === "file") continue;
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
    page.get_by_label("Creator IDs").fill("creator_000001\nunheard-of-" + "x" * 60 + "\n")
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


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
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
    button = page.locator("#request button.first")
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
    assert [e for e in ("#request", "#filters", "#save") if page.locator(e).is_visible()] == []
