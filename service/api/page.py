"""The page for people at `/` and its parts, read once from beside this module: path → (type, bytes)."""

from __future__ import annotations

import json
from pathlib import Path

from features.catalogue import CATALOGUE

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_FOLDER = Path(__file__).parent
_SCRIPT = "text/javascript; charset=utf-8"
# a reason is shown by its feature's label and unit, which the page takes from the catalogue
_LABELS = json.dumps({f.name: [f.label, f.unit] for f in CATALOGUE}, ensure_ascii=False, indent=0)
PARTS = {
    "/": ("text/html; charset=utf-8", (_FOLDER / "page.html").read_bytes()),
    "/page.css": ("text/css; charset=utf-8", (_FOLDER / "page.css").read_bytes()),
    "/page_labels.js": (_SCRIPT, f"export default {_LABELS};\n".encode()),
    **{f"/{script.name}": (_SCRIPT, script.read_bytes()) for script in sorted(_FOLDER.glob("page*.js"))},
}
