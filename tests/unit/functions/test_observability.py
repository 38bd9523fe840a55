"""A log line names the run, the model and the release that it is about, and nothing else of its event."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from pydantic import ValidationError

import fakes
from build_world import Invoke
from handlers import LambdaContext
from sluice import observability
from sluice.observability import EventLogger

ROOT = Path(__file__).parents[3]
RELEASE = {
    "pipeline": "reviews",
    "release_id": "reviews-v3-ab",
    "package_arn": "arn:package",
    "reason": "a secret",
}


@pytest.mark.parametrize(
    ("event", "named"),
    [
        (
            {"pipeline": "reviews", "run_id": "reviews-00001", "task_token": "t"},
            {"pipeline": "reviews", "run_id": "reviews-00001"},
        ),
        (
            {"execution_arn": "arn", "release": RELEASE},
            {"pipeline": "reviews", "release_id": "reviews-v3-ab", "model_package_arn": "arn:package"},
        ),
        ({"detail": {"ModelPackageArn": "arn:package"}}, {"model_package_arn": "arn:package"}),
        (
            {"detail": {"stack": "sluice", "pipeline": "reviews", "stage": "production", "rows": [1]}},
            {"pipeline": "reviews", "stage": "production"},
        ),
        ({"stage": {"stage": "production"}, "release_id": "r"}, {"release_id": "r"}),
        ({"Records": [{"body": "{}"}]}, {}),
        ([], {}),
    ],
)
def test_what_an_event_is_about_is_named_and_no_more(event: Any, named: dict[str, str]) -> None:
    assert observability.ids(event) == named


def lines(stream: io.StringIO) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in stream.getvalue().splitlines())


def test_each_line_of_an_invocation_has_the_names_and_the_next_invocation_its_own() -> None:
    stream = io.StringIO()
    logger: Logger = EventLogger(service="test", stream=stream)

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], context: Any) -> str:
        logger.info("done")
        return "answer"

    assert handler({"run_id": "reviews-00001", "rows": ["secret"]}, LambdaContext()) == "answer"
    handler({"detail": {"alarmName": "alarm"}}, LambdaContext())
    first, second = lines(stream)
    assert (first["run_id"], first["function_request_id"]) == ("reviews-00001", LambdaContext.aws_request_id)
    assert "secret" not in stream.getvalue()
    assert second["alarm_name"] == "alarm"
    assert "run_id" not in second


def test_every_function_logs_by_it() -> None:
    apps = [path for path in ROOT.glob("functions/*/app.py") if path.parent.name != "run_job"]
    assert len(apps) > 30
    assert [
        path.parent.name for path in apps if "@logger.inject_lambda_context" not in path.read_text()
    ] == []


def test_an_event_that_cannot_be_read_is_in_no_log(cloud: fakes.Cloud, invoke: Invoke) -> None:
    """Lambda logs an error with its message: pydantic's would show what it read, such as a task's token."""
    with pytest.raises(ValidationError) as raised:
        invoke("start_job", {"task_token": "of-the-task", "pipeline": 5})
    assert "run_id" in str(raised.value)
    assert "of-the-task" not in str(raised.value)
