"""A task's error is told in the words of whoever raised it."""

from __future__ import annotations

import json

import pytest

from sluice.domain import failures

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
