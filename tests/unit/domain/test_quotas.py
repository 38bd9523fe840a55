"""A refusal for a quota says whether waiting can help."""

from __future__ import annotations

import pytest

from sluice.domain import failures, quotas
from sluice.domain.quotas import QuotaTakenError, QuotaTooLowError


def said(limit: int, used: int, wanted: int, name: str = "ml.m5.xlarge for training job usage") -> str:
    return (
        f"The account-level service limit '{name}' is {limit} Instances, with current utilization of {used} "
        f"Instances and a request delta of {wanted} Instances. Please use AWS Service Quotas to request an "
        "increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an "
        "increase for this quota."
    )


@pytest.mark.parametrize(
    ("message", "is_final"),
    [
        (said(0, 0, 1), True),
        (said(2, 0, 4), True),
        (said(2, 2, 1), False),
        (said(4, 3, 2), False),
        ("You have reached the limit of something", False),
    ],
)
def test_a_quota_below_what_is_needed_is_never_enough(message: str, is_final: bool) -> None:
    assert quotas.read(message).is_final is is_final
    assert isinstance(quotas.of_job(quotas.read(message)), QuotaTooLowError if is_final else QuotaTakenError)


def test_a_quota_that_is_taken_is_told_in_a_sentence_and_in_aws_own_words() -> None:
    told = str(quotas.of_job(quotas.read(said(2, 2, 1))))
    assert failures.plain(told) == (
        "the account's quota 'ml.m5.xlarge for training job usage' is 2: 2 in use, 1 more needed; "
        "it is tried again until others end"
    )
    assert told.endswith(said(2, 2, 1))


def test_a_refusal_of_unknown_wording_is_told_as_it_is() -> None:
    unknown = "You have reached the limit of something"
    assert str(quotas.of_job(quotas.read(unknown))) == unknown
    told = str(quotas.of_endpoint(quotas.read(unknown), is_update=True))
    assert told.startswith(f"{unknown} (needed while those that serve go on")


def test_a_quota_that_is_too_low_is_named_with_what_to_do() -> None:
    told = str(quotas.of_job(quotas.read(said(0, 0, 1))))
    assert "the account's quota 'ml.m5.xlarge for training job usage' is 0, and 1 more are needed" in told
    assert "Service Quotas" in told


@pytest.mark.parametrize("is_update", [True, False])
def test_an_update_needs_both_fleets_at_once(is_update: bool) -> None:
    refusal = quotas.read(said(3, 2, 4, "ml.m5.xlarge for endpoint usage"))
    assert ("blue/green" in str(quotas.of_endpoint(refusal, is_update=is_update))) is is_update
