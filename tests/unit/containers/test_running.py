"""What a job does not wait for: its inputs, a wish that it stops and its log are asked for side by side."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

import pytest

from sluice.containers import running
from sluice.containers.data import DataError, S3Location, Storage
from sluice.containers.environments import Python
from sluice.containers.processes import Waiting
from sluice.containers.running import Ending, Job

S3 = {"S3DataType": "S3Prefix", "S3CompressionType": "None", "S3DataDistributionType": "FullyReplicated"}


class Script:
    """A process that has ended well."""

    exit_code, peak_mb, ran_s = 0, 12, 0.25
    started: list[Sequence[str]]

    def __init__(
        self, command: Sequence[str], variables: Mapping[str, str], folder: Path, waits: Any
    ) -> None:
        self.started.append(command)
        read, write = os.pipe()
        os.write(write, b"done\n")
        os.close(write)
        self.output: IO[bytes] = open(read, "rb", buffering=0)  # noqa: SIM115 - the reader closes it

    def has_ended(self) -> bool:
        return True

    def wait(self, timeout_s: float) -> bool:
        return True


class World:
    """A processing job with two inputs and an output; `effects` are in their order."""

    workers, role_arn, region, pids = 4, "role", "eu-central-1", set[int]()

    def __init__(self, ml: Path) -> None:
        self.effects = list[str]()
        self.is_stopped = False
        # The wish that it stops and the listings of both inputs.
        self.together = threading.Barrier(3, timeout=30)
        inputs = [
            {"InputName": name, "S3Input": {**S3, "S3Uri": f"s3://in/{name}", "LocalPath": f"{ml}/in/{name}"}}
            for name in ("code", "rows")
        ]
        output = {"LocalPath": f"{ml}/out", "S3Uri": "s3://out/x", "S3UploadMode": "EndOfJob"}
        self.request = {
            "ProcessingJobName": "job",
            "ProcessingInputs": inputs,
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "x", "S3Output": output}]},
            "AppSpecification": {"ContainerEntrypoint": ["python3", "a.py"]},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }

    def looks(self) -> bool:
        self.together.wait()
        return self.is_stopped

    def keys(self, prefix: S3Location) -> list[str]:
        self.together.wait()
        return [f"{prefix.key}/a"]

    def fetch(self, location: S3Location, target: Path) -> None:
        target.write_bytes(b"1")

    def write(self, *given: Any) -> None:
        """Take an output, or lines of the log."""
        if given[0]:
            self.effects.append("output" if len(given) == 2 else "lines")

    def flush(self) -> None:
        self.effects.append("flush")

    def run(self) -> Ending:
        job = Job("processing_job", "job", "arn:job", self.request, {}, 1, 512, 60.0)
        python = Python(Path("/environment"))
        return running.run(
            job,
            cast("Storage", self),
            python,
            self,
            self.looks,
            cast("Waiting", self),
            lambda: self.effects.append("packed"),
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(running, "OPT_ML", tmp_path)
    monkeypatch.setattr(running, "Process", Script)
    monkeypatch.setattr(running, "end_children", lambda *_: (tmp_path / "out/b").touch())
    Script.started = []
    return World(tmp_path)


def test_a_job_lists_its_inputs_and_looks_for_a_stop_at_once_and_writes_its_log_beside_its_outputs(
    world: World,
) -> None:
    ending = world.run()
    assert (ending.status, ending.script_s, list(ending.tail)) == ("Completed", 0.25, ["done"])
    assert len(Script.started) == 1
    assert world.effects == ["lines", "flush", "packed", "output"]


def test_a_job_that_was_told_to_stop_begins_no_script(world: World) -> None:
    world.is_stopped = True
    assert world.run().status == "Stopped"
    assert Script.started == []


@pytest.mark.parametrize(("is_stopped", "status"), [(True, "Stopped"), (False, "Failed")])
def test_a_job_that_was_told_to_stop_is_stopped_though_its_data_cannot_be_had(
    world: World, monkeypatch: pytest.MonkeyPatch, is_stopped: bool, status: str
) -> None:
    def missing(prefix: S3Location) -> list[str]:
        world.together.wait()
        raise DataError(f"there is nothing at {prefix}")

    world.is_stopped = is_stopped
    monkeypatch.setattr(world, "keys", missing)
    assert world.run().status == status
    assert Script.started == []


@pytest.mark.parametrize(
    ("free_bytes", "limit", "reason"),
    [
        (1 << 20, "disk", "its disk was full: the script ended with exit code 1"),
        (1 << 30, None, "AlgorithmError: , exit code: 1"),
    ],
)
def test_a_script_that_fails_on_a_full_disk_ends_in_that_reason(
    world: World, monkeypatch: pytest.MonkeyPatch, free_bytes: int, limit: str | None, reason: str
) -> None:
    monkeypatch.setattr(Script, "exit_code", 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free_bytes))
    ending = world.run()
    assert (ending.status, ending.limit, ending.reason) == ("Failed", limit, reason)


def test_data_that_fill_the_disk_end_the_job_in_that_reason(world: World) -> None:
    def fill(location: S3Location, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    world.fetch = fill  # type: ignore[method-assign]
    ending = world.run()
    assert (ending.status, ending.limit, ending.reason) == ("Failed", "disk", "its disk was full")
    assert Script.started == []
