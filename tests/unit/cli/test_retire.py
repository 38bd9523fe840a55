"""What `sluice retire` deletes, what it refuses, and that it asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

import fakes
from command_world import Hearing
from release_world import ENDPOINT, ERROR_ALARM, PIPELINE, World
from sluice.catalog import keys
from sluice.domain.release import scaling
from sluice.services.views import stages
from sluice_cli import main, options
from sluice_cli.errors import CommandError


class Stack(Hearing[World]):
    """A stack that notes what is deleted of it."""

    def __init__(self, world: World) -> None:
        super().__init__(world, "StageRetired", "retire_stage")
        self.deleted: list[Any] = []

    def call(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        if operation == "delete_endpoint":
            del self.world.cloud.endpoints.by_name[request["EndpointName"]]
        if operation.startswith("delete"):
            self.deleted.append(request)
        return super().call(service, operation, **request)


@pytest.fixture
def stack(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any], monkeypatch: pytest.MonkeyPatch) -> Stack:
    world = World(cloud, invoke)
    world.approve(world.register(1))
    stack = Stack(world)
    monkeypatch.setattr(options.Options, "target", lambda self: stack)
    watching = [{"alarm": name, "state": "OK"} for name in (ERROR_ALARM, f"sluice-{ENDPOINT}-of-a-user")]
    monkeypatch.setattr(stages, "alarms", lambda cloud, pipeline, stage, name: watching)
    return stack


def retire(*arguments: str, answer: str = "") -> Any:
    return CliRunner().invoke(main.app, ["retire", PIPELINE, *arguments], input=answer)


def test_endpoints_and_our_alarms_go_and_the_catalog_says_so(stack: Stack) -> None:
    result = retire("--yes")
    assert result.exit_code == 0, result.output
    assert stack.deleted == [{"AlarmNames": [ERROR_ALARM]}, {"EndpointName": ENDPOINT}]
    assert "live" not in stack.world.stage()
    assert f"retired production {ENDPOINT}, 1 alarm" in result.stdout
    assert retire("--yes").stdout.startswith(f"retired production {ENDPOINT} (was gone)")


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_it_says_what_goes_and_asks(stack: Stack, answer: str) -> None:
    result = retire(answer=answer)
    assert "On a stack of fakes this deletes:" in result.output
    assert f"{ENDPOINT} (serves v1), 1 alarm" in result.output
    assert str(result.exception) == "nothing was deleted"
    assert stack.deleted == []


def test_where_nobody_answers_it_names_the_option_that_does_not_ask(stack: Stack) -> None:
    result = retire()
    assert isinstance(result.exception, CommandError)
    assert str(result.exception) == "nobody answered: nothing was deleted"
    assert "--yes" in result.exception.hint
    assert stack.deleted == []


def test_a_scaled_endpoint_is_scaled_no_more(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    target = scaling.target(ENDPOINT)
    stack.cloud.scaling.register(target)
    asked: list[Any] = []
    call = stack.call

    def noted(service: str, operation: str, **request: Any) -> dict[str, Any]:
        asked.append((operation, request))
        return call(service, operation, **request)

    monkeypatch.setattr(stack, "call", noted)
    assert retire("--yes").exit_code == 0
    names = [name for name, _ in asked]
    assert ("deregister_scalable_target", target) in asked
    assert names.index("deregister_scalable_target") < names.index("delete_endpoint")


def test_an_endpoint_of_ours_that_was_changed_by_hand_is_named_as_such_and_deleted(stack: Stack) -> None:
    """`sluice status` offers that where an endpoint deviates."""
    stack.world.cloud.endpoints.by_name[ENDPOINT]["EndpointConfigName"] = "by-hand"
    result = retire(answer="y\n")
    assert f"{ENDPOINT} (serves by-hand, which no release made), 1 alarm" in result.output
    assert {"EndpointName": ENDPOINT} in stack.deleted
    assert "live" not in stack.world.stage()


def test_a_foreign_endpoint_is_not_deleted(stack: Stack) -> None:
    endpoint = stack.world.cloud.endpoints.by_name[ENDPOINT]
    endpoint["EndpointConfigName"] = "somebody-elses"
    endpoint["Tags"] = [{"Key": "team", "Value": "another"}]
    result = retire("--yes")
    assert str(result.exception).startswith(f"{ENDPOINT} serves somebody-elses, which this stack did not")
    assert stack.deleted == []


def test_a_stage_under_release_or_unknown_is_refused(stack: Stack) -> None:
    assert "has no stage 'prod'" in str(retire("--stage", "prod", "--yes").exception)
    stack.catalog.update(keys.stage_key(PIPELINE, "production"), {"releasing": "reviews-v2-00000000"})
    assert str(retire("--yes").exception) == "reviews-v2-00000000 is under way on production"
    assert stack.deleted == []
