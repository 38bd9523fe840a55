"""A release is refused of what no run of the pipeline registered, with the reason."""

from __future__ import annotations

import json

import pytest

import fakes
from release_world import PIPELINE, Invoke, World
from sluice.catalog import keys
from sluice.domain.release.errors import NotRegisteredYetError, ReleaseRefusedError
from sluice.services.release import claiming, model_packages


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World(cloud, invoke)


def refusal(world: World, arn: str, pipeline: str = PIPELINE, run_id: str | None = None) -> str:
    with pytest.raises(ReleaseRefusedError) as refused:
        model_packages.find_package(world.cloud, pipeline, arn, run_id)
    return str(refused.value)


def test_a_package_that_is_gone_is_refused(world: World) -> None:
    arn = world.register(1)
    del world.cloud.registry.by_arn[arn]
    assert "the model package is gone from the registry" in refusal(world, arn)


def test_a_package_of_another_pipeline_or_of_no_run_is_refused(world: World) -> None:
    assert "was not registered by a run of other" in refusal(world, world.register(1), "other")
    foreign = world.create_package(ClientToken="by hand", metadata={})
    assert f"was not registered by a run of {PIPELINE}" in refusal(world, foreign)


def test_a_package_that_has_the_arn_of_another_runs_is_refused(world: World) -> None:
    said = refusal(world, world.register(2), run_id="reviews-00001")
    assert "is what reviews-00002 registered: that of reviews-00001 is gone" in said


def test_a_package_whose_project_is_not_in_the_catalog_is_refused(world: World) -> None:
    arn = world.register(1)
    key = keys.project_key(PIPELINE, world.project_version)
    del world.cloud.catalog.items[key["pk"], key["sk"]]
    assert world.project_version[:12] in refusal(world, arn)


def test_a_manifest_that_is_gone_or_of_another_format_is_no_evidence(world: World) -> None:
    arn = world.register(1)
    package = model_packages.find_package(world.cloud, PIPELINE, arn)
    uri = world.uri(1, "manifest")
    document = json.loads(world.cloud.objects.read(uri))
    world.cloud.objects.delete(uri)
    assert model_packages.evidence_faults(world.cloud, package)[0].startswith("the run manifest is gone")
    world.cloud.objects.write(uri, json.dumps({**document, "format": "other/9"}).encode())
    assert "run manifest" in model_packages.evidence_faults(world.cloud, package)[0]


def test_a_package_whose_run_has_not_ended_registering_it_is_waited_for(world: World) -> None:
    package = model_packages.find_package(world.cloud, PIPELINE, world.register(1))
    registering = {"status": "running", "model_package_arn": None}
    world.cloud.catalog.update(keys.run_key(PIPELINE, "reviews-00001"), registering)
    with pytest.raises(NotRegisteredYetError):
        model_packages.find_evidence(world.cloud, package)


def test_a_stage_that_is_gone_is_refused(world: World) -> None:
    world.approve(world.register(1))
    assert claiming.require_stage(world.cloud, PIPELINE, "production").live
    with pytest.raises(ReleaseRefusedError, match="the stage staging of reviews is gone from the catalog"):
        claiming.require_stage(world.cloud, PIPELINE, "staging")
