"""The audit of locked versions: an unreachable service is not taken for one that knows nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOLE = {"id": "PYSEC-0", "fix_versions": ["2.11"]}
KNOWN = {"name": "jinja2", "version": "2.10", "vulns": [HOLE]}
GOOD, BAD = {"name": "good", "version": "1", "vulns": []}, {"name": "bad", "version": "2", "vulns": [HOLE]}
SKIPPED = {"name": "jinja2", "skip_reason": "not found"}
NOT_DONE = "audit: NOT DONE, no vulnerability service can be reached from here (pypi, osv)\n"
# what pip-audit reports for the known version and for the lock; None: it fails
CASES: list[tuple[dict[str, tuple[Any, Any]], int, str]] = [
    ({"pypi": (None, None), "osv": (None, None)}, 0, NOT_DONE),
    ({"pypi": ([SKIPPED], [SKIPPED]), "osv": (None, None)}, 0, NOT_DONE),
    ({"pypi": ([KNOWN | {"vulns": []}], [GOOD]), "osv": (None, None)}, 0, NOT_DONE),
    ({"pypi": ([KNOWN], [GOOD])}, 0, "audit: 1 locked versions, 0 faults, by pypi\n"),
    ({"pypi": ([SKIPPED], None), "osv": ([KNOWN], [GOOD])}, 0, "audit: 1 locked versions, 0 faults, by osv\n"),
    ({"pypi": ([KNOWN], [GOOD, BAD])}, 1, "audit: bad 2: PYSEC-0, fixed in 2.11\n"),
    ({"pypi": ([KNOWN], [GOOD, SKIPPED])}, 1, "audit: jinja2: not found\n"),
    ({"pypi": ([KNOWN], None)}, 1, "audit: pypi failed: no route\n"),
    ({"pypi": ([KNOWN], [])}, 1, "audit: 0 locked versions"),
]
PIP_AUDIT = """#!{python}
import json, sys
words = sys.argv[1:]
of_known, of_lock = json.loads({reports!r})[words[words.index("-s") + 1]]
found = of_lock if "requirements-dev.lock" in words[-1] else of_known
if found is None:
    sys.exit("a traceback\\nno route")
print(json.dumps({{"dependencies": found, "fixes": []}}))
sys.exit(any(one.get("vulns") for one in found))
"""


@pytest.mark.parametrize(("reports", "status", "printed"), CASES, ids=range(len(CASES)))
def test_the_audit_fails_on_known_vulnerabilities_alone(
    tmp_path: Path, reports: dict[str, tuple[Any, Any]], status: int, printed: str
) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    audit = tmp_path / "pip-audit"
    audit.write_text(PIP_AUDIT.format(python=sys.executable, reports=json.dumps(reports)))
    audit.chmod(0o755)
    script = shutil.copy(ROOT / ".ci" / "audit.py", tmp_path)
    done = subprocess.run([python, script, "requirements-dev.lock"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (status, "")
    assert printed in done.stdout
