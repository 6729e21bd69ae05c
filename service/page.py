"""The page for people at `/` and its parts, read once from beside this module: path → (type, bytes)."""

from __future__ import annotations

from pathlib import Path

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_KINDS = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
PARTS = {
    path: (f"{kind}; charset=utf-8", (Path(__file__).parent / name).read_bytes())
    for path, (name, kind) in _KINDS.items()
}
