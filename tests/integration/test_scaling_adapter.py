"""The adapter of Application Auto Scaling against moto."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from sluice.adapters.scaling import ApplicationAutoScaling
from sluice.domain.config.models import Autoscaling
from sluice.domain.release import scaling as wanted

ENDPOINT = "sluice--reviews--production"
TARGET = wanted.target(ENDPOINT)
LIMITS = Autoscaling(min=1, max=4, invocations_per_instance=500)


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("application-autoscaling")


@pytest.fixture
def scaling(client: Any) -> ApplicationAutoScaling:
    return ApplicationAutoScaling(client)


def test_what_is_registered_is_what_is_wanted(scaling: ApplicationAutoScaling) -> None:
    assert scaling.describe(TARGET) is None
    scaling.register(wanted.register_request(ENDPOINT, LIMITS))
    assert wanted.faults(ENDPOINT, LIMITS, scaling.describe(TARGET)) == [
        "its policy invocations-per-instance is missing"
    ]
    scaling.track(wanted.policy_request(ENDPOINT, LIMITS))
    assert wanted.faults(ENDPOINT, LIMITS, scaling.describe(TARGET)) == []
    more = LIMITS.model_copy(update={"max": 9, "invocations_per_instance": 50})
    assert wanted.faults(ENDPOINT, more, scaling.describe(TARGET)) == [
        "MaxCapacity is 4, not 9",
        "its policy invocations-per-instance differs",
    ]


def test_a_suspended_target_keeps_its_limits_and_says_so(scaling: ApplicationAutoScaling) -> None:
    scaling.register(wanted.register_request(ENDPOINT, LIMITS))
    scaling.track(wanted.policy_request(ENDPOINT, LIMITS))
    scaling.register(wanted.suspend_request(ENDPOINT))
    assert wanted.faults(ENDPOINT, LIMITS, scaling.describe(TARGET)) == ["its scaling is suspended"]


def test_deregistering_what_is_gone_is_no_error_and_any_other_refusal_is(client: Any) -> None:
    scaling = ApplicationAutoScaling(client)
    with Stubber(client) as stub:
        stub.add_client_error("deregister_scalable_target", "ObjectNotFoundException")
        scaling.deregister(TARGET)
        stub.add_client_error("deregister_scalable_target", "AccessDeniedException")
        with pytest.raises(ClientError, match="AccessDenied"):
            scaling.deregister(TARGET)
