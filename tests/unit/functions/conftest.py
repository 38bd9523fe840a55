"""What no test of a function waits for."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch, judged_once: None) -> None:
    """Handlers that pause between attempts go on at once, and the same data are judged once."""
    monkeypatch.setattr("time.sleep", lambda _: None)
