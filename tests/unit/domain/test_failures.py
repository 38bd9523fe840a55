"""A task's error is told in the words of whoever raised it."""

from __future__ import annotations

import json

import pytest

from sluice.domain import failures
from sluice.domain.failures import TransientError

LAMBDA = json.dumps({"errorMessage": "no candidate", "errorType": "NoCandidateError", "stackTrace": ["x"]})


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (LAMBDA, "no candidate"),
        (f"{LAMBDA} (after 4 attempts)", "no candidate (after 4 attempts)"),
        ("run-1-prepare: no such file", "run-1-prepare: no such file"),
        ('{"other": "JSON"}', '{"other": "JSON"}'),
        ("[1]", "[1]"),
        ("", ""),
    ],
)
def test_a_lambdas_json_is_reduced_to_its_message_and_other_text_stays(cause: str, message: str) -> None:
    assert failures.message(cause) == message


def test_an_error_without_a_cause_is_its_name() -> None:
    assert failures.reason("States.Timeout", "") == "States.Timeout"
    assert failures.reason("NoCandidateError", LAMBDA) == "NoCandidateError: no candidate"


def test_a_transient_error_is_called_what_it_stands_for() -> None:
    """Tried again in vain, it says which service kept it waiting, and not that it was transient."""
    raised = TransientError.of(TimeoutError("no answer of the table"))
    cause = json.dumps({"errorMessage": str(raised), "errorType": type(raised).__name__})
    assert failures.reason("TransientError", cause) == "TimeoutError: no answer of the table"
    assert failures.reason("TransientError", "") == "TransientError"


def test_a_cause_of_any_length_is_cut_to_what_is_read_of_it() -> None:
    cause = json.dumps({"errorMessage": f"first {'x' * 100_000} last"})
    said = failures.reason("NoCandidateError", cause)
    assert len(said) <= failures.REASON_MAX
    assert said.startswith("NoCandidateError: first x")
    assert said.endswith("x last")


def test_of_many_reasons_the_first_are_told_and_how_many_there_are() -> None:
    assert failures.bounded(["a", "b"]) == ["a", "b"]
    told = failures.bounded([f"reason {number}" * 1000 for number in range(50)])
    assert (len(told), told[-1]) == (21, "and 30 more")
    assert len(json.dumps(told, ensure_ascii=False).encode()) < 100_000


def test_a_cause_that_is_deeply_nested_json_is_text() -> None:
    assert failures.message("[" * 100_000) == "[" * 100_000


def test_reasons_told_together_share_the_room_that_there_is() -> None:
    assert failures.together(["a", "b" * 900]) == f"a; {'b' * 900}"
    told = failures.together([f"{number} {'x' * 9000} last {number}" for number in range(50)])
    assert len(told) <= failures.REASON_MAX
    assert all(f"{number} x" in told and f"x last {number};" in told for number in range(10))
    assert told.endswith("and 40 more")
