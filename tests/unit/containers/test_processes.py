"""What a script is said to have left running is its own."""

from __future__ import annotations

import pytest

from sluice.containers import processes


def test_what_reads_metrics_is_not_said_to_be_left_by_a_script_that_ends_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It starts with a metric's first line, which may be read after the script has ended."""
    reader = 7
    monkeypatch.setattr(processes, "seen_below", lambda _: {reader})
    monkeypatch.setattr(processes, "_name", lambda _: "python")
    spared = iter([set[int](), {reader}])
    assert processes.left_running(lambda: next(spared)) == []


def test_what_a_script_leaves_is_named_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_LEAVE_TIME_S", 0)
    monkeypatch.setattr(processes, "seen_below", lambda _: {7, 8})
    monkeypatch.setattr(processes, "_name", {7: "sleep", 8: None}.get)
    assert processes.left_running(set) == ["sleep"]


def test_of_many_names_the_first_are_said() -> None:
    said = processes.told_of(["a", "a", *"bcdefg"])
    assert said == "ended 8 processes that the script left running: a (2), b, c, d, e, 2 other names"


def test_a_script_of_very_many_generations_is_seen_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand of them were an error of ours, and the job ended without a result."""
    monkeypatch.setattr(processes, "_listed", lambda pid: [pid + 1] if pid < 5000 else [])
    assert [*processes.seen_below(1)] == [*range(2, 5001)]
