"""`release_model` as it is deployed: what it does when a function dies, is throttled, fails or never answers.

The machine itself plays each scenario, and copies of it that are broken at one place, which must not pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
import inline
from machines import Crash, Throttled, break_at, interfere
from release_world import ENDPOINT, Invoke, World

FUNCTIONS = ("plan_release", "deploy_model", "smoke_test", "promote_release", "finish_release")
Scenario = Callable[[World], None]


def releases(world: World) -> None:
    world.approve(world.register(1))
    assert world.execution["status"] == "SUCCEEDED"
    assert (world.live_version(), world.served_version()) == (1, "1")
    assert world.stage().get("releasing") is None


def ends_as(world: World, error: str, serves: str | None) -> list[str]:
    """Approve a second version after a first one that is live; what the release that failed went through."""
    release_id = world.approve(world.register(2))
    assert (world.execution["status"], world.execution["error"]) == ("FAILED", error)
    assert world.release(release_id)["status"] in ("failed", "refused")
    assert world.stage().get("releasing") is None
    assert (world.live_version(), world.served_version()) == (1, serves)
    return inline.entered(world.execution)


def puts_back_what_served(world: World) -> None:
    releases(world)
    world.cloud.endpoints.responses = [
        {"status_code": 500, "body": b"boom", "content_type": "text/plain", "variant": None}
    ] * 20
    assert "RestoreEndpoint" in ends_as(world, "SmokeTestFailedError", serves="1")


def says_that_nothing_can_be_put_back(world: World) -> None:
    interfere(world, "smoke_test", ValueError)
    world.approve(world.register(1))
    assert inline.entered(world.execution)[-3:] == ["StageLeft", "FinishFailedRelease", "ReleaseFailed"]
    assert "served nothing before" in world.execution["cause"]


def says_that_it_could_not_put_back(world: World) -> None:
    releases(world)
    interfere(world, "smoke_test", ValueError)
    interfere(world, "deploy_model", KeyError, only='"restore": true')
    assert "StageNotRestored" in ends_as(world, "ValueError", serves="2")
    assert "could not be put back (KeyError)" in world.execution["cause"]


def puts_back_though_it_dies_meanwhile(world: World) -> None:
    releases(world)
    interfere(world, "smoke_test", ValueError)
    busy = [type(name, (Exception,), {}) for name in ("QuotaTakenError", "EndpointBusyError")]
    for error in (Crash, Throttled, *busy):
        interfere(world, "deploy_model", error, only='"restore": true')
    assert "StageNotRestored" not in ends_as(world, "ValueError", serves="1")


def says_so_though_it_dies_meanwhile(world: World) -> None:
    interfere(world, "plan_release", ValueError)
    for error in (Crash, Throttled):
        interfere(world, "finish_release", error)
    release_id = world.approve(world.register(1))
    assert world.release(release_id)["status"] == "failed"


def leaves_what_it_did_not_change(world: World) -> None:
    releases(world)
    interfere(world, "deploy_model", type("ReleaseRefusedError", (Exception,), {}))
    assert "RestoreEndpoint" not in ends_as(world, "ReleaseRefusedError", serves="1")


def leaves_a_stage_that_it_lost(world: World) -> None:
    releases(world)
    interfere(world, "promote_release", type("StageLostError", (Exception,), {}))
    assert "RestoreEndpoint" not in ends_as(world, "StageLostError", serves="2")


def puts_back_when_it_cannot_promote(world: World) -> None:
    releases(world)
    interfere(world, "promote_release", ValueError)
    assert "RestoreEndpoint" in ends_as(world, "ValueError", serves="1")


def puts_back_what_nobody_knows_of(world: World) -> None:
    """The endpoint changes, and nothing ever says so; the second change is heard of."""
    releases(world)
    tell, told = world.tell_endpoint, []

    def lose_the_first(name: str = ENDPOINT) -> Any:
        told.append(name)
        return tell(name) if len(told) > 1 else None

    world.tell_endpoint = lose_the_first  # type: ignore[method-assign]
    assert "RestoreEndpoint" in ends_as(world, "States.Timeout", serves="1")


def plans_nothing(world: World) -> None:
    releases(world)
    interfere(world, "plan_release", ValueError)
    assert "ReleaseStages" not in ends_as(world, "ValueError", serves="1")


def releases_once_it_can(function: str, *errors: str, only: str = "", at_least_s: float = 0) -> Scenario:
    """What keeps a task from its work for a while."""

    def scenario(world: World) -> None:
        began = world.cloud.now.at
        failures = [interfere(world, function, type(error, (Exception,), {}), 3, only) for error in errors]
        releases(world)
        assert [len(each) for each in failures] == [3] * len(errors)
        assert inline.seconds_between(began, world.cloud.now.at) >= at_least_s

    return scenario


def survives(function: str) -> Scenario:
    def scenario(world: World) -> None:
        died, throttled = interfere(world, function, Crash), interfere(world, function, Throttled)
        releases(world)
        assert (len(died), len(throttled)) == (1, 1)

    return scenario


def says_so_when_it_cannot_say_that_it_is_done(world: World) -> None:
    interfere(world, "finish_release", ValueError)
    world.approve(world.register(1))
    assert inline.entered(world.execution)[-3:] == ["FinishRelease", "FinishFailedRelease", "ReleaseFailed"]
    assert world.execution["error"] == "ValueError"


def ends_when_nothing_can_be_said(world: World) -> None:
    interfere(world, "plan_release", ValueError)
    interfere(world, "finish_release", KeyError, times=9)
    world.approve(world.register(1))
    assert inline.entered(world.execution)[-2:] == ["FinishFailedRelease", "ReleaseFailed"]
    assert world.execution["error"] == "ValueError"


SCENARIOS: dict[str, Scenario] = {
    "releases": releases,
    "puts back what served": puts_back_what_served,
    "says that nothing can be put back": says_that_nothing_can_be_put_back,
    "says that it could not put back": says_that_it_could_not_put_back,
    "puts back though it dies meanwhile": puts_back_though_it_dies_meanwhile,
    "says so though it dies meanwhile": says_so_though_it_dies_meanwhile,
    "leaves what it did not change": leaves_what_it_did_not_change,
    "leaves a stage that it lost": leaves_a_stage_that_it_lost,
    "puts back when it cannot promote": puts_back_when_it_cannot_promote,
    "puts back what nobody knows of": puts_back_what_nobody_knows_of,
    "plans nothing": plans_nothing,
    "waits for the stage": releases_once_it_can("plan_release", "StageBusyError", at_least_s=2 + 3 + 4.5),
    "waits for the registration": releases_once_it_can("plan_release", "NotRegisteredYetError"),
    "waits for the endpoint": releases_once_it_can(
        "deploy_model", "EndpointBusyError", "RoleNotReadyError", "QuotaTakenError", "AlarmFiringError"
    ),
    **{f"{name} dies": survives(name) for name in FUNCTIONS},
    "says so when it cannot say that it is done": says_so_when_it_cannot_say_that_it_is_done,
    "ends when nothing can be said": ends_when_nothing_can_be_said,
}


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World(cloud, invoke)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_release_as_it_is_deployed(world: World, scenario: str) -> None:
    SCENARIOS[scenario](world)


@pytest.mark.parametrize(
    ("path", "value", "scenario"),
    [
        ("PlanRelease/Next", "FinishRelease", "releases"),
        ("PlanRelease/Retry", None, "waits for the stage"),
        ("PlanRelease/Catch", None, "plans nothing"),
        ("ReleaseStages/Catch", None, "puts back what served"),
        ("ReleaseStages/DeployModel/Next", "PromoteRelease", "puts back what served"),
        ("ReleaseStages/DeployModel/TimeoutSeconds", None, "puts back what nobody knows of"),
        ("ReleaseStages/DeployModel/Retry", None, "waits for the endpoint"),
        ("ReleaseStages/SmokeTest/Catch", None, "puts back what served"),
        (
            "ReleaseStages/IsPreviousConfigKnown/Default",
            "RestoreEndpoint",
            "says that nothing can be put back",
        ),
        ("ReleaseStages/RestoreEndpoint/Retry", None, "puts back though it dies meanwhile"),
        ("FinishFailedRelease/Retry", None, "says so though it dies meanwhile"),
        ("ReleaseStages/PromoteRelease/Catch", None, "puts back when it cannot promote"),
        ("FinishRelease/Catch", None, "says so when it cannot say that it is done"),
    ],
)
def test_a_broken_copy_does_not_pass(world: World, path: str, value: Any, scenario: str) -> None:
    break_at(world.definition, path, value)
    with pytest.raises(AssertionError):
        SCENARIOS[scenario](world)
