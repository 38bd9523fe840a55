"""What the demo says at its end."""

from __future__ import annotations

from sluice_cli.demo import told
from sluice_cli.playing import Rollback


def test_the_rollback_that_was_timed_is_told_with_its_own_versions() -> None:
    assert told(Rollback(failed=2, restored=1, seconds=17.74)) == ", v1 served again 17.7s after v2 failed"
    assert told(None) == ""
