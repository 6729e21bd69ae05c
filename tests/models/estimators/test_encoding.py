"""Codes of categories and creators."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from models.estimators.encoding import MISSING, OTHER, Encoding


def test_codes_of_categories_depend_on_the_saved_levels_alone() -> None:
    seen = pd.DataFrame({"x": ["b", "a", "a", "b", "b", "a", None, "rare"], "empty": [None] * 8}, dtype=object)
    encoding = Encoding.fit(seen, np.array(["c1", "c2"] * 4, dtype=object))
    assert encoding.columns == ("x",)
    assert encoding.levels == {"x": ("a", "b")}
    candidates = pd.DataFrame({"x": ["b", None, "new", "rare", "a"]}, dtype=object)
    creators = np.array(["c2", "c1", "new", None, "c2"], dtype=object)
    assert encoding.transform(candidates, creators)[:, -1].tolist() == [2, 1, 0, 0, 2]
    assert encoding.transform(candidates, creators)[:, 0].tolist() == [3, MISSING, OTHER, OTHER, 2]
    assert encoding.transform(candidates.astype("category"), creators)[:, 0].tolist() == [3, MISSING, OTHER, OTHER, 2]
    further = encoding.extended({"x": ("a", "rare"), "y": ("z",)})
    assert further.levels == {"x": ("a", "b", "rare")}
    assert further.transform(candidates, creators)[:, 0].tolist() == [3, MISSING, OTHER, 4, 2]
    numbered = Encoding.fit(seen, np.array([7, 8] * 4))
    for creators in (np.array([8, 7, 9, 8, 7]), np.array(["8", "7", "", "8", 7.0], dtype=object)):
        assert numbered.transform(candidates, creators)[:, -1].tolist() == [2, 1, 0, 2, 1]
    assert (encoding.place("x"), encoding.place("y", otherwise=-1)) == (0, -1)
    with pytest.raises(ValueError, match="does not know the column 'y'"):
        encoding.place("y")
    assert Encoding.from_dict(json.loads(json.dumps(encoding.to_dict()))) == encoding
    with pytest.raises(ValueError, match=r"lacks 1 of the 1 columns .*'x'"):
        encoding.transform(candidates.rename(columns={"x": "y"}), creators)
