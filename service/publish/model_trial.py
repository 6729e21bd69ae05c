"""Fetches and loads a model in a process of its own, so that a crash cannot take the publisher down; a model that loads
is saved in the state folder.

python -m service.publish.model_trial STATE URI FOLDER
"""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path

from features.catalogue import BY_NAME
from models.registry import left_out, registry, store
from models.scorer import ModelError, Scorer
from service.publish import children

log = logging.getLogger("creator_yield")


def try_model(state: Path, uri: str, folder: str) -> dict[str, object]:
    """Save the model; its label, run and card, its features' key, the run whose kept-out results it is to leave out
    (`left_out`), and the one whose it does (`kept_out_by`): its own, where the former's are gone, and None where none
    are left out. The card names that run, with how many results it kept out, where it is not the model's own.

    Raises InputError for a URI that names no model, or one that is damaged, and for a store that cannot be used.
    """
    client = store.connect(create=False)
    model = registry.require(client, uri)
    require_signature(model)
    require_columns(model.scorer)
    card, run = registry.card(client, model), left_out.announced(client, model.name)
    model, notes = left_out.without_announced(client, model, run)
    for note in notes:
        log.warning("a note on the model", extra={"facts": {"note": note}})
    model.scorer.save(state / folder)
    followed, results = left_out.followed(model, run, notes), len(model.scorer.facts.kept_out)
    card["left_out"] = None if followed == model.run else {"run": followed, "results": results}
    return {
        "label": model.label, "run": model.run, "card": card, "left_out": run, "key": key(model.scorer),
        "kept_out_by": followed if results else None,
    }  # fmt: skip


def key(scorer: Scorer) -> str:
    """What decides the features beside the data: models with the same key share them."""
    decisive = f"{scorer.settings} {scorer.classifier.fingerprint} {scorer.facts.kept_out}"
    return hashlib.sha256(decisive.encode()).hexdigest()


def require_signature(model: registry.Model) -> None:
    """Raise ModelError where the registered signature is not that of the model's own columns."""
    if model.inputs != {*model.scorer.encoding.columns, "creator_id", "spend"}:
        raise ModelError(f"{model.label}: its signature names other columns than the model has. Train anew")


def require_columns(scorer: Scorer) -> None:
    """Raise ModelError for a model of columns that are not in the catalogue."""
    if strange := sorted(set(scorer.encoding.columns) - set(BY_NAME)):
        raise ModelError(f"the model wants columns that a request does not come by: {strange}")


if __name__ == "__main__":
    children.run(lambda reply: reply(try_model(Path(sys.argv[1]), sys.argv[2], sys.argv[3])))
