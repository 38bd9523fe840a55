"""What tests of adapters share."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine_world import Inspect, inspector


@pytest.fixture
def inspect(tmp_path: Path) -> Inspect:
    return inspector(tmp_path)
