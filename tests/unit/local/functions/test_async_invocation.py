"""An event that a cloud leaves unfinished is the next one's, with the attempts that there were."""

from __future__ import annotations

from typing import Any

import pytest
from ministack.services import lambda_svc as service

from sluice_local.patches.functions import async_invocation
from sluice_local.patches.functions.async_invocation import _Event

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:f"


def test_an_attempt_that_was_lost_counts_however_often_the_cloud_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    underway: dict[str, _Event] = {}
    queued: list[_Event] = []
    config = {"FunctionArn": ARN, "FunctionName": "f"}
    monkeypatch.setattr(async_invocation, "_underway", underway)
    monkeypatch.setattr(async_invocation, "_restored", [(ARN, {"x": 1}, 3, True), (ARN, {"x": 2}, 1, False)])
    monkeypatch.setattr(async_invocation._queue, "put", lambda flow, event: queued.append(event))
    monkeypatch.setattr(service, "_get_func_record_for_ref", lambda ref: ({"config": config}, config, "f"))

    def never(func: Any, payload: Any) -> None:
        raise AssertionError("a lost attempt is not made again")

    monkeypatch.setattr(service, "_execute_function", never)
    assert async_invocation.resume("the cloud ended") == 2
    assert async_invocation._saved() == [(ARN, {"x": 1}, 3, True), (ARN, {"x": 2}, 1, False)]
    found = async_invocation._result(queued[0], {})
    assert (found["error"], found["body"]["errorMessage"]) == (True, "the cloud ended")
    # Its failure is dealt with.
    assert queued[0].saved() == (ARN, {"x": 1}, 3, False)
