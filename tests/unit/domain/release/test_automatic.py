"""What decides whether a version that nobody approved may be released without a person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice.catalog.records.releases import Approval, Deployment, Package
from sluice.domain.build.champions import Live
from sluice.domain.release import automatic

ARN = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/reviews"
CHAMPION = {
    "package_arn": f"{ARN}/2",
    "package_version": 2,
    "run_id": "reviews-00002",
    "release_id": "reviews-v2-a",
    "stage": "production",
}
SINCE = "2026-11-24T12:00:00.000Z"


def approval(epoch: int) -> Approval:
    return Approval(f"{ARN}/4", epoch, "Approved", "anna", "", SINCE, SINCE)


def live(version: int, release_id: str = "reviews-v3-b", run_id: str | None = None) -> Live:
    deployment = Deployment(
        "reviews",
        "production",
        release_id,
        f"{ARN}/{version}",
        version,
        "live",
        "config",
        promoted_at=SINCE,
        run_id=run_id or f"reviews-{version:05d}",
    )
    return Live("production", 0, release_id, deployment)


def overtaken(champion: dict[str, Any] | None, serves: Live | None) -> str | None:
    return automatic.overtaken(champion, serves, f"{ARN}/4", "reviews-00004")


@pytest.mark.parametrize(
    ("record", "epoch", "is_automatic"),
    [
        ({}, 1, True),
        # Withdrawn, and given by a person.
        ({}, 3, False),
        # It was registered for a person, whose decision is the first one.
        ({"needs_person": "there is no champion"}, 1, False),
        # The group was deleted and made again, after two decisions about a version with this ARN.
        ({"decided_before": 2}, 3, True),
        ({"decided_before": 2}, 5, False),
    ],
)
def test_a_version_is_automatic_until_a_person_decides_about_it(
    record: dict[str, Any], epoch: int, is_automatic: bool
) -> None:
    package = Package(f"{ARN}/4", **record)
    assert automatic.is_automatic(package, approval(epoch)) == is_automatic


def test_a_version_without_a_decision_is_not_automatic() -> None:
    assert not automatic.is_automatic(Package(f"{ARN}/4"), None)


@pytest.mark.parametrize(
    "serves",
    [
        live(2, "reviews-v2-a"),
        # A rollback put it back.
        live(2, "reviews-v2-rollback"),
        # Its record is gone, and it is the release that the run saw.
        Live("production", 0, "reviews-v2-a", None),
        # The version itself, on a stage that it was released to before.
        live(4, "reviews-v4-c"),
        # The champion was retired.
        None,
    ],
)
def test_a_version_whose_champion_still_serves_is_not_overtaken(serves: Live | None) -> None:
    assert overtaken(CHAMPION, serves) is None


@pytest.mark.parametrize(
    ("serves", "said"),
    [
        (live(3), f"compared with v2, but production serves v3 since {SINCE}"),
        # Other models with the ARNs of the champion and of the version: their group was made again.
        (live(2, run_id="reviews-00009"), f"compared with v2, but production serves v2 since {SINCE}"),
        (live(4, run_id="reviews-00009"), f"compared with v2, but production serves v4 since {SINCE}"),
        (
            Live("production", 0, "reviews-v3-b", None),
            "compared with v2, but production serves reviews-v3-b, of which there is no record",
        ),
    ],
)
def test_a_version_is_overtaken_by_whatever_else_serves(serves: Live, said: str) -> None:
    assert overtaken(CHAMPION, serves) == said


def test_a_champion_whose_run_is_not_named_is_known_by_its_arn() -> None:
    """Manifests older than the attribute have none."""
    champion = {name: value for name, value in CHAMPION.items() if name != "run_id"}
    assert overtaken(champion, live(2)) is None
    assert overtaken(champion, live(3)) is not None


@pytest.mark.parametrize(
    "champion",
    [None, {}, {**CHAMPION, "package_arn": None}, {**CHAMPION, "passed_over": "passed over, as ann pushed"}],
)
@pytest.mark.parametrize("serves", [None, live(2, "reviews-v2-a"), live(3)])
def test_a_version_that_was_compared_with_nothing_is_one_for_a_person(
    champion: dict[str, Any] | None, serves: Live | None
) -> None:
    assert overtaken(champion, serves) == "compared with no champion, by its run's manifest"


def test_a_release_without_a_time_is_named_without_one() -> None:
    serves = live(3)
    assert serves.deployment is not None
    untimed = replace(serves, deployment=replace(serves.deployment, promoted_at=None))
    assert overtaken(CHAMPION, untimed) == "compared with v2, but production serves v3"
