"""What hosting decides without a server: faults, captured records, metric values, statuses in events."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_local.sagemaker.hosting import faults
from sluice_local.sagemaker.hosting.capture import CaptureConfig, Message
from sluice_local.sagemaker.hosting.endpoint_events import event_status
from sluice_local.sagemaker.hosting.faults import InjectedFault
from sluice_local.sagemaker.hosting.serving_metrics import values

MOMENT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def capture_config(mode: str = "InputAndOutput", **options: Any) -> CaptureConfig:
    config = CaptureConfig.parse(
        {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": "s3://bucket/capture/",
            "CaptureOptions": [{"CaptureMode": mode}],
            **options,
        }
    )
    assert config is not None
    return config


def test_a_captured_record_is_what_model_monitor_reads() -> None:
    config = capture_config(CaptureContentTypeHeader={"CsvContentTypes": ["text/csv"]})
    record = config.record(
        Message("text/csv", b"1.0,2.0"),
        Message("text/csv; charset=utf-8", b"0.42"),
        MOMENT,
        "6f1c7a5e-0000-4000-8000-000000000001",
        inferenceId="req-1",
        customAttributes=None,
    )
    assert record == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "1.0,2.0",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8",
                "mode": "OUTPUT",
                "data": "0.42",
                "encoding": "CSV",
            },
        },
        "eventMetadata": {
            "eventId": "6f1c7a5e-0000-4000-8000-000000000001",
            "inferenceId": "req-1",
            "inferenceTime": "2026-03-01T10:00:00Z",
        },
        "eventVersion": "0",
    }


def test_a_type_that_is_not_listed_is_captured_as_base64() -> None:
    record = capture_config("Output").record(
        Message("text/csv", b"1"), Message("application/json", b"[1]"), MOMENT, "event"
    )
    (side,) = record["captureData"].values()
    assert (side["encoding"], base64.b64decode(side["data"])) == ("BASE64", b"[1]")


@pytest.mark.parametrize("config", [None, {}, {"EnableCapture": False}])
def test_capture_that_is_not_enabled_is_none(config: dict[str, Any] | None) -> None:
    assert CaptureConfig.parse(config) is None


def test_none_and_all_of_the_requests_can_be_sampled() -> None:
    assert not any(capture_config(InitialSamplingPercentage=0).samples() for _ in range(100))
    assert all(capture_config().samples() for _ in range(100))


@pytest.mark.parametrize(
    ("config", "point", "hit"), [("new", 0.24, True), ("new", 0.25, False), ("old", 0.1, False)]
)
def test_a_fault_hits_its_share_of_its_configs_requests(config: str, point: float, hit: bool) -> None:
    fault = InjectedFault(endpoint="churn", endpoint_config="new", share=0.25)
    assert fault.hits("churn", config, point) is hit
    assert not fault.hits("another", config, point)


def test_a_fault_without_a_config_hits_every_fleet() -> None:
    assert InjectedFault(endpoint="churn").hits("churn", "any", 0.999)


@pytest.mark.parametrize(
    "wrong", [{"status": 99}, {"share": 1.5}, {"latency_ms": -1}, {"endpoint": ""}, {"other": 1}]
)
def test_a_fault_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    status, content = faults.answer("POST", json.dumps({"endpoint": "churn", **wrong}).encode())
    assert status == 400
    assert content["message"]
    assert faults.answer("GET", b"") == (200, {"faults": []})


def test_a_fault_replaces_the_same_configs_earlier_one() -> None:
    for status in (500, 503):
        faults.answer("POST", json.dumps({"endpoint": "churn", "status": status}).encode())
    (fault,) = faults.answer("GET", b"")[1]["faults"]
    assert fault["status"] == 503
    assert faults.answer("DELETE", b"") == (200, {"faults": []})


@pytest.mark.parametrize(
    ("status", "errors"),
    [(200, (0, 0, 0)), (201, (0, 0, 0)), (415, (1, 0, 1)), (500, (0, 1, 1)), (0, (0, 1, 1))],
)
def test_every_request_gives_each_error_metric_a_zero_or_a_one(
    status: int, errors: tuple[int, int, int]
) -> None:
    found = values(status, 1500, 20, instances=2)
    assert (
        found["Invocation4XXErrors"],
        found["Invocation5XXErrors"],
        found["InvocationModelErrors"],
    ) == errors
    assert (found["Invocations"], found["InvocationsPerInstance"], found["ModelLatency"]) == (1, 0.5, 1500)


@pytest.mark.parametrize(
    ("status", "announced"),
    [
        ("InService", "IN_SERVICE"),
        ("Updating", "UPDATING"),
        ("RollingBack", "ROLLING_BACK"),
        ("UpdateRollbackFailed", "UPDATE_ROLLBACK_FAILED"),
    ],
)
def test_events_write_a_status_in_upper_case_with_underscores(status: str, announced: str) -> None:
    assert event_status(status) == announced
