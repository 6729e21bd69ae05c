"""The real kind of a file, by its first bytes and not by its name."""

import re
from pathlib import Path

from features.faults import fail
from features.history.contract import TABLES

SPREADSHEET = "Open it in a spreadsheet and save it as CSV UTF-8."
UNPACK = "Unpack it first."
_KINDS = (
    (b"PAR1", "a Parquet file", "Rename it to {table}.parquet."),
    (b"PK\x03\x04", "an Excel workbook or a ZIP archive", SPREADSHEET),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", SPREADSHEET),
    (b"\x1f\x8b", "compressed by gzip", "Rename it to {table}.csv.gz if it holds CSV, or unpack it."),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", UNPACK),
    (b"BZh", "compressed by bzip2", UNPACK),
    (b"\xfd7zXZ", "compressed by xz", UNPACK),
    (b"%PDF", "a PDF", "Export it as CSV or Parquet."),
    (b"SQLite format 3", "an SQLite database", "Export it as CSV or Parquet."),
    (b"ARROW1", "an Arrow file", "Save it as Parquet: {table}.parquet."),
    (b"\x00\x05\x16\x07", "what macOS keeps beside a file", "Delete it and copy the file itself."),
    (b"\xff\xfe\0\0", "text in UTF-32, not encoded in UTF-8", "Export it as UTF-8."),
    (b"\xff\xfe", "text in UTF-16, not encoded in UTF-8", "Export it as UTF-8 (Excel: 'CSV UTF-8')."),
    (b"\xfe\xff", "text in UTF-16, not encoded in UTF-8", "Export it as UTF-8 (Excel: 'CSV UTF-8')."),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file", "Fetch the file: git lfs pull."),
)
_PAGE = re.compile(rb"\s*<(!doctype|html|\?xml|table|head|body|script)", re.IGNORECASE)
_JSON = re.compile(rb'\s*(\{\s*"|\[\s*[{\[])')


def kind_of(head: bytes, table: str) -> tuple[str, str] | None:
    """The kind of a file that begins with `head`, and the remedy; None for text and unknown kinds."""
    head = head.removeprefix(b"\xef\xbb\xbf")
    for magic, kind, remedy in _KINDS:
        if head.startswith(magic):
            return kind, remedy.format(table=table)
    if _PAGE.match(head):
        return "a web page or XML", "Download the export itself: it may have been a page that asks to sign in."
    if _JSON.match(head):
        return "JSON", f"Read it by {table}.sql: SELECT … FROM read_json('…')."
    return None


def refuse_other_kinds(path: Path, table: str, head: bytes) -> None:
    """Refuse a file that should be text but begins like another kind."""
    if found := kind_of(head, table if table in TABLES else path.stem):
        if table not in TABLES and ".sql" in found[1]:
            found = found[0], "Save it as CSV or Parquet."
        if table not in TABLES and ".csv.gz" in found[1]:
            found = found[0], UNPACK
        if path.suffix.lower() == ".gz":  # the cures are of files that are not packed
            raise fail(table, f"{path.name} unpacks to something that is {found[0]}", "Pack a CSV file, once.")
        raise fail(table, f"{path.name} is {found[0]}", found[1])
