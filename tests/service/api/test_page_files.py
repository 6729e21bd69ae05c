"""What the page makes of files and of scores, without a service: its modules run in a browser."""

from __future__ import annotations

import base64
import csv
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from models.scoring import FAR_AHEAD, NEEDED, UNLIKE
from service.api.page import PARTS
from tests.support.page_browser import browsing

HEADER = "creator_id,brand,product_niche,starts_at,promotion_hours,spend"
ROW = "c1,acme,beauty,2026-05-01,48,300"
GOOD = f"{HEADER}\n{ROW}\n"
ITEM = {
    "creator_id": "c1", "brand": "acme", "product_niche": "beauty", "starts_at": "2026-05-01", "promotion_hours": 48,
    "spend": 300,
}  # fmt: skip
READ = """async encoded => {
  const { readCandidates } = await import("/page_files.js");
  const bytes = Uint8Array.from(atob(encoded), c => c.charCodeAt(0));
  try { return await readCandidates(new File([bytes], "candidates.csv")); }
  catch (error) { return { detail: error.message, faults: error.faults }; }
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    """A page whose parts come straight from `service.api.page`."""
    with browsing() as browser:
        opened = browser.new_page()

        def answer(route: Any) -> None:
            kind, body = PARTS.get(route.request.url.removeprefix("http://page.test"), ("text/plain", b""))
            route.fulfill(status=200, content_type=kind, body=body)

        opened.route("**/*", answer)
        opened.goto("http://page.test/")
        yield opened


def read(page: Any, content: str | bytes) -> dict[str, Any]:
    raw = content.encode() if isinstance(content, str) else content
    return page.evaluate(READ, base64.b64encode(raw).decode())


def archive(*names: str) -> bytes:
    answer = io.BytesIO()
    with zipfile.ZipFile(answer, "w") as packed:
        for name in names:
            packed.writestr(name, "application/vnd.oasis.opendocument.spreadsheet" if name == "mimetype" else "")
    return answer.getvalue()


def parquet() -> bytes:
    answer = io.BytesIO()
    pd.DataFrame([ITEM]).to_parquet(answer)
    return answer.getvalue()


SAVE = 'save it as "CSV UTF-8"'
OTHER_KINDS: dict[str, tuple[bytes, str]] = {
    "xlsx": (archive("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook (XLSX), not a CSV"),
    "ods": (archive("mimetype", "content.xml"), "an OpenDocument spreadsheet (ODS)"),
    "numbers": (archive("Index/Document.iwa"), "a Numbers spreadsheet"),
    "zip": (archive("candidates.csv"), "a ZIP archive: unpack it first"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Excel workbook (XLS)"),
    "html": (b"\r\n<HTML><table><tr><td>creator_id</td></tr></table>", "a web page or XML"),
    "xml": (b"\xef\xbb\xbf<?xml version='1.0'?><Workbook/>", "a web page or XML"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "a PDF"),
    "parquet": (parquet(), "a Parquet file"),
    "gzip": (b"\x1f\x8b\x08\x00" + bytes(20), "compressed (gzip)"),
    "sqlite": (b"SQLite format 3\x00" + bytes(100), "a SQLite database"),
    "json": (b'{"items": []}', "This is JSON"),
    "utf-16": (GOOD.encode("utf-16"), "UTF-16 text"),
    "utf-16 without a mark": (GOOD.encode("utf-16-be"), "UTF-16 text"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(9), "not a text file"),
    "empty": (b"", "The file is empty"),
    "mark alone": (b"\xef\xbb\xbf", "The file is empty"),
    "blank": (b" \r\n\r\n;;;\n", "The file is empty"),
    "header alone": (f"{HEADER}\r\n\r\n".encode(), "no row below the header"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_file_that_is_no_csv_is_named(page: Any, kind: str) -> None:
    content, words = OTHER_KINDS[kind]
    assert words in read(page, content)["detail"]


def test_latin_1_names_the_line_and_the_cure(page: Any) -> None:
    for end in ("\n", "\r\n", "\r"):
        content = f"{HEADER}{end}{ROW}{end}{ROW.replace('acme', 'Café')}{end}".encode("latin-1")
        (fault,) = read(page, content)["faults"]
        assert fault["line"] == 3
        assert SAVE in fault["detail"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separator_and_line_ends_are_found(page: Any, separator: str, end: str) -> None:
    text = "\ufeff" + GOOD.replace(",", separator).replace("\n", end)
    answer = read(page, text)
    assert answer["items"] == [ITEM]
    assert answer["lines"] == [2]
    assert bool(answer["notes"]) == (separator != ",")
    quoted = separator.join(f'"{name}"' for name in [*HEADER.split(","), "a,b;c\td|e,,,;;;\t\t\t|||"])
    row = separator.join([*ROW.split(","), '"1"'])
    assert read(page, quoted + end + row)["items"] == [ITEM]


def test_cells_are_read_as_they_stand(page: Any) -> None:
    header = f"candidate_id,{HEADER},note"
    rows = [
        'a,c1,"ac""me, ""inc""\r\n& sons",beauty,2026-05-01,48,300,',
        'b,5" screen,acme,beauty,2026-05-01,4.8e1,.5,"',
        'x"',
        "c,017,acme,beauty,2026-05-01 12:00, 48 ,+300.50,",
        "d,17.00,acme,beauty,2026-05-01T12:00:00Z,48,300,",
        'e,<b>é&amp;ß,acme,"",2026-05-01,48,300,',
    ]
    answer = read(page, "\n".join([header, *rows[:-1]]))
    first, second, third, fourth = answer["items"]
    assert first["brand"] == 'ac"me, "inc"\r\n& sons'
    assert (second["creator_id"], second["promotion_hours"], second["spend"]) == ('5" screen', 48, 0.5)
    assert (third["creator_id"], third["promotion_hours"], third["spend"]) == ("017", 48, 300.5)
    assert fourth["creator_id"] == "17"
    assert answer["lines"] == [2, 4, 6, 7]
    assert answer["notes"] == ["Not used: note."]
    assert read(page, "\n".join([header, rows[-1]]))["faults"] == [
        {"line": 2, "field": "product_niche", "detail": "every row needs it"}
    ]
    excel = read(page, f"sep=;\r\n{GOOD.replace(',', ';')}")
    assert (excel["items"], excel["lines"]) == ([ITEM], [3])
    index = read(page, f",{HEADER}\n0,{ROW}\n")
    assert (index["items"], index["notes"]) == ([ITEM], ["Not used: a column without a name."])


def test_three_digits_after_a_point_are_said_to_be_decimals(page: Any) -> None:
    for separator in (",", ";"):
        answer = read(page, GOOD.replace("300", "1.200").replace(",", separator))
        assert answer["items"][0]["spend"] == 1.2
        note = "1 number has three digits after a point, which is read as a decimal point"
        assert f"{note} (first: line 2, spend: 1.200 is 1.2)." in answer["notes"]
    assert read(page, GOOD.replace("300", "0.125"))["notes"] == []


def test_what_is_odd_but_readable_is_said(page: Any) -> None:
    text = f"{HEADER}\nc1 ,acme,beauty,2026-05-01,48,300\n'@c2,Caf\ufffd,beauty,2026-05-01,48,300\n,,,,,\n"
    answer = read(page, text)
    assert [item["creator_id"] for item in answer["items"]] == ["c1 ", "@c2"]
    assert answer["notes"] == [
        "1 cell begins or ends with a blank, which is kept (first: line 2, creator_id).",
        "1 cell has letters that were lost (\ufffd) (first: line 3, brand).",
        "1 cell is read without the ' that the download puts before a formula (first: line 3, creator_id).",
    ]


CELLS: list[tuple[str, str, str]] = [
    ("spend", "$1,200", "write 1200"),
    ("spend", "$1,200.50", "write 1200.50"),
    ("spend", "US$ 300", "write 300"),
    ("spend", "300 USD", "write 300"),
    ("spend", "€300", "money is in US dollars"),
    ("spend", "1,200", "write 1200 or 1.2, whichever is meant"),
    ("spend", "1,200,000", "write 1200000"),
    ("spend", "12,5", "write 12.5, with a decimal point"),
    ("spend", "1.200,50", "write 1200.50"),
    ("spend", "1\u202f200", "write 1200"),
    ("spend", "1.2k", "a plain number such as 1234.5"),
    ("spend", "NaN", "a plain number"),
    ("spend", "Infinity", "a plain number"),
    ("spend", "0x1F", "a plain number"),
    ("spend", "1e999", "too large"),
    ("spend", "#VALUE!", "a spreadsheet's error"),
    ("promotion_hours", "48h", "a plain number"),
    ("starts_at", "3/31/2026", "write 2026-03-31"),
    ("starts_at", "31.3.2026", "write 2026-03-31"),
    ("starts_at", "3/31/2026 14:00", "write 2026-03-31 with the time after it"),
    ("starts_at", "3/4/2026", "may be 2026-03-04 or 2026-04-03"),
    ("starts_at", "4-4-2026", "write 2026-04-04"),
    ("starts_at", "31/31/2026", "write ISO 8601"),
    ("starts_at", "3/31/26", "write ISO 8601"),
    ("starts_at", "2026/03/31", "write ISO 8601"),
    ("starts_at", "46112", "format the column as yyyy-mm-dd"),
    ("creator_id", "1.78414E+16", "lost digits"),
    ("creator_id", "#N/A", "a spreadsheet's error"),
    ("creator_id", "  ", "every row needs it"),
]


def test_what_could_be_misread_is_refused_with_line_value_and_cure(page: Any) -> None:
    rows = [",".join(f'"{v}"' for v in (ITEM | {field: value}).values()) for field, value, _ in CELLS]
    answer = read(page, "\n".join([HEADER, *rows]))
    assert answer["detail"] == f"{len(CELLS)} cells cannot be read."
    for number, (fault, (field, value, cure)) in enumerate(zip(answer["faults"], CELLS, strict=True)):
        assert (fault["line"], fault["field"]) == (number + 2, field)
        assert cure in fault["detail"], fault
        assert value.strip() in fault["detail"]
    (comma,) = read(page, GOOD.replace(",", ";").replace("300", "1,200"))["faults"]
    assert "write 1200 or 1.2" in comma["detail"]


SHAPES: list[tuple[str, int, str]] = [
    (f"{HEADER}\n\n{ROW},1\n", 3, "7 cells, the header has 6: a cell with commas inside needs quotes"),
    (f"{HEADER}\n{ROW}\nc1,acme\n", 3, "2 cells, the header has 6"),
    (f'{HEADER}\n{ROW}\n"c1,acme\n{ROW}\n', 3, "no closing one"),
    (f'{HEADER}\n{ROW}\n"c1"x,acme,beauty,2026-05-01,48,300\n', 3, 'double a quote within quotes ("")'),
    (f"{HEADER},spend\n{ROW},5\n", 1, "leave one of them"),
    ("Creator ID,Brand,Cost\nc1,acme,3\n", 1, "Rename Creator ID → creator_id, Brand → brand"),
    ("c1,acme,beauty,2026-05-01,48,300\n", 1, "creator_id, brand, product_niche, starts_at, promotion_hours, spend mi"),
]


@pytest.mark.parametrize(("text", "line", "words"), SHAPES)
def test_a_shape_that_cannot_be_read_names_its_line(page: Any, text: str, line: int, words: str) -> None:
    (fault,) = read(page, text)["faults"]
    assert fault["line"] == line
    assert words in fault["detail"]


@pytest.mark.slow
def test_ten_thousand_rows_are_read_and_one_more_is_refused_before_it_is_sent(page: Any) -> None:
    assert len(read(page, f"{HEADER}\n" + f"{ROW}\n" * 10_000)["items"]) == 10_000
    assert "10,001 rows; 10,000 can be scored at once" in read(page, f"{HEADER}\n" + f"{ROW}\n" * 10_001)["detail"]


def test_the_download_opens_in_a_spreadsheet_and_runs_nothing(page: Any) -> None:
    texts = ["=cmd|' /C calc'!A0", "+1", "-1", "@handle", "\t=1", "\r=1", " =1", "＝1", 'a "b", c', "plain", "", "é"]
    score = {
        "creator_id": "c", "spend": -1.5, "rank": 1, "reasons": [{"feature": "a"}], "warnings": [], "conversions": None
    }  # fmt: skip
    answer = page.evaluate(
        "async scores => (await import('/page_download.js')).csv(scores, false)", [score | {"brand": t} for t in texts]
    )
    assert answer.startswith("\ufeff")
    assert answer.count("\r\n") == len(texts) + 1
    rows = list(csv.DictReader(io.StringIO(answer.removeprefix("\ufeff"), newline="")))
    assert [row["brand"] for row in rows] == [f"'{t}" if i < 8 else t for i, t in enumerate(texts)]
    assert {row["spend"] for row in rows} == {"-1.5"}, "a number is no formula"
    assert rows[0]["reasons"] == '[{"feature":"a"}]'
    assert {"tier", "niche", "platform", "starts_at", "candidate_id"} <= rows[0].keys()
    assert "walk_away_price" not in rows[0]


def test_reasons_are_in_words_with_rounded_numbers(page: Any) -> None:
    reasons: list[tuple[str, Any, str]] = [
        ("creator_record", 3.37234, "Earlier conversions per dollar of the creator: 3.37 × the market's"),
        ("spend", 1234.5, "Price of the deal: $1,234.50"),
        ("spend_per_follower", 0.00618531, "Price per follower: $0.00619"),
        ("spam_share", 0.0931, "Share of comments that are spam: 9.3 %"),
        ("followers_growth_90d", -0.1, "Growth of followers in 90 days: −9.5 %"),
        ("same_country", 1.0, "Creator from the country of sale: yes"),
        ("start_month", 12.0, "Month of the start: December"),
        ("start_weekday", 0.0, "Day of the week of the start: Monday"),
        ("creator_deals", 1.0, "Earlier deals of the creator: 1 deal"),
        ("followers", 1234567.0, "Number of followers: 1,234,567 accounts"),
        ("brand", "<b>", "Brand: <b>"),
        ("language", None, "Language of the creator: unknown"),
        ("a_feature_of_tomorrow", 2.0, "A feature of tomorrow: 2"),
    ]
    answer = page.evaluate(
        "async all => { const { reason } = await import('/page_words.js'); return all.map(reason); }",
        [{"feature": feature, "value": value, "factor": 1.5} for feature, value, _ in reasons],
    )
    assert answer == [words for _, _, words in reasons]
    figures = page.evaluate(
        """async () => { const { factor, figure, money, moment } = await import('/page_words.js');
        return [[3.247, 0.5423, 0.00123, 4321.9].map(factor), [0.0954123, 28.6, 1234.56, 0].map(figure),
          [10.484, 12345.67, 0.0123].map(money), ["2026-05-01T12:00:00.000Z", "2026-05-01"].map(moment)]; }"""
    )
    assert figures == [
        ["×3.25", "×0.54", "×0.00123", "×4,322"],
        ["0.0954", "28.6", "1,235", "0.00"],
        ["$10.48", "$12,346", "$0.0123"],
        ["2026-05-01 12:00 UTC", "2026-05-01"],
    ]


def test_every_feature_of_the_catalogue_has_words_for_its_unit(page: Any) -> None:
    answer = page.evaluate(
        """async () => { const { reason } = await import('/page_words.js');
        const { default: labels } = await import('/page_labels.js');
        return Object.keys(labels).map(feature => reason({ feature, value: 0.123456 })); }"""
    )
    assert not [words for words in answer if "undefined" in words or "0.123456" in words or "_" in words]


def test_every_warning_has_words(page: Any) -> None:
    codes = [*NEEDED, "unknown_category", "outside_training_range", UNLIKE, FAR_AHEAD]
    words = page.evaluate('async codes => codes.map((await import("/page_words.js")).warning)', codes)
    assert [code for code, one in zip(codes, words, strict=True) if one == code.replace("_", " ")] == []
