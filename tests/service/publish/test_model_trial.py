"""Models that the service cannot use."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from models.scorer import ModelError
from service.publish.model_trial import require_columns


def test_a_model_of_columns_that_nobody_knows_is_refused_by_their_names() -> None:
    known: Any = SimpleNamespace(encoding=SimpleNamespace(columns=("followers", "tier")))
    require_columns(known)
    strange: Any = SimpleNamespace(encoding=SimpleNamespace(columns=("moon", "tier")))
    with pytest.raises(ModelError, match=r"does not come by: \['moon'\]"):
        require_columns(strange)
