"""What all tests share: reproducible property tests, and the foreign data that some can use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("project", derandomize=True, deadline=None)
settings.load_profile("project")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of foreign exports: CREATOR_YIELD_SHARED_DATA, else ../shared/data; the test is skipped without it."""
    folder = Path(os.environ.get("CREATOR_YIELD_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs foreign exports, and there is no folder {folder} (CREATOR_YIELD_SHARED_DATA names another)")
    return folder
