"""A reason in a table is one line that can be read at a glance."""

from __future__ import annotations

import pytest

from sluice.containers.configuration import OUT_OF_MEMORY
from sluice.domain.build import function_ends
from sluice.domain.build.job_failures import failure_reason
from sluice_cli.reasons import first_reasons, way_on


def test_a_long_reason_is_cut_and_how_many_others_there_are_is_said() -> None:
    said = first_reasons({"reasons": [f"too long: {'x' * 5000}", "another", "a third"]})
    assert said.startswith("too long: xxx")
    assert said.endswith("x… (+2)")
    assert len(said) < 320


def test_what_ended_well_has_no_reason() -> None:
    assert first_reasons({"reasons": None}) == ""


@pytest.mark.parametrize(
    "reason",
    [
        failure_reason("training_job", {"SecondaryStatus": "MaxRuntimeExceeded"}),
        failure_reason("training_job", {"FailureReason": OUT_OF_MEMORY}),
        failure_reason("training_job", {"FailureReason": "AlgorithmError: , exit code: 137"}),
        f"it ran into Lambda's limit of 15 minutes{function_ends.advice('time')}",
    ],
)
def test_what_jobs_say_that_only_another_project_mends_leads_to_a_push(reason: str) -> None:
    """Older records have the words of today, which test_status.py spells out."""
    way = way_on({"run_id": "m-00001", "status": "failed", "reasons": [f"JobFailedError: {reason}"]}, "m")
    assert way is not None
    assert way[0] == "push DIR"
