"""What no test of a function waits for."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def without_waiting(no_sleep: None, judged_once: None) -> None:
    """Handlers that pause between attempts go on at once, and the same data are judged once."""
