"""What is asked for side by side is answered in order, and what fails is raised."""

from __future__ import annotations

import threading

import pytest

from sluice.services import side_by_side


def test_requests_are_made_at_the_same_time_and_answered_in_order(in_threads: None) -> None:
    met = threading.Barrier(8, timeout=30)

    def ask(number: int) -> int:
        met.wait()
        return number

    assert side_by_side.on_each(range(16), ask) == [*range(16)]


def test_what_the_first_that_fails_raises_is_raised(in_threads: None) -> None:
    known = {"b": 1}
    with pytest.raises(KeyError, match="a"):
        side_by_side.together(lambda: known["b"], lambda: known["a"], lambda: known["c"])
