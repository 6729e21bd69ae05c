"""A mapping reads what it says: DuckDB guesses and downloads nothing, texts are no files, faults say cause and cure."""

import ast
from pathlib import Path

import pytest

from features.engines.duckdb import explain, require_duckdb
from features.faults import InputError
from features.history.source import open_history
from tests.support.contract_tables import frames, write
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow  # each opens a history anew

HEADER = b"post_id,creator_id,posted_at,likes,caption\n"
ROWS = b"p1,c1,2025-01-01,9,hi\np2,c2,2025-01-02,8,yo\n"


def mapped(folder: Path, query: str, files: dict[str, bytes] | None = None) -> list[dict[str, object]] | str:
    """Rows of posts by a mapping beside `files`; the faults where it is refused."""
    write(folder, {table: frames()[table] for table in ("collaborations", "creators")})
    for name, content in ({"e.csv": HEADER + ROWS} | (files or {})).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "posts.sql").write_text(query)
    try:
        with open_history(folder, threads=1) as history:
            assert history.posts is not None
            return list(history.posts.order_by("post_id").to_pyarrow().to_pylist())
    except InputError as error:
        return str(error)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * REPLACE (replace(creator_id, '.', '') AS creator_id) FROM 'e.csv' WHERE caption <> '..'",
        "SELECT * FROM 'e.csv' WHERE caption NOT IN ('here', 'there.csv', '*')",
        "SELECT * FROM 'e.csv', unnest(['there.csv', '.']) AS t(u) WHERE u = '.'",
        "WITH here AS (SELECT * FROM 'e.csv') SELECT * FROM here",
        'SELECT * FROM "e.csv"',
        "SELECT * FROM query('SELECT * FROM ''e.csv''')",
    ],
)
def test_texts_of_a_mapping_are_no_files(query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there.csv").write_text("a\n")
    monkeypatch.chdir(tmp_path)
    read = mapped(tmp_path / "data", query)
    assert not isinstance(read, str), read
    assert [row["creator_id"] for row in read] == ["c1", "c2"]


SQLITE = b"SQLite format 3\0".ljust(4096, b"\0")
FAILING = {
    "https": ("SELECT * FROM 'https://example.com/a.parquet'", "httpfs"),
    "https of a CSV": ("SELECT * FROM read_csv('https://example.com/a.csv')", "httpfs"),
    "s3": ("SELECT * FROM 's3://bucket/*.parquet'", "httpfs"),
    "excel": ("SELECT * FROM read_xlsx('a.xlsx')", "excel"),
    "excel by its name": ("SELECT * FROM 'a.xlsx'", "excel"),
    "sqlite": ("SELECT * FROM sqlite_scan('a.db', 't')", "sqlite_scanner"),
    "sqlite by its name": ("SELECT * FROM 'a.db'", "sqlite_scanner"),
    "postgres": ("SELECT * FROM postgres_scan('', 'public', 't')", "postgres"),
    "spatial": ("SELECT * FROM st_read('a')", "spatial"),
    "delta": ("SELECT * FROM delta_scan('a')", "delta"),
}


@pytest.mark.parametrize("case", FAILING)
def test_nothing_is_downloaded(case: str, tmp_path: Path) -> None:
    query, extension = FAILING[case]
    assert mapped(tmp_path, query, {"a.db": SQLITE}) == (
        f"posts: posts.sql needs DuckDB's extension {extension}, which is not built in and is never downloaded. "
        "Save what it reads as Parquet or CSV in the folder, and read that."
    )


def test_every_engine_is_opened_without_downloads() -> None:
    calls = {}
    for path in (path for package in ("features", "models", "service") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (call := ast.unparse(node)).startswith(("duckdb.", "ibis.duckdb.")):
                calls[f"{path.relative_to(ROOT)}: {call}"] = "OFFLINE" in call or ".connect(" not in call
    assert len(calls) > 2
    assert [call for call, offline in calls.items() if not offline] == []


def test_a_file_whose_ending_the_engine_does_not_know_is_named(tmp_path: Path) -> None:
    assert mapped(tmp_path / "a", "SELECT * FROM 'a.sqlite'", {"a.sqlite": SQLITE}) == (
        "posts: posts.sql reads a.sqlite, which is an SQLite database. Export it as CSV or Parquet."
    )
    assert mapped(tmp_path / "b", "SELECT * FROM 'a.txt'", {"a.txt": HEADER + ROWS}) == (
        "posts: posts.sql reads a.txt, which is of no ending that DuckDB reads. Say how to read it: read_csv('a.txt')."
    )


def test_time_zones_and_json_are_built_in(tmp_path: Path) -> None:
    query = (
        "SELECT post_id, creator_id, CAST(local AS TIMESTAMP) AT TIME ZONE zone AS posted_at FROM read_json('e.json')"
    )
    record = b'[{"post_id": "p", "creator_id": "c1", "local": "2025-07-01T09:00:00", "zone": "Asia/Tokyo"}]'
    read = mapped(tmp_path, query, {"e.json": record})
    assert not isinstance(read, str), read
    assert str(read[0]["posted_at"]) == "2025-07-01 00:00:00"
    with open_history(tmp_path, threads=1) as history:
        named = "SELECT value FROM duckdb_settings() WHERE name LIKE 'auto%_known_extensions'"
        assert require_duckdb(history.engine).connection.execute(named).fetchall() == [("false",), ("false",)]


CAUSES = {
    "encoding": (
        "SELECT * FROM read_csv('e.csv', header = true)",
        HEADER + ROWS * 5 + "p3,c1,2025-01-01,9,café\n".encode("latin-1"),
        "posts: e.csv, which posts.sql reads, is not encoded in UTF-8: see line 12. "
        "Export it as UTF-8, or name its encoding: read_csv('…', encoding = 'latin-1').",
    ),
    "width": (
        "SELECT * FROM read_csv('e.csv', header = true)",
        HEADER + ROWS * 20_000 + b"p3,c1,2025-01-01,9,a,b\n",
        "posts: line 40002 of e.csv, which posts.sql reads, has 6 columns where 5 are expected: "
        "received 'p3,c1,2025-01-01,9,a,b'.",
    ),
    "type": (
        "SELECT * FROM read_csv('e.csv', types = {'likes': 'INT'})",
        HEADER + ROWS + b"p3,c1,2025-01-01,many,a\n",
        'posts: line 4 of e.csv, which posts.sql reads, cannot be read (Error when converting column "likes". '
        "Could not convert string \"many\" to 'INTEGER'",
    ),
    "column": (
        "SELECT nope FROM 'e.csv'",
        HEADER + ROWS,
        'posts: posts.sql fails: received Binder Error: Referenced column "nope" not found in FROM clause!; Candidate',
    ),
    "function": (
        "SELECT * FROM reed_csv('e.csv')",
        HEADER + ROWS,
        "posts: posts.sql fails: received Catalog Error: Table Function with name reed_csv does not exist!; "
        'Did you mean "read_csv"?',
    ),
    "mixed line ends": (
        "SELECT * FROM 'e.csv'",
        HEADER.replace(b"\n", b"\r\n") + ROWS,
        "posts: posts.sql reads e.csv, whose form DuckDB cannot tell: received lines that end in different ways.",
    ),
    "a bare CR": (
        "SELECT * FROM 'e.csv'",
        HEADER + b"p3,c1,2025-01-01,9,a\rb\n" + ROWS,
        "posts: posts.sql reads e.csv, whose form DuckDB cannot tell: received line 3 of e.csv has 1 column",
    ),
    "a ragged end": (  # DuckDB takes the last line for all data, and skips what is above
        "SELECT * FROM 'e.csv'",
        HEADER + ROWS + b"p3,c1,2025-01-01,9,a,b\n",
        "posts: posts.sql would leave out 3 lines at the top of e.csv, since DuckDB guesses its form: "
        "received line 4 of e.csv has 6 columns where the header has 5.",
    ),
    "a preamble": (
        "SELECT * FROM read_csv(['e.csv'], union_by_name = true)",
        b"Report\n" + HEADER + ROWS,
        "posts: posts.sql would leave out 1 line at the top of e.csv",
    ),
}


@pytest.mark.parametrize("case", CAUSES)
def test_what_the_engine_said_is_one_line_with_cause_and_cure(case: str, tmp_path: Path) -> None:
    query, content, expected = CAUSES[case]
    found = mapped(tmp_path, query, {"e.csv": content})
    assert isinstance(found, str)
    assert len(found.splitlines()) == 1
    assert found.startswith(expected)
    assert "LINE 1" not in found
    assert "Auto-Detected" not in found


def test_lines_that_the_mapping_itself_leaves_out_are_its_own_affair(tmp_path: Path) -> None:
    for place, option in enumerate(("skip = 1", "skip := 1", "SKIP := 1, delim := ','")):
        content = {"e.csv": b"Report\n" + HEADER + ROWS}
        read = mapped(tmp_path / str(place), f"SELECT * FROM read_csv('e.csv', {option})", content)
        assert not isinstance(read, str), read
        assert len(read) == 2


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('e.csv', ignore_errors = true)",
        "WITH a AS (SELECT * FROM read_csv_auto('e.csv', IGNORE_ERRORS := 1)) SELECT * FROM a",
        "SELECT * FROM query('SELECT * FROM read_csv(''e.csv'', store_rejects = true)')",
    ],
)
def test_rows_are_not_left_out_because_they_cannot_be_read(query: str, tmp_path: Path) -> None:
    found = mapped(tmp_path, query, {"e.csv": HEADER + ROWS + b"p3,c1,2025-01-03\n"})
    assert isinstance(found, str)
    assert found.startswith("posts: posts.sql would leave out the rows that cannot be read, since it says ")


