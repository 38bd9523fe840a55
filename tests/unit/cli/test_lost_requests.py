"""A person's request that got lost is known to nobody else: the command waits for its effect, and says so."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

import fakes
from command_world import Stack
from release_world import PIPELINE, PIPELINE_YAML, World
from sluice.catalog.records.arrivals import Arrival
from sluice_cli import main, options

KEY = f"{PIPELINE}/a.csv"
MONITORED = f"{PIPELINE_YAML}\nmonitor: {{every_s: 3600}}\n"
REQUESTS = {
    "DataReleaseRequested": ["data", "release", KEY, "--reason", "it is right"],
    "DataRecallRequested": ["recall", KEY, "--reason", "asked to"],
    "MonitoringRequested": ["monitor", "run", PIPELINE],
    "NoticeTested": ["notify", "test"],
    "RunRequested": ["start", PIPELINE],
    "ScalingDue": ["scale", PIPELINE, "--count", "2"],
    "StagePinned": ["pin", PIPELINE, "--reason", "an audit"],
    "StageRetired": ["retire", PIPELINE, "--reason", "nobody asks it", "--yes"],
}
# Nothing need serve for these.
OF_DATA = {"DataReleaseRequested", "DataRecallRequested"}


class Deaf(Stack):
    """A stack that no request reaches."""

    def __init__(self, world: World) -> None:
        super().__init__(world.cloud)
        self.world = world
        self.asked: list[str] = []

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:
        self.asked += [entry["DetailType"] for entry in Entries]
        return {"FailedEntryCount": 0}


@pytest.fixture
def deaf(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any], monkeypatch: pytest.MonkeyPatch) -> Deaf:
    """A pipeline with an object that is set aside."""
    world = World(cloud, invoke, MONITORED)
    version = cloud.objects.put(fakes.DATA_BUCKET, KEY, b"y\n1\n")
    at = cloud.now()
    cloud.catalog.create(
        Arrival(PIPELINE, KEY, version, 4, at, sha256="a" * 64, status="quarantined", reason="bad").item()
    )
    hours = itertools.count(step=3600)
    for module in ("waiting", "data_release"):
        monkeypatch.setattr(f"sluice_cli.{module}.time.monotonic", lambda: next(hours))
    stack = Deaf(world)
    monkeypatch.setattr(options.Options, "target", lambda self: stack)
    return stack


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_request_that_got_lost_is_said_and_may_be_made_again(deaf: Deaf, kind: str, no_sleep: None) -> None:
    if kind not in OF_DATA:
        deaf.world.approve(deaf.world.register(1))
    for _ in range(2):
        result = CliRunner().invoke(main.app, REQUESTS[kind])
        assert result.exit_code == 1, (result.output, result.exception)
        assert "to ask twice does no harm" in str(getattr(result.exception, "hint", "")), result.exception
    assert deaf.asked == [kind, kind]
