"""The page for people at `/` and its parts, read once from beside this module: path → (type, bytes)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from features.catalogue import CATALOGUE
from features.history.column_types import kind_of
from features.history.contract import CANDIDATES
from features.history.score_columns import TARGET_SCORES, score_columns
from service.api.answers import OF_CREATOR
from service.api.request_types import MOST_ITEMS

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_FOLDER = Path(__file__).parent
_SCRIPT = "text/javascript; charset=utf-8"
# a reason is shown by its feature's label and unit, which the page takes from the catalogue
_LABELS = json.dumps({f.name: [f.label, f.unit] for f in CATALOGUE}, ensure_ascii=False, indent=0)
_BOUNDS = ("low", "above", "most")
_CANDIDATES = [
    {"name": name, "kind": kind_of(column), "required": column.required, "meaning": column.description,
     "unit": column.title} | {bound: column.metadata[bound] for bound in _BOUNDS}
    for name, column in CANDIDATES.columns.items()
]  # fmt: skip
_CONTRACT = {
    "CANDIDATES": _CANDIDATES,
    "SCORES": score_columns(target=True),
    "TARGET_SCORES": TARGET_SCORES,
    "OF_CREATOR": [*OF_CREATOR],
    "MOST_ROWS": MOST_ITEMS,
}


def _module(names: dict[str, Any]) -> bytes:
    """A module of JavaScript that exports constants."""
    lines = [f"export const {name} = {json.dumps(value, ensure_ascii=False)};\n" for name, value in names.items()]
    return "".join(lines).encode()


PARTS = {
    "/": ("text/html; charset=utf-8", (_FOLDER / "page.html").read_bytes()),
    "/page.css": ("text/css; charset=utf-8", (_FOLDER / "page.css").read_bytes()),
    "/page_contract.js": (_SCRIPT, _module(_CONTRACT)),
    "/page_labels.js": (_SCRIPT, f"export default {_LABELS};\n".encode()),
    **{f"/{script.name}": (_SCRIPT, script.read_bytes()) for script in sorted(_FOLDER.glob("page*.js"))},
}
