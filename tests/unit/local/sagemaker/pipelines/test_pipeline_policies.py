"""When a step is tried again, and when the results of an earlier execution are used."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_local.sagemaker.pipelines.definition import caching, retries
from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError
from sluice_local.sagemaker.pipelines.definition.resolving import Values


def policy(**members: Any) -> retries.RetryPolicy:
    return retries.read("Train", [{"ExceptionType": ["Step.THROTTLING"], **members}])[0]


def test_attempts_wait_longer_each_time_and_end() -> None:
    limited = policy(IntervalSeconds=2, BackoffRate=3.0, MaxAttempts=3)
    assert [limited.delay_s(tried, 1e9) for tried in range(4)] == [2, 6, 18, None]


def test_without_numbers_a_policy_has_those_of_aws() -> None:
    assert [policy().delay_s(tried, 0) for tried in (0, 4, 5)] == [1, 16, None]


def test_a_policy_with_an_expiry_counts_time_and_not_attempts() -> None:
    expiring = policy(IntervalSeconds=30, BackoffRate=1.0, ExpireAfterMin=2)
    assert expiring.delay_s(40, 90) == 30
    assert expiring.delay_s(40, 91) is None


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (retries.fault_of_code("ThrottlingException"), "Step.THROTTLING"),
        (retries.fault_of_code("InternalFailure"), "Step.SERVICE_FAULT"),
        (retries.fault_of_code("ResourceLimitExceeded"), "SageMaker.RESOURCE_LIMIT"),
        (retries.fault_of_code("ValidationException"), None),
        (retries.fault_of_reason("InternalServerError: We encountered"), "SageMaker.JOB_INTERNAL_ERROR"),
        (retries.fault_of_reason("CapacityError: no capacity"), "SageMaker.CAPACITY_ERROR"),
        (retries.fault_of_reason("AlgorithmError: , exit code: 1"), None),
    ],
)
def test_a_fault_is_told_by_its_code_or_reason(fault: str | None, expected: str | None) -> None:
    assert fault == expected


def test_only_a_policy_that_names_the_fault_retries_it() -> None:
    policies = retries.read(
        "Train", [{"ExceptionType": ["Step.THROTTLING"]}, {"ExceptionType": ["SageMaker.RESOURCE_LIMIT"]}]
    )
    assert retries.policy_for(policies, "SageMaker.RESOURCE_LIMIT") is policies[1]
    assert retries.policy_for(policies, "Step.SERVICE_FAULT") is None
    assert retries.policy_for(policies, None) is None


@pytest.mark.parametrize(
    "members",
    [
        {"ExceptionType": ["Step.TIMEOUT"]},
        {"ExceptionType": []},
        {"ExceptionType": None},
        {"MaxAttempts": 2, "ExpireAfterMin": 1},
        {"MaxAttempts": 0},
        {"IntervalSeconds": "1"},
    ],
)
def test_a_policy_that_is_none_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=r"Step Train: RetryPolicies\[0\]"):
        policy(**members)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("P30D", 2592000),
        ("PT1H", 3600),
        ("P1DT2H3M4S", 93784),
        ("p1w", 604800),
        ("P1M", 2592000),
        ("T30m", 1800),
    ],
)
def test_an_expiry_is_an_iso_duration_or_one_without_its_p(text: str, seconds: int) -> None:
    assert caching.read("Train", {"Enabled": True, "ExpireAfter": text}).expire_after_s == seconds


@pytest.mark.parametrize("declared", [{"ExpireAfter": "30d"}, {"ExpireAfter": "P"}, {"Enabled": "yes"}])
def test_a_cache_config_that_is_none_is_refused(declared: Any) -> None:
    with pytest.raises(DefinitionError, match="Step Train: CacheConfig"):
        caching.read("Train", declared)


def key(arguments: Any = None, kind: str = "Training", execution: str = "one", **contents: str) -> str:
    values = Values(
        {"Rate": 0.1}, {"PipelineExecutionId": execution}, {"Prepare": {"Uri": f"s3://b/{execution}/x"}}
    )
    objects = {f"s3://b/{place.replace('_', '/')}": digest for place, digest in contents.items()}
    return caching.cache_key(kind, arguments or ARGUMENTS, values, objects.get)


ARGUMENTS = {
    "HyperParameters": {"rate": {"Get": "Parameters.Rate"}, "code": '"s3://b/code/new.tar.gz"'},
    "InputDataConfig": [{"S3Uri": {"Get": "Steps.Prepare.Uri"}}],
    "OutputDataConfig": {
        "S3OutputPath": {
            "Std:Join": {"On": "/", "Values": ["s3://b", {"Get": "Execution.PipelineExecutionId"}]}
        }
    },
}


def test_the_same_content_has_the_same_key_wherever_it_lies() -> None:
    assert key(one_x="data") == key(execution="two", two_x="data")


def test_other_content_arguments_types_or_places_have_other_keys() -> None:
    others = [
        key(one_x="other data"),
        key(),
        key(kind="Processing", one_x="data"),
        key({**ARGUMENTS, "HyperParameters": {"rate": 0.1}}, one_x="data"),
        key({**ARGUMENTS, "OutputDataConfig": {"S3OutputPath": "s3://b/elsewhere"}}, one_x="data"),
    ]
    assert len({key(one_x="data"), *others}) == len(others) + 1


def test_code_in_script_mode_counts_by_content() -> None:
    moved = {**ARGUMENTS, "HyperParameters": {"rate": 0.1, "code": '"s3://b/code/old.tar.gz"'}}
    objects = {"s3://b/code/old.tar.gz": "code", "s3://b/code/new.tar.gz": "code"}
    values = Values({"Rate": 0.1}, {"PipelineExecutionId": "one"}, {"Prepare": {"Uri": "s3://b/x"}})
    assert caching.cache_key("Training", moved, values, objects.get) == caching.cache_key(
        "Training", ARGUMENTS, values, objects.get
    )
