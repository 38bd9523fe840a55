"""What is put on the bus again, and what need not be."""

from __future__ import annotations

import json

import pytest

from sluice import events, release_events
from sluice.catalog.records.releases import Package
from sluice.domain import lost_events

EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:sluice-release-model:reviews-v1-0a"


@pytest.mark.parametrize(
    ("status", "is_sent"), [("InProgress", False), ("Stopping", False), ("Failed", True)]
)
def test_a_job_that_runs_is_left_alone(status: str, is_sent: bool) -> None:
    hint = lost_events.job_ended("training_job", "reviews-00001-train-0", {"TrainingJobStatus": status})
    assert (hint is not None) is is_sent


@pytest.mark.parametrize(
    ("status", "is_sent"), [("Executing", False), ("Stopping", False), ("Succeeded", True)]
)
def test_an_execution_of_a_pipeline_that_runs_is_left_alone(status: str, is_sent: bool) -> None:
    hint = lost_events.job_ended("pipeline_execution", "reviews-1", {"PipelineExecutionStatus": status})
    assert (hint is not None) is is_sent


def test_a_job_that_is_gone_has_ended() -> None:
    hint = lost_events.job_ended("processing_job", "reviews-00001-prepare", None)
    assert hint is not None
    assert hint.detail_type == "SageMaker Processing Job State Change"
    assert hint.detail["ProcessingJobStatus"] == "Failed"


@pytest.mark.parametrize(
    ("described", "seen", "is_sent"),
    [
        ("PendingManualApproval", None, False),
        ("Approved", None, True),
        ("Approved", {"pipeline": "reviews"}, True),
        ("Approved", {"approval_status": "Approved", "approval_epoch": 1, "acted_epoch": 1}, False),
        ("Approved", {"approval_status": "Approved", "approval_epoch": 1}, True),
        ("Rejected", {"approval_status": "Approved", "approval_epoch": 1, "acted_epoch": 1}, True),
    ],
)
def test_a_decision_is_sent_when_it_was_not_seen_or_not_acted_on(
    described: str, seen: dict[str, object] | None, is_sent: bool
) -> None:
    known = Package("arn:package/1", **(seen or {}))  # type: ignore[arg-type]
    assert (lost_events.package_decided(known, described) is not None) is is_sent


def test_an_execution_that_runs_is_left_alone() -> None:
    assert lost_events.execution_ended(EXECUTION, {"status": "RUNNING"}, {}) is None


def test_an_execution_that_nobody_remembers_has_ended_and_its_input_is_told() -> None:
    hint = lost_events.execution_ended(EXECUTION, None, {"pipeline": "reviews"})
    assert hint is not None
    assert hint.detail["status"] == "ABORTED"
    assert json.loads(str(hint.detail["input"])) == {"pipeline": "reviews"}
    assert str(hint.detail["stateMachineArn"]).endswith(":stateMachine:sluice-release-model")


def test_our_models_read_every_hint() -> None:
    def read(model: type[events.Event], hint: lost_events.LostEvent | None) -> None:
        assert hint is not None
        model.model_validate({"detail": hint.detail})

    read(events.ObjectCreated, lost_events.object_created("data", "reviews/a b+c%20ü.csv", "v1"))
    read(events.JobStateChanged, lost_events.job_ended("training_job", "job", None))
    read(events.EndpointStateChanged, lost_events.endpoint_changed("sluice--reviews--production"))
    read(
        release_events.ModelPackageStateChanged,
        lost_events.package_decided(Package("arn:package/1"), "Approved"),
    )
    read(events.AlarmStateChanged, lost_events.alarm_fires("sluice--reviews--production--error-rate"))
    read(events.ExecutionStatusChanged, lost_events.execution_ended(EXECUTION, None, {}))
