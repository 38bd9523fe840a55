"""Which errors a Retry answers to, and how long it waits."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_local.states.retry import Retries, matches


@pytest.mark.parametrize(
    ("error_equals", "names", "answered"),
    [
        (["JobRefusedError"], {"JobRefusedError"}, True),
        (["JobRefusedError"], {"Other"}, False),
        (["States.ALL"], {"Other"}, True),
        (["States.ALL"], {"States.Timeout"}, True),
        (["States.ALL"], {"States.Runtime"}, False),
        (["States.ALL"], {"States.DataLimitExceeded"}, False),
        (["States.DataLimitExceeded"], {"States.DataLimitExceeded"}, True),
        (["States.TaskFailed"], {"Other"}, True),
        (["States.TaskFailed"], {"States.Timeout"}, False),
        (["States.TaskFailed"], {"States.Runtime"}, False),
        (["States.HeartbeatTimeout"], {"States.Timeout", "States.HeartbeatTimeout"}, True),
        (["States.HeartbeatTimeout"], {"States.Timeout"}, False),
    ],
)
def test_wildcards_match_all_but_what_is_terminal(
    error_equals: list[str], names: set[str], answered: bool
) -> None:
    assert matches(error_equals, names) is answered


def delays(retrier: dict[str, Any], **options: Any) -> list[float]:
    retries = Retries([{"ErrorEquals": ["E"], **retrier}], **options)
    found = []
    while (delay := retries.next_delay_s({"E"})) is not None:
        found.append(delay)
    return found


@pytest.mark.parametrize(
    ("retrier", "expected"),
    [
        ({}, [1, 2, 4]),
        ({"IntervalSeconds": 2, "BackoffRate": 1.5, "MaxAttempts": 2}, [2, 3]),
        ({"BackoffRate": 10, "MaxDelaySeconds": 30, "MaxAttempts": 4}, [1, 10, 30, 30]),
        ({"MaxAttempts": 0}, []),
    ],
)
def test_the_delay_grows_up_to_its_bound(retrier: dict[str, Any], expected: list[float]) -> None:
    assert delays(retrier) == expected


def test_full_jitter_draws_between_nothing_and_the_delay() -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return high / 2

    assert delays({"JitterStrategy": "FULL", "MaxDelaySeconds": 3}, uniform=uniform) == [0.5, 1, 1.5]
    assert drawn == [(0, 1), (0, 2), (0, 3)]


def test_the_first_retrier_that_matches_decides() -> None:
    retries = Retries(
        [
            {"ErrorEquals": ["A"], "MaxAttempts": 1},
            {"ErrorEquals": ["B"], "MaxAttempts": 1},
            {"ErrorEquals": ["States.ALL"], "MaxAttempts": 9},
        ]
    )
    assert [retries.next_delay_s({name}) for name in ("A", "B", "A")] == [1, 1, None]
    assert retries.count == 2
    assert retries.next_delay_s({"C"}) == 1


def test_an_error_no_retrier_names_is_not_retried() -> None:
    assert Retries([{"ErrorEquals": ["A"]}]).next_delay_s({"B"}) is None
