"""Which names a service without keys answers to.

A page of somebody else's can have its own name resolve to 127.0.0.1 (DNS rebinding), and its scripts then read whatever
answers there. Their requests still bear that page's name in the header Host.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from service.problems import Problem


class Hosts:
    """The names that the service answers to: loopback's, and the host that it listens on."""

    def __init__(self, bound: str) -> None:
        self.bound = bound.lower().strip("[]")
        self._known = lru_cache(256)(self._is_known)

    def require(self, host: str | None) -> None:
        """Raise Problem for a request to another name. host: its header; browsers always send one."""
        if host is not None and not self._known(host):
            detail = "Without keys only localhost, loopback addresses and the bound host are answered to (header Host)."
            raise Problem(421, "host", detail)

    def _is_known(self, host: str) -> bool:
        name = _name(host.strip().lower()).rstrip(".")
        if name in (self.bound, "localhost") or name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
