"""What a step's members come to be by references is text, or fails the step with the member's name."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_local.sagemaker.api.core import Scope
from sluice_local.sagemaker.pipelines.definition.resolving import Values
from sluice_local.sagemaker.pipelines.definition.steps import Step
from sluice_local.sagemaker.pipelines.work import KINDS
from sluice_local.sagemaker.pipelines.work.task import StepFailedError, Task

SCOPE = Scope("000000000000", "us-east-1")
CHECK = {"CheckType": "DATA_QUALITY", "ModelPackageGroupName": {"Get": "Parameters.Number"}}


@pytest.mark.parametrize(
    ("kind", "own", "member"),
    [
        ("Callback", {"SqsQueueUrl": {"Get": "Parameters.Number"}}, "SqsQueueUrl"),
        ("Lambda", {"FunctionArn": {"Get": "Parameters.Number"}}, "FunctionArn"),
        ("QualityCheck", CHECK, "ModelPackageGroupName"),
    ],
)
def test_a_member_that_comes_to_be_no_text_fails_the_step(
    kind: str, own: dict[str, Any], member: str
) -> None:
    execution = {"PipelineExecutionArn": "arn", "_RoleArn": "arn:aws:iam::000000000000:role/r"}
    values = Values({"Number": 3}, {"PipelineExecutionId": "e"})
    task = Task(SCOPE, execution, Step("S", kind, {}, own=own), values, lambda metadata, remark=None: None)
    with pytest.raises(StepFailedError, match=f"ClientError: {member} must be text, not 3"):
        KINDS[kind](task)


def test_a_fail_step_whose_message_is_null_has_none() -> None:
    task = Task(
        SCOPE,
        {},
        Step("S", "Fail", {"ErrorMessage": None}),
        Values({}, {}),
        lambda metadata, remark=None: None,
    )
    with pytest.raises(StepFailedError) as failed:
        KINDS["Fail"](task)
    assert failed.value.reason == ""
