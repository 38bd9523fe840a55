"""A model is registered once, with the evidence that an approval will be bound to."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, RUN, Invoke, World
from sluice.domain import approvals
from sluice.domain import catalog as keys


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    return world


def package(world: World) -> dict[str, Any]:
    (found,) = world.cloud.registry.by_arn.values()
    return dict(found)


def payload(world: World) -> dict[str, Any]:
    """The task's input again, from what the run recorded."""
    steps = {
        item["sk"].removeprefix("STEP#"): item for item in world.cloud.catalog.query(f"RUN#{RUN}", "STEP#")
    }
    candidate = {"step": "train-1", "model_uri": steps["train-1"]["model_uri"]}
    return {
        **world.common(),
        "dataset_version": world.catalog_run()["dataset_version"],
        "candidate": candidate,
        "champion": None,
        "gates": steps["gates"]["detail"],
    }


def test_the_package_points_to_a_manifest_that_vouches_for_its_model(world: World) -> None:
    assert world.build("a.csv") == "registered"
    provenance = approvals.Provenance.of(package(world))
    assert provenance is not None
    manifest = world.cloud.objects.read(provenance.manifest_uri)
    assert hashlib.sha256(manifest).hexdigest() == provenance.manifest_sha256
    model_uri = package(world)["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    model = hashlib.sha256(world.cloud.objects.read(model_uri)).hexdigest()
    assert model == provenance.model_sha256
    assert approvals.evidence_faults(provenance, model_uri, manifest, model) == []


def test_the_manifest_holds_what_the_run_used_and_found(world: World) -> None:
    assert world.build("a.csv") == "registered"
    manifest = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))
    assert manifest["inputs"]["dataset_version"] == world.catalog_run()["dataset_version"]
    assert manifest["inputs"]["dataset_rows"] == 2
    assert manifest["parameters"]["train"] == {"alpha": "0.2"}
    assert manifest["candidate"] == "train-1"
    steps = {step["step"]: step for step in manifest["steps"]}
    assert steps.keys() >= {"prepare", "train-0", "train-1", "evaluate-candidate", "gates"}
    assert steps["train-0"]["metrics"] == {"accuracy": 0.8}
    assert manifest["evaluation"]["metrics"]["accuracy"]["value"] == 0.85
    assert all(gate["passed"] for gate in manifest["gates"])


def test_registering_again_is_the_same_package_and_manifest(world: World) -> None:
    assert world.build("a.csv") == "registered"
    manifest = world.cloud.objects.read(world.catalog_run()["manifest_uri"])
    world.later(minutes=1)
    again = world.invoke("register_model", payload(world))
    assert again["model_package_arn"] == package(world)["ModelPackageArn"]
    assert world.cloud.objects.read(again["manifest_uri"]) == manifest


def test_a_crash_after_the_package_was_created_is_made_good_by_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.registry, "describe_package", crash)
        with pytest.raises(RuntimeError):
            world.build("a.csv")
    registered = world.invoke("register_model", payload(world))
    assert registered["model_package_arn"] == package(world)["ModelPackageArn"]
    item = world.cloud.catalog.get(keys.package_key(registered["model_package_arn"])) or {}
    assert (item["run_id"], item["version"]) == (RUN, 1)


def test_an_approval_that_was_quicker_keeps_its_record(world: World) -> None:
    world.upload("a.csv")
    arn = fakes.arn("sagemaker", f"model-package/{PIPELINE}/1")
    seen = {"approval_status": "Approved", "approval_epoch": 1, "pipeline": PIPELINE}
    world.cloud.catalog.create({**keys.package_key(arn), **seen})
    assert world.build("b.csv") == "registered"
    assert (world.cloud.catalog.get(keys.package_key(arn)) or {})["approval_epoch"] == 1


@pytest.mark.parametrize(
    ("approval", "status"), [("manual", "PendingManualApproval"), ("automatic", "Approved")]
)
def test_whether_a_person_has_to_approve_is_up_to_the_project_where_the_stack_allows_it(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, approval: str, status: str
) -> None:
    monkeypatch.setenv("AUTOMATIC_APPROVAL", "true")
    world = World(cloud, invoke)
    world.push(pipeline=f"{PIPELINE_YAML}register: {{approval: {approval}}}\n".encode())
    assert world.build("a.csv") == "registered"
    assert package(world)["ModelApprovalStatus"] == status


def test_a_stack_that_allows_it_no_more_has_a_person_approve(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(cloud, invoke)
    monkeypatch.setenv("AUTOMATIC_APPROVAL", "true")
    world.push(pipeline=f"{PIPELINE_YAML}register: {{approval: automatic}}\n".encode())
    monkeypatch.setenv("AUTOMATIC_APPROVAL", "false")
    assert world.build("a.csv") == "registered"
    assert package(world)["ModelApprovalStatus"] == "PendingManualApproval"
