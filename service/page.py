"""The page for people at `/`."""

from __future__ import annotations

PAGE = b'<!doctype html><title>creator-yield</title><p>See <a href="/openapi.json">the interface</a>.\n'
PAGE_POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'"
