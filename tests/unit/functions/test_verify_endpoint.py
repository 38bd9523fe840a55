"""An endpoint that serves something else than was released is noticed in one pass, and told of once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import ENDPOINT, PIPELINE, World
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Stage
from sluice.services.release import comparing, deviating
from sluice.services.views import stages

HINT = "SageMaker Endpoint State Change"
BY_HAND = "made-by-hand"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    """A stage whose second version is live."""
    made = World(cloud, invoke)
    for number in (1, 2):
        made.approve(made.register(number, image_digest="sha256:" + "a" * 64))
        made.later(hours=1)
    return made


def look(world: World) -> list[str]:
    """One pass of reconcile with what follows; returns what the bus was told."""
    world.cloud.bus.entries.clear()
    world.cloud.bus.announced.clear()
    world.invoke("reconcile", {})
    for kind, detail, _ in list(world.cloud.bus.entries):
        assert kind == HINT
        world.invoke("verify_endpoint", {"detail": detail})
    return [kind for kind, _ in world.cloud.bus.announced]


def told(world: World) -> dict[str, Any]:
    """The one event of a deviation."""
    ((kind, detail),) = world.cloud.bus.announced
    assert kind == "EndpointDeviated"
    return detail


def change_by_hand(world: World, config: str = BY_HAND) -> None:
    world.cloud.endpoints.create_config(
        {"EndpointConfigName": config, "ProductionVariants": [{"VariantName": "v", "ModelName": "theirs"}]}
    )
    world.cloud.endpoints.update_endpoint({"EndpointName": ENDPOINT, "EndpointConfigName": config})
    world.cloud.endpoints.settle(ENDPOINT)


def config_of(world: World, number: int) -> str:
    live = [item for item in world.cloud.catalog.items.values() if item["sk"].startswith("DEPLOYMENT#")]
    return next(str(item["endpoint_config_name"]) for item in live if item["package_version"] == number)


def test_the_sample_event_finds_what_was_released(world: World, sample: Any) -> None:
    assert world.invoke("verify_endpoint", sample("verify_endpoint")) == {"status": "as released"}
    assert look(world) == []


def test_another_config_is_told_once_and_so_is_its_end(world: World) -> None:
    change_by_hand(world)
    assert look(world) == ["EndpointDeviated"]
    detail = told(world)
    (reason,) = detail["reasons"]
    assert reason.startswith(
        f"it serves the config {BY_HAND}, which no release made, not sluice--reviews-v2-"
    )
    assert (detail["pipeline"], detail["stage"], detail["package_version"]) == (PIPELINE, "production", 2)
    assert detail["command"] == "approve reviews/2 --stage production"
    for _ in range(3):
        world.later(minutes=5)
        assert look(world) == []
    assert world.events().count("endpoint deviates") == 1
    world.cloud.endpoints.update_endpoint(
        {"EndpointName": ENDPOINT, "EndpointConfigName": config_of(world, 2)}
    )
    world.cloud.endpoints.settle(ENDPOINT)
    assert look(world) == ["EndpointRestored"]
    assert look(world) == []
    assert world.timeline()[-1] == ("endpoint restored", "production: serves v2 as released")
    assert "deviation" not in world.stage()


def test_what_was_done_by_hand_is_left(world: World) -> None:
    change_by_hand(world)
    before = len(world.cloud.endpoints.updates)
    look(world)
    look(world)
    assert len(world.cloud.endpoints.updates) == before
    assert world.cloud.endpoints.by_name[ENDPOINT]["EndpointConfigName"] == BY_HAND


def test_a_silent_rollback_is_named_as_the_version_that_serves_again(world: World) -> None:
    world.cloud.endpoints.settle(ENDPOINT, config=config_of(world, 1))
    look(world)
    assert told(world)["reasons"][0].startswith("it serves v1 again, by the config sluice--reviews-v1-")


def test_a_deleted_endpoint_is_told_with_what_makes_it_again(world: World) -> None:
    world.cloud.endpoints.delete_endpoint(ENDPOINT)
    look(world)
    assert told(world)["reasons"] == [f"the endpoint {ENDPOINT} does not exist"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("Deleting", f"the endpoint {ENDPOINT} is being deleted"),
        ("Failed", "the endpoint is Failed: SageMaker gives no reason"),
    ],
)
def test_an_endpoint_that_serves_nothing_is_told(world: World, status: str, reason: str) -> None:
    world.cloud.endpoints.by_name[ENDPOINT]["EndpointStatus"] = status
    look(world)
    assert told(world)["reasons"] == [reason]


@pytest.mark.parametrize("status", ["Updating", "SystemUpdating", "RollingBack", "Creating"])
def test_what_a_changing_endpoint_serves_is_no_answer(world: World, status: str) -> None:
    change_by_hand(world)
    world.cloud.endpoints.by_name[ENDPOINT]["EndpointStatus"] = status
    assert look(world) == []


def another_model(world: World, served: dict[str, Any]) -> None:
    world.cloud.endpoints.models[served["ModelName"]]["PrimaryContainer"]["ModelDataUrl"] = "s3://b/m.tar.gz"


def another_image(world: World, served: dict[str, Any]) -> None:
    (variant,) = world.cloud.endpoints.by_name[ENDPOINT]["ProductionVariants"]
    variant["DeployedImages"] = [{"ResolvedImage": "repository@sha256:" + "b" * 64}]


def another_variant(world: World, served: dict[str, Any]) -> None:
    world.cloud.endpoints.by_name[ENDPOINT]["ProductionVariants"][0]["VariantName"] = "Mine"


def other_parts(world: World, served: dict[str, Any]) -> None:
    served["ModelName"] = "theirs"


def no_model(world: World, served: dict[str, Any]) -> None:
    del world.cloud.endpoints.models[served["ModelName"]]


def no_config(world: World, served: dict[str, Any]) -> None:
    del world.cloud.endpoints.configs[config_of(world, 2)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (another_model, "its model is s3://b/m.tar.gz, not the archive "),
        (another_image, f"an image sha256:{'b' * 64} runs, not sha256:{'a' * 64}"),
        (another_variant, "its variants are Mine, not AllTraffic"),
        (other_parts, "its config names the model theirs, not sluice--reviews-v2-"),
        (no_model, "its model sluice--reviews-v2-"),
        (no_config, "its config sluice--reviews-v2-"),
    ],
)
def test_what_lies_behind_the_right_name_counts(
    world: World, change: Callable[[World, dict[str, Any]], None], reason: str
) -> None:
    change(world, world.cloud.endpoints.configs[config_of(world, 2)]["ProductionVariants"][0])
    look(world)
    (said,) = told(world)["reasons"]
    assert said.startswith(reason)


def test_a_release_under_way_is_no_deviation_and_its_end_restores(world: World) -> None:
    change_by_hand(world)
    look(world)
    stage = Stage.of(world.stage())
    assert stage.deviates
    world.approve(world.register(3))
    # What is live now is another release, so the former deviation is none of it.
    assert stages.stages(world.cloud, PIPELINE)[0]["deviation"] is None
    assert look(world) == ["EndpointRestored"]
    world.plan(world.register(4))
    world.cloud.endpoints.delete_endpoint(ENDPOINT)
    assert look(world) == []


def test_the_command_that_is_named_puts_the_version_back(world: World) -> None:
    """Also where the config has the right name, so that only its content differs."""
    another_model(world, world.cloud.endpoints.configs[config_of(world, 2)]["ProductionVariants"][0])
    look(world)
    arn = next(arn for arn in world.cloud.registry.by_arn if arn.endswith("/2"))
    request: dict[str, Any] = {
        "pipeline": PIPELINE,
        "release_id": f"{PIPELINE}-v2-cccccccc",
        "cause": "command",
        "package_arn": arn,
        "stages": ["production"],
    }
    world.cloud.workflows.start("release", request["release_id"], request)
    world.run_all()
    assert world.release(request["release_id"])["status"] == "released"
    assert look(world) == ["EndpointRestored"]


def test_a_retired_stage_deviates_from_nothing(world: World) -> None:
    change_by_hand(world)
    look(world)
    live = str(world.stage()["live"])
    assert world.cloud.catalog.apply(changes.retire_stage(PIPELINE, "production", live))
    assert look(world) == ["EndpointRestored"]
    assert look(world) == []


def test_another_deviation_is_told_again(world: World) -> None:
    change_by_hand(world)
    look(world)
    world.later(minutes=5)
    change_by_hand(world, "another-by-hand")
    assert look(world) == ["EndpointDeviated"]
    assert world.events().count("endpoint deviates") == 2


def test_a_crash_before_it_was_told_repeats_the_telling(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_by_hand(world)

    def lost(*_: object) -> None:
        raise RuntimeError("the function ends here")

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.bus, "announce", lost)
        with pytest.raises(RuntimeError):
            look(world)
    world.later(minutes=5)
    assert look(world) == ["EndpointDeviated"]
    assert look(world) == []
    assert world.events().count("endpoint deviates") == 1


def test_of_two_who_look_at_once_one_tells(world: World) -> None:
    change_by_hand(world)
    seen = Stage.of(world.stage())
    found = comparing.find_faults(world.cloud, seen)
    assert found is not None
    said = [deviating.record(world.cloud, seen, found.faults) for _ in range(2)]
    assert said == ["deviates", "changed meanwhile"]
    assert [kind for kind, _ in world.cloud.bus.announced].count("EndpointDeviated") == 1


def test_an_endpoint_of_nobody_is_left_alone(world: World) -> None:
    assert world.invoke("verify_endpoint", {"detail": {"EndpointName": "sluice-x"}}) == {"status": "not ours"}


@pytest.mark.parametrize("past", [0, 50])
def test_a_look_costs_a_few_requests_however_much_was_released(
    world: World, past: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(past):
        old = {
            **world.deployment(str(world.stage()["live"])),
            "sk": f"DEPLOYMENT#production#reviews-v{number}-0",
        }
        world.cloud.catalog.items[old["pk"], old["sk"]] = old
    asked: list[str] = []

    class Counted:
        def __init__(self, port: Any) -> None:
            self._port = port

        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(self._port, name)

    stage = Stage.of(world.stage())
    monkeypatch.setattr(world.cloud, "endpoints", Counted(world.cloud.endpoints))
    monkeypatch.setattr(world.cloud, "catalog", Counted(world.cloud.catalog))
    found = comparing.find_faults(world.cloud, stage)
    assert found is not None
    assert found.faults == []
    assert sorted(asked) == ["describe_config", "describe_endpoint", "describe_model", "get", "get", "get"]
