"""Models that the service cannot use."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from models.scorer import ModelError, Scorer
from service.publish.model_trial import key, require_columns


def test_a_model_of_columns_that_nobody_knows_is_refused_by_their_names() -> None:
    known: Any = SimpleNamespace(encoding=SimpleNamespace(columns=("followers", "tier")))
    require_columns(known)
    strange: Any = SimpleNamespace(encoding=SimpleNamespace(columns=("moon", "tier")))
    with pytest.raises(ModelError, match=r"does not come by: \['moon'\]"):
        require_columns(strange)


def test_models_that_leave_out_other_results_share_no_features(small_scorer: Scorer) -> None:
    other = replace(small_scorer, facts=replace(small_scorer.facts, kept_out=("r00001",)))
    assert key(replace(small_scorer)) == key(small_scorer) != key(other)
