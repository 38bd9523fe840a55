"""The events are OpenLineage's, as its own client reads them, and tell who read and wrote what."""

from __future__ import annotations

import importlib
import json
import pkgutil
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from sluice.domain.build import open_lineage

BUCKET = "s3://artifacts"
DOCUMENT: dict[str, Any] = {
    "format": "sluice-run-manifest/3",
    "pipeline": "reviews",
    "run_id": "reviews-00002",
    "created_at": "2026-11-29T10:05:00.000Z",
    "inputs": {
        "project_version": "a" * 64,
        "dataset_version": "d" * 64,
        "dataset_manifest_uri": f"{BUCKET}/datasets/reviews/d/manifest.json",
        "dataset_rows": 40,
        "dataset_size_bytes": 400,
        "source": {"commit": "c" * 40, "remote": "https://host/r", "branch": "main"},
    },
    "parameters": {"train": {"alpha": "0.1"}},
    "candidate": "train-1",
    "steps": [
        {
            "step": "prepare",
            "job_name": "p",
            "status": "Completed",
            "image": "sklearn:1",
            "started_at": "2026-11-29T10:00:00.000Z",
            "ended_at": "2026-11-29T10:01:00.000Z",
            "outputs": {
                "train": f"{BUCKET}/runs/train",
                "validation": f"{BUCKET}/runs/validation",
                "test": f"{BUCKET}/runs/test",
            },
        },
        {
            "step": "train-0",
            "job_name": "t0",
            "status": "Failed",
            "failure_reason": "AlgorithmError",
            "image": "sklearn:1",
            "started_at": "2026-11-29T10:01:00.000Z",
            "ended_at": "2026-11-29T10:02:00.000Z",
            "outputs": {"model": None},
        },
        {
            "step": "train-1",
            "job_name": "t1",
            "status": "Completed",
            "image": "sklearn:1",
            "backend": "lambda",
            "started_at": "2026-11-29T10:01:00.000Z",
            "ended_at": "2026-11-29T10:02:00.000Z",
            "outputs": {"model": f"{BUCKET}/runs/model.tar.gz"},
        },
        {
            "step": "evaluate-candidate",
            "job_name": "e",
            "status": "Completed",
            "image": "sklearn:1",
            "started_at": "2026-11-29T10:03:00.000Z",
            "ended_at": "2026-11-29T10:04:00.000Z",
            "outputs": {"evaluation": f"{BUCKET}/runs/evaluation"},
        },
        {"step": "gates", "status": "Completed"},
    ],
    "artifacts": [
        {"name": "model", "step": "train-1", "uri": f"{BUCKET}/models/m.tar.gz", "sha256": "e" * 64},
        {"name": "bundle", "step": "push", "uri": f"{BUCKET}/projects/a.tar.gz", "sha256": "f" * 64},
    ],
}
EVENTS = open_lineage.events(DOCUMENT, "sluice")


@cache
def facet_modules() -> list[ModuleType]:
    """The client's modules with a facet in each; it is slow to import, and each worker collects all tests."""
    from openlineage.client import generated

    return [
        importlib.import_module(f"{generated.__name__}.{found.name}")
        for found in pkgutil.iter_modules(generated.__path__)
    ]


def facet(said: dict[str, Any]) -> None:
    """Let the client make the facet: it refuses unknown and missing fields."""
    name = said["_schemaURL"].rpartition("/")[2]
    (cls,) = {vars(module)[name] for module in facet_modules() if name in vars(module)}
    given = {key: value for key, value in said.items() if not key.startswith("_")}
    made = cls(**given)
    assert made._schemaURL == said["_schemaURL"]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{event['job']['name']}-{event['eventType']}")
def test_the_client_of_openlineage_reads_each_event(event: dict[str, Any]) -> None:
    from openlineage.client import event_v2

    made = event_v2.RunEvent(
        eventTime=event["eventTime"],
        producer=event["producer"],
        eventType=event_v2.RunState[event["eventType"]],
        run=event_v2.Run(runId=event["run"]["runId"]),
        job=event_v2.Job(event["job"]["namespace"], event["job"]["name"]),
    )
    assert made.schemaURL == event["schemaURL"]
    known = {"eventType", "eventTime", "run", "job", "inputs", "outputs", "producer", "schemaURL"}
    assert set(event) == known
    data = [*event["inputs"], *event["outputs"]]
    for each in data:
        event_v2.Dataset(each["namespace"], each["name"])
    carriers = [event["run"], event["job"], *data]
    for said in (said for each in carriers for said in each["facets"].values()):
        facet(said)
    for said in (said for each in event["inputs"] for said in each.get("inputFacets", {}).values()):
        facet(said)
    json.dumps(event)


def test_each_run_starts_once_and_ends_once() -> None:
    states: dict[str, list[str]] = {}
    for event in EVENTS:
        states.setdefault(f"{event['run']['runId']} {event['job']['name']}", []).append(event["eventType"])
    by_job = {key.split()[1]: found for key, found in states.items()}
    assert by_job == {
        "run": ["START", "COMPLETE"],
        "prepare": ["START", "COMPLETE"],
        "train-0": ["START", "FAIL"],
        "train-1": ["START", "COMPLETE"],
        "evaluate-candidate": ["START", "COMPLETE"],
    }
    assert [event["eventTime"] for event in EVENTS] == sorted(event["eventTime"] for event in EVENTS)


def last(job: str) -> dict[str, Any]:
    return [event for event in EVENTS if event["job"]["name"] == job][-1]


def test_a_jobs_output_is_the_next_ones_input() -> None:
    def names(event: dict[str, Any], side: str) -> set[str]:
        return {each["name"] for each in event[side]}

    assert names(last("prepare"), "inputs") == {"datasets/reviews/d/manifest.json"}
    assert names(last("train-1"), "inputs") == {"runs/train", "runs/validation"}
    assert names(last("train-1"), "inputs") < names(last("prepare"), "outputs")
    assert "models/m.tar.gz" in names(last("train-1"), "outputs")
    assert names(last("train-0"), "outputs") == set()
    assert names(last("evaluate-candidate"), "inputs") == {"runs/test", "models/m.tar.gz"}
    assert names(last("run"), "outputs") == {"models/m.tar.gz"}


def test_the_events_of_two_runs_are_told_apart_and_of_one_are_the_same() -> None:
    assert open_lineage.events(DOCUMENT, "sluice") == EVENTS
    other = open_lineage.events({**DOCUMENT, "run_id": "reviews-00003"}, "sluice")
    ids = [{event["run"]["runId"] for event in events} for events in (EVENTS, other)]
    assert ids[0].isdisjoint(ids[1])


def test_a_manifest_of_the_former_format_is_told_too() -> None:
    inputs = {key: value for key, value in DOCUMENT["inputs"].items() if key != "source"}
    former = open_lineage.events({**DOCUMENT, "inputs": inputs}, "sluice")
    assert len(former) == len(EVENTS)
    assert all("sourceCodeLocation" not in event["job"]["facets"] for event in former)
