"""What the command line is asked here is not answered by a local cloud that this checkout happens to run."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a cloud."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SLUICE_HOME", str(home))
    return home
