"""Names that an experiment, a registered model and a folder can all have. Imports nothing that is slow."""

from __future__ import annotations

from features.faults import Fault, InputError

LONGEST = 200  # bytes


def check_name(name: str) -> None:
    """Raise InputError for what cannot name an experiment."""
    problem = None
    if not name.strip() or set(name) & set("/:@\\") or not name.isprintable():
        problem = "it cannot name a model"
    elif name == "." or name.startswith(".."):
        problem = "it would name another folder"
    elif len(name.encode(errors="replace")) > LONGEST:
        problem = f"it is longer than {LONGEST} bytes"
    if problem:
        remedy = "Use letters, digits and dashes."
        raise InputError([Fault("--experiment", received=repr(name[:LONGEST]), problem=problem, remedy=remedy)])
