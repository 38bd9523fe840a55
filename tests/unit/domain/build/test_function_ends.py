"""What Lambda's record of a failed invocation says about the job that ran in it."""

from __future__ import annotations

import pytest

from sluice.domain.build import function_ends


@pytest.mark.parametrize(
    ("kind", "said", "limit"),
    [
        ("Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: signal: killed", "memory"),
        ("Runtime.OutOfMemory", "", "memory"),
        ("Sandbox.Timedout", "RequestId: 1 Error: Task timed out after 900.00 seconds", "time"),
        (None, "2026-11-29T00:00:00.000Z 1 Task timed out after 900.10 seconds", "time"),
        ("Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: exit status 1", None),
        ("RuntimeError", "/opt/ml is no link", None),
    ],
)
def test_a_limit_is_told_from_a_crash(kind: str | None, said: str, limit: str | None) -> None:
    answer = {"errorMessage": said, **({"errorType": kind} if kind else {})}
    end = function_ends.read({"requestContext": {"condition": "RetriesExhausted"}, "responsePayload": answer})
    assert end.limit == limit
    if limit is None:
        assert kind is not None
        assert kind in end.reason
        assert said.rpartition("Error: ")[2] in end.reason


def test_an_order_that_waited_too_long_had_no_room() -> None:
    end = function_ends.read({"requestContext": {"condition": "EventAgeExceeded"}})
    assert end.limit == "concurrency"


def test_a_record_of_nothing_is_an_end_too() -> None:
    assert function_ends.read({}).limit is None


def test_each_limit_has_an_advice_and_no_limit_none() -> None:
    assert function_ends.advice(None) == ""
    assert "memory_mb" in function_ends.advice("memory")
    assert "memory_mb" not in function_ends.advice("time")
