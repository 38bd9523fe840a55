"""AWS loses, doubles and reorders events; the loop ends in the same state, with the same effects."""

from __future__ import annotations

import time
from typing import Any

import pytest

from e2e.loop import RELEASE_TIMEOUT_S, RUN_TIMEOUT_S, Loop, rows, silent
from sluice.services.data import arrivals
from sluice.services.views import data, stages
from sluice_cli import waiting

# Those of the rules, but for what a command asks for once and waits for (`sluice.cli`).
SOURCES = ["aws.s3", "aws.sagemaker", "aws.states", "aws.cloudwatch", "sluice"]
EXPECTED = {
    "processing_jobs": 5,  # prepare and evaluate, twice, and the champion's evaluation
    "training_jobs": 4,
    "packages": 2,
    "models": 2,
    "endpoint_configs": 2,
    "runs": 2,
    "releases": 2,
}
# A rollback makes a model and a config of its own.
TAKEN_BACK = {"models": 3, "endpoint_configs": 3, "releases": 3}


def nudged(loop: Loop, look: Any, timeout_s: float, what: str) -> Any:
    """Wait for something while the schedule does its work, as it does when events are lost."""
    last = time.monotonic()

    def look_and_reconcile() -> Any:
        nonlocal last
        if time.monotonic() - last > 2:
            loop.reconcile()
            last = time.monotonic()
        return look()

    return waiting.until(look_and_reconcile, timeout_s=timeout_s, what=what)


def play(loop: Loop) -> None:
    """The loop twice: upload, train, register, approve, release."""
    loop.push()
    for version in (1, 2):
        known_runs = waiting.run_ids(loop.target, loop.pipeline)
        loop.upload(f"part-{version}.csv", rows(100, seed=version))
        nudged(
            loop,
            lambda known=known_runs: (waiting.run_ids(loop.target, loop.pipeline) - known) or None,
            RUN_TIMEOUT_S,
            "a run to start",
        )
        nudged(
            loop,
            lambda: not loop.is_building() or None,
            RUN_TIMEOUT_S,
            "the run to end",
        )
        known = waiting.release_ids(loop.target, loop.pipeline)
        loop.decide(version, "Approved")

        def released(known: set[str] = known) -> bool | None:
            fresh = [
                item
                for item in stages.releases(loop.target.cloud, loop.pipeline)
                if item["release_id"] not in known
            ]
            return any(item["status"] == "released" for item in fresh) or None

        nudged(loop, released, RELEASE_TIMEOUT_S, "the release to end")


def take_back(loop: Loop) -> None:
    """What serves fails, until its alarm has put back the version before."""
    loop.fail_live()
    nudged(
        loop,
        lambda: loop.status()["stages"][0]["live_version"] == 1 or None,
        RELEASE_TIMEOUT_S,
        "the rollback",
    )
    loop.control("faults", "DELETE")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("sources", "times"),
    [*(([source], 0) for source in SOURCES), (SOURCES, 1), (SOURCES, 5)],
    ids=[*(f"{source}-0" for source in SOURCES), "all-1", "all-5"],
)
def test_events_may_be_delivered_any_number_of_times_in_any_order(
    loop: Loop, sources: list[str], times: int
) -> None:
    """One source alone is silent, or all of them are late and say everything once, or five times over."""
    if sources == ["aws.s3"]:
        loop.push()  # a push waits for its own event, so only the data's events are lost
    for source in sources:
        loop.deliver(source, times, within_s=0.5)
    play(loop)
    time.sleep(1.5)
    assert loop.counts() == EXPECTED
    assert loop.predict()["model_version"] == "2"
    take_back(loop)
    loop.deliver_normally()
    time.sleep(1.5)
    assert loop.counts() == {**EXPECTED, **TAKEN_BACK}
    assert loop.predict()["model_version"] == "1"
    (stage,) = loop.status()["stages"]
    assert (stage["live_version"], stage["releasing"]) == (1, None)
    assert loop.status()["arrivals"] == {"included": 2}


@pytest.mark.thorough
def test_all_events_at_once_lost_then_found_end_in_the_same_state(loop: Loop) -> None:
    loop.push()
    for source in SOURCES:
        loop.deliver(source, 0)
    play(loop)
    assert loop.counts() == EXPECTED
    assert waiting.release_end(loop.target, loop.pipeline, set(), silent)["package_version"] == 2


@pytest.mark.thorough
def test_a_deletion_may_be_told_of_any_number_of_times(loop: Loop) -> None:
    loop.push()
    for number in range(3):
        loop.upload(f"told-{number}.csv", rows(100, seed=number))
    loop.upload("stays.csv", rows(100, seed=3))

    def is_built() -> bool | None:
        return (not loop.is_building() and loop.status()["arrivals"] == {"included": 4}) or None

    waiting.until(is_built, timeout_s=RUN_TIMEOUT_S, what="all four to be built")
    for number, times in enumerate((0, 1, 5)):
        key = f"{loop.pipeline}/told-{number}.csv"
        loop.deliver("aws.s3", times, within_s=0.5)
        loop.target.call("s3", "delete_object", Bucket=loop.target.cloud.data_bucket, Key=key)

        def is_heard(key: str = key) -> bool | None:
            known = arrivals.versions(loop.target.cloud, loop.pipeline, {key})
            return any(arrival.gone for arrival in known) or None

        nudged(loop, is_heard, RUN_TIMEOUT_S, "the deletion to be heard of")
    loop.deliver_normally()
    run = loop.run_after("new.csv", rows(100, seed=4))
    assert run["status"] == "registered"
    item, *_ = data.versions_beginning(loop.target.cloud, loop.pipeline, run["dataset_version"])
    held = data.dataset(loop.target.cloud, loop.pipeline, item)["objects"]
    assert [obj["key"].rpartition("/")[2] for obj in held] == ["new.csv", "stays.csv"]
