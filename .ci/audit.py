"""Looks for known vulnerabilities among locked versions: python audit.py LOCK, beside a pip-audit.

A vulnerability service that is unreachable looks like one that knows nothing: a registry with packages alone answers
"not found", which pip-audit does not take for an error. So each service is first queried for a version known to be
vulnerable, and the first one that reports it audits the lock. Exit status 0: no vulnerability is known, or no service
can be reached, which is printed; 1: some are known, or the audit failed.
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


def query(service: str, *words: str) -> tuple[list[dict[str, Any]] | None, str]:
    """The service's entry for each version, None where pip-audit failed; and the last line of its standard error."""
    done = subprocess.run([*AUDIT, "-s", service, *words], capture_output=True, text=True)
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    try:
        return list(json.loads(done.stdout)["dependencies"]), last
    except (ValueError, KeyError):
        return None, last


def knows(service: str) -> bool:
    """Whether the service can be reached and reports vulnerabilities."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "known.txt"
        requirements.write_text(f"{KNOWN}\n")
        found, _ = query(service, "--no-deps", "-r", str(requirements))
    return any(one.get("vulns") for one in found or [])


def main(lock: str) -> int:
    """Audit a lock; the exit status."""
    service = next((one for one in SERVICES if knows(one)), None)
    if service is None:
        print(f"audit: NOT DONE, no vulnerability service can be reached from here ({', '.join(SERVICES)})")
        return 0
    found, message = query(service, "-r", lock)
    if found is None:
        print(f"audit: {service} failed: {message}")
        return 1
    faults = [f"{one['name']}: {one['skip_reason']}" for one in found if "skip_reason" in one]
    for one in found:
        for known in one.get("vulns", ()):
            fixed = ", ".join(known["fix_versions"]) or "no version"
            faults.append(f"{one['name']} {one['version']}: {known['id']}, fixed in {fixed}")
    for fault in faults:
        print(f"audit: {fault}")
    print(f"audit: {len(found)} locked versions, {len(faults)} faults, by {service}")
    return int(bool(faults) or not found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
