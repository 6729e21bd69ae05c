"""What tests of models share."""

import pytest

from models.training import Trained
from tests.support.past_market import fitted, spine


@pytest.fixture(scope="session")
def trained() -> Trained:
    """A model of 600 past results with a known rate; leave it as it is."""
    return fitted(spine(600))