def test_messages_without_more_lines_stay_as_they_are() -> None:
    assert explain(ValueError("one line.")) == "one line"
    assert len(explain(ValueError("x" * 900))) == 400


def dated(*dates: str) -> dict[str, bytes]:
    return {"e.csv": HEADER + "".join(f"p{i},c1,{date},9,hi\n" for i, date in enumerate(dates)).encode()}


READ_AS = "SELECT * FROM read_csv('e.csv', {})"
AMBIGUOUS = {
    "days and months": (READ_AS.format("header = true"), dated("03/04/2025", "05/06/2025"), "dateformat = '%d/%m/%Y'"),
    "points": ("SELECT * FROM 'e.csv'", dated("3.4.2025"), "dateformat = '%d.%m.%Y'"),
    "two digits": ("SELECT * FROM 'e.csv'", dated("13/04/25", "12/06/25"), "dateformat = '%d/%m/%y'"),
    "times": ("SELECT * FROM 'e.csv'", dated("03/04/2025 10:00:00 PM"), "timestampformat = '%d/%m/%Y %I:%M:%S %p'"),
    "a type": (READ_AS.format("types = {'posted_at': 'DATE'}"), dated("03/04/2025"), "dateformat = '%d/%m/%Y'"),
    "JSON": (
        "SELECT * FROM 'e.json'",
        {"e.json": b'[{"post_id": "p", "creator_id": "c1", "posted_at": "03-04-2025"}]'},
        "dateformat = '%d-%m-%Y'",
    ),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_dates_that_fit_several_orders_demand_a_format(case: str, tmp_path: Path) -> None:
    query, files, cure = AMBIGUOUS[case]
    found = mapped(tmp_path, query, files)
    assert isinstance(found, str)
    assert found.startswith("posts.posted_at: posts.sql leaves the order of day and month to a guess, and several")
    assert cure in found


def test_dates_that_one_order_fits_or_a_format_decides_are_read(tmp_path: Path) -> None:
    cases = [
        (READ_AS.format("dateformat = '%d/%m/%Y'"), dated("03/04/2025"), "2025-04-03"),
        ("SELECT * FROM 'e.csv'", dated("03/04/2025", "03/14/2025"), "2025-03-04"),
        ("SELECT * FROM 'e.csv'", dated("04/04/2025"), "2025-04-04"),
        ("SELECT * FROM 'e.csv'", dated("2025-03-04"), "2025-03-04"),
        ("SELECT post_id, creator_id, DATE '2025-01-01' AS posted_at FROM 'e.csv'", dated("03/04/2025"), "2025-01-01"),
    ]
    for place, (query, files, expected) in enumerate(cases):
        read = mapped(tmp_path / str(place), query, files)
        assert not isinstance(read, str), read
        assert str(read[0]["posted_at"]) == f"{expected} 00:00:00"


@pytest.mark.parametrize("names", ["likes,likes", "likes,Likes"])
def test_columns_of_one_name_are_refused_in_a_mapping_s_file_too(names: str, tmp_path: Path) -> None:
    files = {"e.csv": HEADER.replace(b"likes,caption", names.encode()) + b"p1,c1,2025-01-01,9,8\n"}
    expected = "posts.likes: e.csv, which posts.sql reads, has 2 columns of this name: received " + names.replace(
        ",", ", "
    )
    assert str(mapped(tmp_path / "a", "SELECT * FROM 'e.csv'", files)).startswith(expected)
    both = "SELECT * EXCLUDE (likes), likes + likes_1 AS likes FROM 'e.csv'"
    if names == "likes,likes":  # what DuckDB calls the second is named: it is no guess
        read = mapped(tmp_path / "b", both, files)
        assert not isinstance(read, str), read
        assert read[0]["likes"] == 17


@pytest.mark.parametrize("above", ["brand=acme", "likes=7"])
def test_folders_above_a_mapping_are_no_columns(above: str, tmp_path: Path) -> None:
    data = tmp_path / above / "data"
    read = mapped(data, "SELECT *, 'own' AS brand FROM read_csv('e.csv')")
    assert not isinstance(read, str), read
    assert [(row["brand"], row["likes"]) for row in read] == [("own", 9), ("own", 8)]
    (tmp_path / above / "up.csv").write_bytes(HEADER + ROWS)
    assert mapped(data, "SELECT * FROM read_csv('../up.csv')") == (
        f"posts: the folder {above}/ above it would be read as a column: received posts.sql reads '../up.csv' there. "
        "Rename it without '=', or move the data."
    )


def test_a_file_s_own_column_is_not_replaced_by_a_folder_s_name(tmp_path: Path) -> None:
    files = {"x/likes=77/e.csv": HEADER + ROWS}
    assert mapped(tmp_path / "guess", "SELECT * FROM 'x/*/e.csv'", files) == (
        "posts: posts.sql would read likes from the name of a folder, not from the file: received x/likes=77/e.csv. "
        "Say read_csv('…', hive_partitioning = false), or true if the folder is right."
    )
    read = mapped(tmp_path / "said", "SELECT * FROM read_csv('x/*/e.csv', hive_partitioning = false)", files)
    assert not isinstance(read, str), read
    assert [row["likes"] for row in read] == [9, 8]
    read = mapped(tmp_path / "key", "SELECT * FROM 'x/*/e.csv'", {"x/niche=art/e.csv": HEADER + ROWS})
    assert not isinstance(read, str), read
    assert [row["niche"] for row in read] == ["art", "art"]
