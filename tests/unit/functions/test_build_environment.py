"""The packages of jobs on Lambda are built once, and what cannot be had is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fakes
from build_world import FILES, PIPELINE, PIPELINE_YAML, RUN, Invoke, World
from sluice.catalog.records.builds import Environment, Project
from sluice.domain import config, locations
from sluice.domain.build import environments as wanting
from sluice.domain.build.environments import NoEnvironmentError, Wanted
from sluice.ports import PackageArchive
from sluice.services import building
from sluice.services.build import environments
from sluice.services.build.environments import EnvironmentBuildingError


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World(cloud, invoke)


def project(world: World) -> Project:
    return building.find_project(world.cloud, PIPELINE, str(world.pipeline["project_version"]))


def found(world: World) -> environments.Found:
    pushed = project(world)
    return environments.find(world.cloud, pushed, config.restore(pushed.config))


def record(world: World) -> Environment:
    pushed = project(world)
    wanted = environments.want(world.cloud, pushed, config.restore(pushed.config))
    known = environments.find_record(world.cloud, wanted.spec)
    assert known
    return known


def task(world: World, **more: str) -> dict[str, str]:
    return {"pipeline": PIPELINE, "project_version": world.pipeline["project_version"], **more}


def push(world: World, requirements: bytes | None = None, pipeline: str = PIPELINE_YAML) -> None:
    files = FILES if requirements is None else {**FILES, "src/requirements.txt": requirements}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("build_world.FILES", files)
        world.push(pipeline=pipeline.encode())


def test_a_champion_has_the_packages_of_its_own_image_whatever_the_project_has_now(world: World) -> None:
    push(world)
    pushed = project(world)
    now = config.restore(pushed.config)
    repository, _, tag = now.training_image_uri("eu-central-1").rpartition(":")
    champion = f"{repository}:1.2-1-cpu-py3@sha256:{'d' * 64}"
    wanted = environments.want(world.cloud, pushed, now, champion)
    assert (wanted.image, tag) == (f"{repository}:1.2-1-cpu-py3", "1.4-2-cpu-py3")
    assert wanted.spec != environments.want(world.cloud, pushed, now).spec
    with pytest.raises(NoEnvironmentError, match="named by its digest alone"):
        environments.want(world.cloud, pushed, now, f"{repository}@sha256:{'d' * 64}")


def test_a_push_asks_for_the_packages_which_are_stored_with_their_list(world: World) -> None:
    push(world)
    ((name, detail),) = world.cloud.bus.announced
    assert (name, detail["stack"]) == ("ProjectRegistered", "sluice")
    assert found(world).problem == "its packages were not built for Lambda"
    answer = world.invoke("build_environment", {"source": "sluice", "detail": detail})
    environment = found(world).environment
    assert environment is not None
    assert answer == {"status": "ready", "digest": environment.digest}
    assert (environment.packages, environment.size_bytes, environment.unpacked_bytes) == (1, 64, 640)
    digest, bucket = str(environment.digest), fakes.ARTIFACT_BUCKET
    assert world.cloud.objects.read(locations.environment_archive(bucket, digest))
    document = json.loads(world.cloud.objects.read(locations.environment_document(bucket, digest)))
    assert document == environments.describe(world.cloud, digest)
    assert document["packages"] == [{"name": "scikit-learn", "version": "1.4.2"}]
    assert document["image"].endswith("sagemaker-scikit-learn:1.4-2-cpu-py3")


def test_they_are_built_once_however_often_they_are_asked_for(world: World) -> None:
    push(world)
    answers = [world.invoke("build_environment", task(world, run_id=RUN)) for _ in range(5)]
    assert answers == [answers[0]] * 5
    assert len(world.cloud.packages.built) == 1


def test_scripts_that_change_need_no_other_packages_but_requirements_do(world: World) -> None:
    push(world)
    world.invoke("build_environment", task(world))
    world.later(minutes=1)
    world.push(train=b"print('better')\n")
    assert found(world).environment is not None
    world.later(minutes=1)
    push(world, b"tabulate==0.9.0\n")
    assert found(world).environment is None


def test_two_at_once_build_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    push(world)
    build = world.cloud.packages.build
    meanwhile: list[Any] = []

    def building_for_long(wanted: Wanted, folder: Path, remaining_s: Callable[[], float]) -> PackageArchive:
        monkeypatch.setattr(world.cloud.packages, "build", build)
        meanwhile.append(world.invoke("build_environment", task(world)))
        with pytest.raises(EnvironmentBuildingError):
            world.invoke("build_environment", task(world, run_id=RUN))
        assert found(world).problem == "its packages are still being built for Lambda"
        return build(wanted, folder, remaining_s)

    monkeypatch.setattr(world.cloud.packages, "build", building_for_long)
    assert world.invoke("build_environment", task(world))["status"] == "ready"
    assert meanwhile == [{"status": "building"}]
    assert len(world.cloud.packages.built) == 1


def test_who_ended_while_building_is_followed_after_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(world)
    with monkeypatch.context() as patch:
        patch.setattr(world.cloud.packages, "build", killed)
        with pytest.raises(KeyboardInterrupt):
            world.invoke("build_environment", task(world))
    assert world.invoke("build_environment", task(world)) == {"status": "building"}
    world.later(minutes=16)
    assert found(world).problem == "building its packages for Lambda came to no end"
    assert world.invoke("build_environment", task(world))["status"] == "ready"


def killed(*given: Any) -> PackageArchive:
    raise KeyboardInterrupt


def test_a_slow_builder_that_another_followed_records_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(world)
    build = world.cloud.packages.build

    def slow(wanted: Wanted, folder: Path, remaining_s: Callable[[], float]) -> PackageArchive:
        monkeypatch.setattr(world.cloud.packages, "build", build)
        world.later(minutes=16)
        assert world.invoke("build_environment", task(world))["status"] == "ready"
        raise NoEnvironmentError("there was no time to install all packages")

    monkeypatch.setattr(world.cloud.packages, "build", slow)
    world.invoke("build_environment", task(world))
    assert record(world).status == "ready"


def test_what_cannot_be_had_is_recorded_and_tried_again_after_a_while(world: World) -> None:
    push(world)
    world.cloud.packages.problem = "scikit-learn 1.4.2 has no wheel for Python 3.13"
    refusal = {"status": "failed", "problem": world.cloud.packages.problem}
    assert world.invoke("build_environment", task(world)) == refusal
    assert world.invoke("build_environment", task(world, run_id=RUN)) == refusal
    assert (found(world).environment, found(world).problem) == (None, world.cloud.packages.problem)
    assert len(world.cloud.packages.built) == 1
    world.cloud.packages.problem = None
    world.later(minutes=11)
    assert world.invoke("build_environment", task(world))["status"] == "ready"
    assert record(world).problem is None


def test_what_building_took_is_recorded_with_attempts_that_failed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(world)
    build = world.cloud.packages.build

    def slow(*given: Any) -> PackageArchive:
        world.later(seconds=40)
        return build(*given)

    monkeypatch.setattr(world.cloud.packages, "build", slow)
    world.cloud.packages.problem = "the index does not answer"
    world.invoke("build_environment", task(world))
    world.cloud.packages.problem = None
    world.later(minutes=11)
    world.invoke("build_environment", task(world))
    architecture = environments.want(world.cloud, project(world), config.restore(project(world).config))
    assert record(world).usage == {
        "billed_s": 80.0,
        "memory_mb": 256,
        "architecture": architecture.architecture,
        "requests": 2,
    }


def test_one_job_pays_for_the_packages_however_often_it_is_started(world: World) -> None:
    push(world)
    world.invoke("build_environment", task(world))
    paid = [environments.pay(world.cloud, record(world), name) for name in ("first", "second", "first")]
    assert paid == [record(world).usage, None, record(world).usage]
    # Two that have both seen that nobody paid: one does.
    assert (
        environments.pay(world.cloud, Environment(record(world).spec, "ready", "", usage={}), "third") is None
    )


def test_another_failure_is_recorded_and_raised(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    push(world)
    monkeypatch.setattr(world.cloud.packages, "build", lambda *given: FILES["index"])
    with pytest.raises(KeyError):
        world.invoke("build_environment", task(world))
    assert found(world).problem == "building its packages failed: KeyError: 'index'"


@pytest.mark.parametrize(
    ("requirements", "problem"),
    [
        (b"-e .", "requirements.txt has '-e .', and Lambda gets wheels of a package index alone"),
        (b"./ours-1.0-py3-none-any.whl", "requirements.txt has './ours-1.0-py3-none-any.whl', and Lambda"),
        (b"git+https://host/x", "requirements.txt has 'git+https://host/x', and Lambda gets wheels"),
        (b"x @ https://host/x.tar.gz", "requirements.txt has 'x @ https://host/x.tar.gz', and Lambda"),
        (b"-r more.txt", "requirements.txt has '-r more.txt', and Lambda gets wheels"),
    ],
)
def test_what_a_requirements_txt_may_not_have_is_said_without_a_try(
    world: World, requirements: bytes, problem: str
) -> None:
    push(world, requirements)
    answer = world.invoke("build_environment", task(world))
    assert answer["problem"].startswith(problem)
    assert str(found(world).problem).startswith(problem)
    assert not world.cloud.packages.built


def test_requirements_in_utf_16_and_with_an_index_are_understood(world: World) -> None:
    push(
        world, "# ours\n--extra-index-url https://packages.example/simple\ntabulate==0.9.0\n".encode("utf-16")
    )
    pushed = project(world)
    wanted = environments.want(world.cloud, pushed, config.restore(pushed.config))
    assert wanted.requirements == [
        "--extra-index-url https://packages.example/simple",
        "tabulate==0.9.0",
    ]


def test_of_a_custom_image_and_an_unknown_framework_no_packages_are_known(world: World) -> None:
    named = 'framework: {name: scikit-learn, version: "1.4-2"}'
    push(world, pipeline=PIPELINE_YAML.replace(named, "image: registry.example/ours:1"))
    assert found(world).problem == "what the custom image holds is not known"
    world.later(minutes=1)
    push(world, pipeline=PIPELINE_YAML.replace('"1.4-2"', '"1.0-1"'))
    assert str(found(world).problem).startswith(
        "the packages of sagemaker-scikit-learn:1.0-1-cpu-py3 are not known, those of sagemaker-scikit-learn"
    )


def test_what_pip_could_not_read_and_an_image_that_no_region_has_are_no_packages(world: World) -> None:
    push(world)
    known = config.restore(project(world).config)
    asked = partial(wanting.want, known, None, python="3.12", architecture="arm64")
    with pytest.raises(NoEnvironmentError, match="cannot be read: byte 0 is no UTF-8 text"):
        asked(b"\xff\xff", region="eu-central-1")
    with pytest.raises(NoEnvironmentError, match="mars-1"):
        asked(b"", region="mars-1")


def test_a_project_whose_jobs_all_run_on_sagemaker_needs_none(world: World) -> None:
    compute = "compute: {instance_type: ml.m5.4xlarge}"
    pipeline = PIPELINE_YAML.replace("{script: src/prepare.py}", f"{{script: src/prepare.py, {compute}}}")
    pipeline = pipeline.replace("{script: src/evaluate.py}", f"{{script: src/evaluate.py, {compute}}}")
    push(world, pipeline=pipeline.replace("train:\n", f"train:\n  {compute}\n"))
    assert world.cloud.bus.announced == []
    assert world.invoke("build_environment", task(world)) == {"status": "not needed"}


def test_of_packages_that_nobody_can_build_none_are_missing_or_to_be_paid(world: World) -> None:
    named = 'framework: {name: scikit-learn, version: "1.4-2"}'
    push(world, pipeline=PIPELINE_YAML.replace(named, "image: registry.example/ours:1"))
    pushed = project(world)
    given = world.cloud, pushed, config.restore(pushed.config)
    assert not environments.are_missing(*given)
    assert environments.ahead(*given) is None


def test_packages_are_missing_until_they_are_built(world: World) -> None:
    push(world)
    pushed = project(world)
    given = world.cloud, pushed, config.restore(pushed.config)
    assert environments.are_missing(*given)
    ahead = environments.ahead(*given)
    assert ahead is not None
    assert (ahead.status, ahead.usage) == ("building", None)
    world.invoke("build_environment", task(world))
    assert not environments.are_missing(*given)


def test_what_is_written_beside_an_archive_has_no_password_of_an_index() -> None:
    lines = ["--extra-index-url https://ada:secret@packages.example/simple", "emoji==2.14.0"]
    document = Wanted("image", "", lines, "3.12", "arm64").describe("d", size_bytes=1, unpacked_bytes=1)
    assert document["requirements"] == ["--extra-index-url https://packages.example/simple", "emoji==2.14.0"]
