"""What SageMaker refuses is told in a sentence; its own words are kept beneath."""

from __future__ import annotations

import pytest

from sluice.domain import failures, refusals

TYPES = ", ".join(f"ml.m5.{size}xlarge" for size in range(2, 200))
# As botocore and SageMaker word them.
INSTANCE = (
    "1 validation error detected: Value 'ml.m9.huge' at 'resourceConfig.instanceType' failed to satisfy "
    f"constraint: Member must satisfy enum value set: [ml.m5.large, {TYPES}]"
)
LENGTH = (
    "2 validation errors detected: Value 'x' at 'trainingJobName' failed to satisfy constraint: Member must "
    "have length less than or equal to 63; Value '-1' at 'stoppingCondition.maxRuntimeInSeconds' failed to "
    "satisfy constraint: Member must have value greater than or equal to 1"
)
ROLE = (
    "Could not assume role arn:aws:iam::123456789012:role/sluice/jobs. Please ensure that the role exists "
    "and allows principal 'sagemaker.amazonaws.com' to assume the role."
)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            INSTANCE,
            "SageMaker has no instance type 'ml.m9.huge': name one such as ml.m5.large in pipeline.yaml, "
            "and push it",
        ),
        (
            LENGTH,
            "SageMaker does not take 'x' as trainingJobName: it must have length less than or equal to 63",
        ),
        (
            "1 validation error detected: Value 'Fast' at 'mode' failed to satisfy constraint: "
            "Member must satisfy enum value set: [File, Pipe]",
            "SageMaker has no mode 'Fast': name one of File, Pipe in pipeline.yaml, and push it",
        ),
        (
            ROLE,
            "SageMaker cannot assume the role arn:aws:iam::123456789012:role/sluice/jobs: see that it exists "
            "and lets sagemaker.amazonaws.com assume it, then retry the run",
        ),
    ],
)
def test_a_refusal_is_a_sentence_first_and_keeps_the_words_of_sagemaker(said: str, sentence: str) -> None:
    reason = refusals.told(said)
    assert failures.plain(reason) == failures.brief(reason) == sentence
    assert reason.endswith(said)


def test_a_short_refusal_of_unknown_wording_is_told_as_it_is() -> None:
    assert refusals.told("Exactly one of A and B must be given.") == (
        "SageMaker refuses it: Exactly one of A and B must be given."
    )


def test_of_a_long_refusal_of_unknown_wording_both_ends_are_told() -> None:
    said = f"The request {'x' * 5000} is too long"
    reason = refusals.told(said)
    assert reason.endswith(said)
    assert len(failures.plain(reason)) < 400
    assert failures.plain(reason).endswith("is too long")


def test_a_cut_reason_still_begins_with_its_sentence() -> None:
    reason = failures.reason("RequestRefusedError", refusals.told(INSTANCE))
    assert len(reason) <= failures.REASON_MAX
    assert failures.brief(reason).startswith("RequestRefusedError: SageMaker has no instance type")
    assert "ml.m5.3xlarge" not in failures.brief(reason)
