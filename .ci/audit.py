"""Looks for known vulnerabilities among locked versions: python audit.py LOCK, beside a pip-audit.

A service that cannot be asked and one that knows of nothing look alike to who asks about good versions only: a registry
that has packages alone answers "not found", which pip-audit takes for no fault. So each service is asked first about a
version that is known to be vulnerable; the first one that says so is asked about the lock. Exit status 0: nothing is
known, or no service can be asked, which is said; 1: something is known, or the audit broke off.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SERVICES = ("pypi", "osv")
KNOWN = "jinja2==2.10"  # PYSEC-2019-217 and more
AUDIT = [str(Path(sys.executable).with_name("pip-audit")), "--disable-pip", "--progress-spinner", "off", "-f", "json"]


def ask(service: str, *words: str) -> tuple[list[dict[str, Any]] | None, str]:
    """What the service says of each version, None where pip-audit broke off; the last line of what it complained of."""
    done = subprocess.run([*AUDIT, "-s", service, *words], capture_output=True, text=True)
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    try:
        return list(json.loads(done.stdout)["dependencies"]), last
    except (ValueError, KeyError):
        return None, last


def knows(service: str) -> bool:
    """Whether the service can be asked and tells vulnerabilities."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "known.txt"
        asked.write_text(f"{KNOWN}\n")
        found, _ = ask(service, "--no-deps", "-r", str(asked))
    return any(one.get("vulns") for one in found or [])


def main(lock: str) -> int:
    """Audit a lock; the exit status."""
    service = next((one for one in SERVICES if knows(one)), None)
    if service is None:
        print(f"audit: NOT DONE, no vulnerability service can be reached from here ({', '.join(SERVICES)})")
        return 0
    found, complaint = ask(service, "-r", lock)
    if found is None:
        print(f"audit: {service} broke off: {complaint}")
        return 1
    faults = [f"{one['name']}: {one['skip_reason']}" for one in found if "skip_reason" in one]
    for one in found:
        for known in one.get("vulns", ()):
            mended = ", ".join(known["fix_versions"]) or "no version"
            faults.append(f"{one['name']} {one['version']}: {known['id']}, mended in {mended}")
    for fault in faults:
        print(f"audit: {fault}")
    print(f"audit: {len(found)} locked versions, {len(faults)} faults, by {service}")
    return int(bool(faults) or not found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
