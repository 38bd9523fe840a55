"""The sample events of the build's functions play one run, from a push to a registered model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import fakes
from build_world import FILES, PIPELINE, ROWS, RUN, Invoke, World
from sluice.domain.build import projects


def test_the_samples_alone_play_a_run(
    cloud: fakes.Cloud, invoke: Invoke, sample: Callable[[str], Any]
) -> None:
    world = World(cloud, invoke)

    def play(name: str) -> Any:
        return invoke(name, sample(name))

    cloud.objects.put(
        fakes.ARTIFACT_BUCKET, sample("register_project")["detail"]["object"]["key"], projects.pack(FILES)
    )
    cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", ROWS)
    assert play("register_project") == {"status": "active"}
    assert play("record_arrival") == {"status": "accepted"}
    cloud.now.at = "2026-11-24T09:02:00.000Z"
    assert play("release_data") == {"status": "refused"}
    assert play("start_build") == {"batchItemFailures": []}
    assert play("snapshot_dataset")["dataset_version"] == sample("validate_data")["dataset_version"]
    assert play("validate_data")["is_valid"]
    assert play("start_job") == {"job_name": f"sluice--{RUN}-prepare"}
    cloud.jobs.end(f"sluice--{RUN}-prepare")
    assert play("finish_job") == {"status": "answered"}
    for step in ("train-0", "train-1"):
        world.job(step)
    assert play("select_candidate")["candidate"] == sample("register_model")["candidate"]
    world.job("evaluate-candidate", model_uri=sample("register_model")["candidate"]["model_uri"])
    assert play("check_gates")["is_better"]
    assert play("register_model")["package_version"] == 1
    assert play("finish_run") == {"status": "registered"}


def test_what_the_state_machine_passes_on_is_json(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World(cloud, invoke)
    world.push()
    assert world.build("a.csv") == "registered"
    for _, output in cloud.workflows.answers:
        json.dumps(output, allow_nan=False)
