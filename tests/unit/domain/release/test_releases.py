"""What a release does, and what a stage may go back to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.catalog.records.releases import Deployment, DeploymentStatus, Package
from sluice.domain.config import PipelineConfig
from sluice.domain.release import releases
from sluice.domain.release.errors import ReleaseRefusedError
from sluice.domain.release.releases import RollbackOptions

NOW = "2026-11-24T12:00:00.000Z"


def deployment(
    version: int, at: int, status: DeploymentStatus = "superseded", **changes: object
) -> Deployment:
    """Promoted at an hour of the day, baked for half an hour and replaced an hour later."""
    made = Deployment(
        pipeline="reviews",
        stage="production",
        release_id=f"reviews-v{version}-{at:08x}",
        package_arn=f"arn:package/{version}",
        package_version=version,
        status=status,
        endpoint_config_name=f"config-{at}",
        promoted_at=f"2026-11-24T{at:02}:00:00.000Z",
        bake_until=f"2026-11-24T{at:02}:30:00.000Z",
        ended_at=None if status == "live" else f"2026-11-24T{at + 1:02}:00:00.000Z",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def versions(*history: Deployment) -> list[int]:
    """What the last of the deployments may be rolled back to."""
    return [each.package_version for each in options(history, history[-1]).known_good()]


def options(history: Sequence[Deployment], live: Deployment) -> RollbackOptions:
    """Of a history, oldest first."""
    return RollbackOptions(reversed(history), live, NOW)


def test_a_stage_goes_back_to_the_newest_version_that_outlived_its_bake() -> None:
    assert versions(deployment(1, 1), deployment(2, 2), deployment(3, 3, "live")) == [2, 1]


def test_the_order_of_promotion_counts_and_not_the_version() -> None:
    assert versions(deployment(2, 1), deployment(1, 2), deployment(3, 3, "live")) == [1, 2]


def test_a_version_that_was_replaced_before_its_bake_ended_is_not_known_good() -> None:
    hasty = deployment(2, 2, ended_at="2026-11-24T02:29:59.999Z")
    found = options([deployment(1, 1), hasty, deployment(3, 3, "live")], deployment(3, 3, "live"))
    assert [each.package_version for each in found.known_good()] == [1]
    assert found.reasons() == [f"v2 was replaced before it outlived its bake ({hasty.release_id})"]


def test_a_version_that_was_rolled_back_is_never_put_back() -> None:
    bad, good_again = deployment(2, 2, "rolled_back"), deployment(1, 3, "live")
    assert versions(deployment(1, 1), bad, good_again) == []


def test_two_rollbacks_in_a_row_go_further_back_and_not_forth() -> None:
    history = [deployment(1, 1), deployment(2, 2), deployment(3, 3, "rolled_back"), deployment(2, 4, "live")]
    assert versions(*history) == [1]


def test_a_version_that_was_rolled_back_and_then_proved_itself_is_known_good() -> None:
    history = [
        deployment(1, 1),
        deployment(2, 2, "rolled_back"),
        deployment(1, 3),
        deployment(2, 4),
        deployment(3, 5, "live"),
    ]
    assert versions(*history) == [2, 1]


def test_an_earlier_bake_of_a_version_counts_where_its_last_one_was_cut_short() -> None:
    cut_short = deployment(1, 3, ended_at="2026-11-24T03:01:00.000Z")
    assert versions(deployment(1, 1), deployment(2, 2), cut_short, deployment(3, 4, "live")) == [2, 1]


def test_what_was_never_promoted_is_no_option() -> None:
    failed = deployment(2, 2, "failed", promoted_at=None, bake_until=None)
    assert versions(deployment(1, 1), failed, deployment(3, 3, "live")) == [1]


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["superseded", "rolled_back", "failed"])), max_size=10
    )
)
def test_no_history_leads_back_to_what_is_replaced_or_was_last_rolled_back(
    past: list[tuple[int, DeploymentStatus]],
) -> None:
    history = [deployment(version, at, status) for at, (version, status) in enumerate(past)]
    live = deployment(5, 11, "live")
    last = {each.package_arn: each.status for each in history}
    for option in options([*history, live], live).known_good():
        assert option.package_arn != live.package_arn
        assert last[option.package_arn] != "rolled_back"


def test_no_known_good_says_why_and_what_to_do() -> None:
    said = releases.no_known_good(deployment(2, 2), ["v1 was rejected"])
    assert said.startswith("nothing to roll v2 back to: v1 was rejected.")
    assert "Approve a version that works" in said
    assert "no other version has served there" in releases.no_known_good(deployment(2, 2), [])


def test_reasons_are_of_the_whole_history_though_an_option_was_not_asked_for() -> None:
    history = [deployment(1, 1), deployment(2, 3, "rolled_back"), deployment(3, 5, "live")]
    (reason,) = options(history, history[-1]).reasons()
    assert reason.startswith("v2 ")


def test_a_release_stops_before_a_later_stage_that_asks_for_a_person(pipeline_config: PipelineConfig) -> None:
    planned = releases.planned_stages(pipeline_config.release, None)
    assert [stage.name for stage in planned] == ["staging"]


def test_a_person_may_name_that_stage(pipeline_config: PipelineConfig) -> None:
    planned = releases.planned_stages(pipeline_config.release, ["production"])
    assert [stage.name for stage in planned] == ["production"]


def test_an_unknown_stage_is_refused_with_the_known_ones(pipeline_config: PipelineConfig) -> None:
    with pytest.raises(ReleaseRefusedError, match="no stage prod: name one of staging, production"):
        releases.planned_stages(pipeline_config.release, ["prod"])


def test_one_cause_is_one_release_and_another_cause_another() -> None:
    def approve(epoch: int) -> str:
        return releases.approval_request("reviews", "arn:package/1", 1, epoch, "anna", "").release_id

    assert approve(1) == approve(1)
    assert approve(1) != approve(2)
    live = deployment(1, 1, "live")
    alarms = {
        releases.alarm_request("reviews", "production", live, alarm, "").release_id
        for alarm in ("error-rate", "p99-latency")
    }
    assert len(alarms) == 1


def test_a_rollback_names_the_release_that_it_takes_back() -> None:
    rejected = Package("arn:package/2", version=2, approval_epoch=2)
    request = releases.rejection_request("reviews", "production", rejected, "reviews-v2-0a", "anna", "bad")
    assert request.is_rollback
    assert request.rolls_back == "reviews-v2-0a"
    assert request.release_id.startswith("reviews-v2-")


@pytest.mark.parametrize(
    ("error", "cause", "status", "why"),
    [
        (
            "ReleaseRefusedError",
            '{"errorMessage": "v1 is live", "errorType": "ReleaseRefusedError"}',
            "refused",
            "v1 is live",
        ),
        (
            "AlarmFiringError",
            '{"errorMessage": "a is in ALARM", "errorType": "AlarmFiringError"}',
            "refused",
            "a is in ALARM",
        ),
        (
            "DeploymentRolledBackError",
            "back on old: alarm",
            "failed",
            "DeploymentRolledBackError: back on old: alarm",
        ),
        (
            "SmokeTestFailedError",
            '{"errorMessage": "500"} - left',
            "failed",
            "SmokeTestFailedError: 500 - left",
        ),
        ("States.Timeout", "", "failed", "States.Timeout"),
        ("ABORTED", "12 angry men", "failed", "ABORTED: 12 angry men"),
    ],
)
def test_an_error_becomes_a_status_and_a_reason(error: str, cause: str, status: str, why: str) -> None:
    assert releases.failure(error, cause) == (status, why)


def test_what_a_rollback_replaces_is_rolled_back_and_what_a_release_replaces_is_superseded() -> None:
    assert releases.replaced_status(is_rollback=True) == "rolled_back"
    assert releases.replaced_status(is_rollback=False) == "superseded"


def test_a_version_that_has_the_arn_of_a_deleted_one_is_another() -> None:
    """A group that was deleted and made anew numbers its versions from 1 again."""
    former = deployment(1, 1, run_id="reviews-00001")
    assert former.is_of(former.package_arn, "reviews-00001")
    assert former.is_of(former.package_arn, None)
    assert not former.is_of(former.package_arn, "reviews-00009")
