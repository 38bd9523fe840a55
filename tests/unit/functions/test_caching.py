"""A step that did the same before is not computed again, and nothing wrong is reused."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fakes
from build_world import FILES, PIPELINE, PIPELINE_YAML, RUN, Invoke, World
from caching_world import Caching
from sluice.catalog import keys
from sluice.domain.build import projects
from sluice.domain.roles import Role
from sluice.services.build import contents
from sluice.services.views import reuse

SECOND = "reviews-00002"
THIRD = "reviews-00003"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> Caching:
    """A pipeline with one registered model."""
    return Caching.of_registered_model(cloud, invoke)


def start(world: World, request_id: str = "r1", **given: Any) -> str:
    """Start a run by hand; its id."""
    detail = {"stack": "sluice", "pipeline": PIPELINE, "request_id": request_id, "actor": "ada", **given}
    answer = world.invoke("start_run", {"time": "2026-11-24T12:00:00Z", "detail": detail})
    return str(answer["run_id"])


def jobs_of(world: World, run_id: str) -> set[str]:
    """The steps of a run that had jobs."""
    start_ = f"sluice--{run_id}-"
    return {name.removeprefix(start_) for name in world.cloud.jobs.requests if name.startswith(start_)}


def step(world: World, run_id: str, name: str) -> dict[str, Any]:
    return world.cloud.catalog.get(keys.step_key(run_id, name)) or {}


def test_the_same_again_computes_nothing(world: Caching) -> None:
    left = {"left_behind": "ended 1 process", "log_tail": ["done"]}
    world.cloud.catalog.update(keys.step_key(RUN, "train-0"), left)
    assert world.play(start(world)) == "registered"
    assert jobs_of(world, SECOND) == set()
    for name in ("prepare", "train-0", "train-1", "evaluate-candidate"):
        reused, source = step(world, SECOND, name), step(world, RUN, name)
        assert reused["cached"] == {"run_id": RUN, "step": name, "job_name": source["job_name"]}
        assert reused["cache_key"] == source["cache_key"]
        assert (reused["status"], reused["outputs"]) == ("Completed", source["outputs"])
        assert "job_name" not in reused
        assert not {"usage", "role", *left} & set(reused)
    assert world.events().count("prepare reused") == 1


def test_a_model_that_was_reused_is_registered_with_what_made_it(world: Caching) -> None:
    assert world.play(start(world)) == "registered"
    manifest = json.loads(world.cloud.objects.read(world.catalog_run(SECOND)["manifest_uri"]))
    first = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))
    artifacts = {each["name"]: each for each in manifest["artifacts"]}
    formers = {each["name"]: each for each in first["artifacts"]}
    assert artifacts["model"]["sha256"] == formers["model"]["sha256"]
    assert (artifacts["model"]["step"], artifacts["model"]["run_id"]) == ("train-1", RUN)
    assert artifacts["evaluation"]["run_id"] == RUN
    assert formers["model"].get("run_id") is None
    steps = {each["step"]: each for each in manifest["steps"]}
    assert steps["train-1"]["cached"]["run_id"] == RUN
    assert steps["gates"]["status"] == "Completed"


def test_with_another_hyperparameter_prepare_is_reused_and_training_is_not(world: Caching) -> None:
    run_id = start(world, overrides={"train.hyperparameters.alpha": 0.3})
    assert world.play(run_id) == "registered"
    assert jobs_of(world, SECOND) == {"train-0", "evaluate-candidate"}
    request = world.cloud.jobs.requests[f"sluice--{SECOND}-train-0"]
    assert f"/{RUN}/prepare/train/" in json.dumps(request["InputDataConfig"])
    assert step(world, SECOND, "train-0")["cache_key"] != step(world, RUN, "train-0")["cache_key"]


def test_a_candidate_is_found_whatever_its_number(world: Caching) -> None:
    run_id = start(world, overrides={"train.candidates.space.alpha": [0.3, 0.2, 0.1]})
    assert world.play(run_id) == "registered"
    assert {"train-0"} <= jobs_of(world, SECOND) <= {"train-0", "evaluate-candidate"}
    assert step(world, SECOND, "train-2")["cached"]["step"] == "train-0"
    assert step(world, SECOND, "train-2")["detail"] == {"alpha": "0.1"}


def test_other_data_reuse_nothing(world: Caching) -> None:
    world.prepared = "2"
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert jobs_of(world, SECOND) == {"prepare", "train-0", "train-1", "evaluate-candidate"}


def test_where_prepare_leads_to_the_same_the_models_are_reused(world: Caching) -> None:
    """Its inputs count by content: other data or code may prepare the same."""
    world.push(prepare=b"print('prepare')  # as before\n")
    world.ask()
    assert world.play(SECOND) == "registered"
    assert jobs_of(world, SECOND) == {"prepare"}


def test_a_script_that_others_do_not_read_changes_its_own_step_alone(world: Caching) -> None:
    world.push(train=b"print('another')\n")
    world.ask()
    assert world.play(SECOND) == "registered"
    # The trainer is deterministic here, so the candidate is the one that was evaluated.
    assert jobs_of(world, SECOND) == {"train-0", "train-1"}


def test_a_script_that_is_imported_changes_the_steps_that_import_it(world: Caching) -> None:
    world.push(train=b"print('another')\n", prepare=b"import train\n")
    world.ask()
    world.prepared = "2"
    assert world.play(SECOND) == "registered"
    assert jobs_of(world, SECOND) == {"prepare", "train-0", "train-1", "evaluate-candidate"}


def test_no_cache_computes_all_anew_and_is_found_later(world: Caching) -> None:
    assert world.play(start(world, is_uncached=True)) == "registered"
    assert jobs_of(world, SECOND) == {"prepare", "train-0", "train-1", "evaluate-candidate"}
    assert step(world, SECOND, "prepare")["cache_miss"] == "the run was started with --no-cache"
    assert world.play(start(world, "r2")) == "registered"
    assert step(world, THIRD, "prepare")["cached"]["run_id"] == SECOND


def test_a_step_whose_cache_is_off_is_computed_each_time(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = Caching(cloud, invoke)
    off = "train:\n  cache: false"
    world.push(pipeline=PIPELINE_YAML.replace("train:", off, 1).encode())
    assert world.build("a.csv") == "registered"
    assert world.play(start(world)) == "registered"
    assert jobs_of(world, SECOND) == {"train-0", "train-1"}
    assert step(world, SECOND, "train-0")["cache_miss"] == "train.cache is false"


def test_what_is_older_than_it_may_be_is_computed_anew(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = Caching(cloud, invoke)
    aged = "prepare: {cache: {max_age_s: 3600}, "
    world.push(pipeline=PIPELINE_YAML.replace("prepare: {", aged, 1).encode())
    assert world.build("a.csv") == "registered"
    assert world.play(start(world)) == "registered"
    assert "prepare" not in jobs_of(world, SECOND)
    world.later(hours=2)
    assert world.play(start(world, "r2")) == "registered"
    assert jobs_of(world, THIRD) == {"prepare"}
    assert "is older than max_age_s, 3600 s" in step(world, THIRD, "prepare")["cache_miss"]


def test_a_reproduction_uses_nothing_of_what_it_is_compared_with(world: Caching) -> None:
    run_id = start(world, reproduces=RUN, is_uncached=True)
    world.play(run_id)
    assert {"prepare", "train-0", "evaluate-candidate"} <= jobs_of(world, SECOND)
    assert explained(world, SECOND)["prepare"]["why"] == f"a reproduction of {RUN} computes everything anew"


# ------------------------------------------------------------------------------------ nothing wrong is reused


def written(world: World, name: str) -> list[str]:
    """The keys that a step of the first run wrote."""
    folder = {"prepare": "prepare/train/", "train-1": "train/", "evaluate-candidate": "evaluate/candidate/"}
    prefix = f"runs/{PIPELINE}/{RUN}/{folder[name]}"
    return [key for key in world.cloud.objects.buckets[fakes.ARTIFACT_BUCKET] if key.startswith(prefix)]


@pytest.mark.parametrize("name", ["prepare", "train-1", "evaluate-candidate"])
def test_outputs_that_are_gone_or_changed_are_computed_anew(world: Caching, name: str) -> None:
    for key in written(world, name):
        world.cloud.objects.write(f"s3://{fakes.ARTIFACT_BUCKET}/{key}", projects.pack({"model": b"forged"}))
    assert world.play(start(world)) == "registered"
    assert name in jobs_of(world, SECOND)
    assert f"of {name} of {RUN} has changed since" in step(world, SECOND, name)["cache_miss"]
    for key in [*written(world, name)]:
        world.cloud.objects.delete(f"s3://{fakes.ARTIFACT_BUCKET}/{key}")
    catalog = world.cloud.catalog
    key = step(world, RUN, name)["cache_key"]
    catalog.update(keys.cache_key(PIPELINE, key), {"run_id": RUN, "step": name})
    assert world.play(start(world, "r2")) == "registered"
    assert f"of {name} of {RUN} is gone" in step(world, THIRD, name)["cache_miss"]


def test_an_object_more_is_another_output(world: Caching) -> None:
    uri = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}/prepare/train/more.csv"
    world.cloud.objects.write(uri, b"more")
    assert world.play(start(world)) == "registered"
    assert "prepare" in jobs_of(world, SECOND)


def test_a_step_that_is_gone_from_the_catalog_is_computed_anew(world: Caching) -> None:
    key = keys.step_key(RUN, "prepare")
    del world.cloud.catalog.items[key["pk"], key["sk"]]
    assert world.play(start(world)) == "registered"
    assert "prepare" in jobs_of(world, SECOND)
    assert step(world, SECOND, "prepare")["cache_miss"] == f"prepare of {RUN} is gone"


def test_a_folder_of_too_many_objects_has_no_digest_and_a_large_one_that_of_etags(
    world: Caching, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = world.step("prepare")["outputs"]["train"]
    known = contents.digest(world.cloud, uri)
    monkeypatch.setattr(contents, "READ_MAX_BYTES", 1)
    read, by_etag = world.cloud.objects.read_bytes, contents.digest(world.cloud, uri)
    assert world.cloud.objects.read_bytes == read
    assert None not in (known, by_etag)
    assert known != by_etag
    world.cloud.objects.write(f"{uri.rstrip('/')}/data.csv", b"other")
    assert contents.digest(world.cloud, uri) != by_etag
    monkeypatch.setattr(contents, "OBJECTS_MAX", 0)
    assert contents.digest(world.cloud, uri) is None


def test_what_a_run_of_copies_prepared_is_used_by_another_one_of_them(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = _Overwritten(cloud, invoke)
    world.push()
    assert world.build("a.csv") == "failed"
    version = world.catalog_run()["dataset_version"]
    assert world.play(start(world, dataset_version=version)) == "registered"
    select = keys.step_key(SECOND, "select")
    cloud.catalog.items.pop((select["pk"], select["sk"]), None)
    assert world.play(start(world, "r2", dataset_version=version)) == "registered"
    assert "prepare" not in jobs_of(world, THIRD)


@pytest.mark.parametrize("failing", ["prepare", "train-0", "evaluate-candidate"])
def test_a_step_that_failed_is_never_reused(cloud: fakes.Cloud, invoke: Invoke, failing: str) -> None:
    world = Caching(cloud, invoke, failing={failing})
    world.push()
    world.build("a.csv")
    world.failing = set()
    world.play(start(world))
    assert failing in jobs_of(world, SECOND)


def test_a_job_that_wrote_nothing_is_never_reused(cloud: fakes.Cloud, invoke: Invoke) -> None:
    class Empty(Caching):
        def _write_outputs(self, step: str, run_id: str) -> None:
            if step != "train-0":
                super()._write_outputs(step, run_id)

    world = Empty(cloud, invoke)
    world.push()
    assert world.build("a.csv") == "registered"
    assert world.play(start(world)) == "registered"
    assert jobs_of(world, SECOND) == {"train-0"}


def test_of_unknown_scripts_nothing_is_reused(world: Caching) -> None:
    """A project of an older stack names neither its files nor their archive's digest."""
    version = world.pipeline["project_version"]
    unknown = {"code_files": None, "sourcedir_sha256": None}
    world.cloud.catalog.update(keys.project_key(PIPELINE, version), unknown)
    assert world.play(start(world)) == "registered"
    assert "prepare" in jobs_of(world, SECOND)
    assert "are not known" in step(world, SECOND, "prepare")["cache_miss"]


def test_a_project_of_many_files_counts_as_a_whole(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = Caching(cloud, invoke)
    many = {f"src/lib/{'x' * 80}{number}.py": b"" for number in range(90)}
    FILES.update(many)
    try:
        world.push()
    finally:
        for path in many:
            del FILES[path]
    assert world.build("a.csv") == "registered"
    assert world.play(start(world)) == "registered"
    assert jobs_of(world, SECOND) == set()
    assert step(world, SECOND, "prepare")["cache_parts"]["code.*"]


def test_a_champion_is_scored_by_its_evaluation_as_a_candidate(world: Caching) -> None:
    world.release()
    assert world.play(start(world)) == "registered"
    assert jobs_of(world, SECOND) == set()
    used = {"run_id": RUN, "step": "evaluate-candidate"}
    assert step(world, SECOND, "evaluate-champion")["cached"].items() >= used.items()
    told = {each["step"]: each for each in reuse.explain(world.cloud, PIPELINE, SECOND)}
    assert told["evaluate-champion"]["outcome"] == "cached"
    assert told["evaluate-champion"]["from"].items() >= used.items()


@pytest.mark.parametrize("changed", ["archive", "hold-out"])
def test_a_champion_is_scored_anew_by_another_archive_or_hold_out(world: Caching, changed: str) -> None:
    world.release()
    if changed == "archive":
        (uri,) = [
            f"s3://{fakes.ARTIFACT_BUCKET}/{key}"
            for key in world.cloud.objects.buckets[fakes.ARTIFACT_BUCKET]
            if key.startswith("models/") and key.endswith("model.tar.gz")
        ]
        world.cloud.objects.write(uri, world.cloud.objects.read(uri) + b" ")
    else:
        world.prepared = "2"
        world.upload("b.csv")
    assert world.play(start(world, overrides={"train.hyperparameters.alpha": 0.3})) == "registered"
    assert "evaluate-champion" in jobs_of(world, SECOND)
    told = {each["step"]: each for each in reuse.explain(world.cloud, PIPELINE, SECOND)}
    (differs,) = told["evaluate-champion"]["differences"]
    assert differs["part"] == ("input.model" if changed == "archive" else "input.test")


def test_gates_are_judged_anew_against_the_champion_of_now(world: Caching) -> None:
    world.release()
    other = {"train.hyperparameters.alpha": 0.3}
    world.accuracies["evaluate-candidate"] = 0.8
    assert world.play(start(world, overrides=other)) == "rejected"
    assert "evaluate-candidate" in jobs_of(world, SECOND)
    assert "evaluate-champion" not in jobs_of(world, SECOND)
    assert world.play(start(world, "r2", overrides=other)) == "rejected"
    assert jobs_of(world, THIRD) == set()
    assert step(world, THIRD, "gates")["detail"]
    assert "cached" not in step(world, THIRD, "gates")


def test_the_run_gets_its_role_from_whichever_job_comes_first(
    world: Caching, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list(world.cloud.roles.by_name)
    run_id = start(world, overrides={"train.hyperparameters.alpha": 0.3})
    made: list[str] = []
    ensure = world.cloud.roles.ensure

    def noted(role: Role) -> str:
        made.append(role.name)
        return ensure(role)

    monkeypatch.setattr(world.cloud.roles, "ensure", noted)
    assert world.play(run_id) == "registered"
    assert made
    assert all(name.startswith(SECOND) for name in made)
    assert list(world.cloud.roles.by_name) == names


def test_an_attempt_that_died_before_its_answer_answers_when_it_is_tried_again(
    world: Caching, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start(world)
    world.prepare_run(run_id)
    succeed = world.cloud.workflows.succeed

    def dead(*given: Any) -> bool:
        raise RuntimeError

    monkeypatch.setattr(world.cloud.workflows, "succeed", dead)
    with pytest.raises(RuntimeError):
        world.start("prepare", run_id)
    monkeypatch.setattr(world.cloud.workflows, "succeed", succeed)
    assert world.answer(world.start("prepare", run_id))["status"] == "Completed"
    assert jobs_of(world, run_id) == set()


def test_a_job_that_was_started_goes_on_though_the_same_completed_meanwhile(world: Caching) -> None:
    run_id = start(world, is_uncached=True)
    world.prepare_run(run_id)
    world.start("prepare", run_id)
    world.cloud.catalog.update(keys.run_key(PIPELINE, run_id), {"is_uncached": None})
    world.start("prepare", run_id)
    assert jobs_of(world, run_id) == {"prepare"}
    assert step(world, run_id, "prepare")["status"] == "InProgress"


# ----------------------------------------------------------------------------------------------- explanations


def explained(world: World, run_id: str) -> dict[str, dict[str, Any]]:
    return {each["step"]: each for each in reuse.explain(world.cloud, PIPELINE, run_id)}


def test_of_every_miss_it_is_said_which_input_changed(world: Caching) -> None:
    given = {"train.hyperparameters.alpha": 0.3, "prepare.compute.environment": {"A": "1"}}
    run_id = start(world, overrides=given)
    assert world.play(run_id) == "registered"
    told = explained(world, run_id)
    assert told["prepare"]["differences"] == [{"part": "environment.A", "before": None, "now": "1"}]
    assert told["prepare"]["compared_with"] == {"run_id": RUN, "step": "prepare"}
    assert told["train-0"]["differences"] == [{"part": "hyperparameter.alpha", "before": "0.1", "now": "0.3"}]
    (changed,) = told["evaluate-candidate"]["differences"]
    assert changed["part"] == "input.model"
    assert changed["before"] != changed["now"]


def test_new_data_and_changed_scripts_are_named(world: Caching) -> None:
    world.push(train=b"print('another')\n")
    world.prepared = "2"
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    told = explained(world, SECOND)
    (changed,) = told["prepare"]["differences"]
    assert changed["part"] == "input.data"
    assert changed["now"] == f"data set {world.catalog_run(SECOND)['dataset_version']}"
    parts = [each["part"] for each in told["train-1"]["differences"]]
    assert parts == ["code.train.py", "input.train", "input.validation"]


def test_what_was_reused_names_its_source(world: Caching) -> None:
    world.play(start(world))
    told = explained(world, SECOND)
    assert told["train-1"]["outcome"] == "cached"
    assert told["train-1"]["from"]["run_id"] == RUN
    assert list(told) == ["prepare", "train-0", "train-1", "evaluate-candidate"]


def test_the_first_run_has_nothing_to_be_compared_with(world: Caching) -> None:
    assert explained(world, RUN)["prepare"]["why"] == "no step of its kind completed in the runs before"


def test_another_reason_than_an_input_is_told(world: Caching) -> None:
    world.play(start(world, is_uncached=True))
    assert explained(world, SECOND)["prepare"]["why"] == "the run was started with --no-cache"


# ---------------------------------------------------------------------------------------------------- retries


def test_a_retry_goes_on_from_the_first_step_that_failed(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = Caching(cloud, invoke, failing={"evaluate-candidate"})
    world.push()
    assert world.build("a.csv") == "failed"
    world.failing = set()
    run_id = start(world, retry_of=RUN)
    assert world.play(run_id) == "registered"
    assert jobs_of(world, SECOND) == {"evaluate-candidate"}
    run = world.catalog_run(SECOND)
    assert (run["cause"], run["retry_of"]) == (f"retry of {RUN}", RUN)
    assert set(world.arrivals().values()) == {"included"}
    assert world.arrival("reviews/a.csv")["taken_up_by"] == SECOND


def test_a_retry_uses_what_was_done_even_where_the_cache_is_off(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = Caching(cloud, invoke, failing={"evaluate-candidate"})
    off = PIPELINE_YAML.replace("prepare: {", "prepare: {cache: false, ").replace(
        "train:", "train:\n  cache: false", 1
    )
    world.push(pipeline=off.encode())
    assert world.build("a.csv") == "failed"
    world.play(start(world, retry_of=RUN))
    assert jobs_of(world, SECOND) == {"evaluate-candidate"}
    world.failing = set()
    assert world.play(start(world, "r2", retry_of=SECOND)) == "registered"
    assert jobs_of(world, THIRD) == {"evaluate-candidate"}
    assert step(world, THIRD, "prepare")["cached"]["run_id"] == RUN


def test_a_retry_keeps_the_values_and_the_data_of_its_run(world: Caching) -> None:
    world.failing = {"evaluate-candidate"}
    given = {"train.hyperparameters.alpha": 0.3}
    assert world.play(start(world, overrides=given)) == "failed"
    world.upload("b.csv", b"x,y\n3,1\n")
    world.failing = set()
    assert world.play(start(world, "r2", retry_of=SECOND)) == "registered"
    run = world.catalog_run(THIRD)
    assert (run["overrides"], run["dataset_version"]) == (given, world.catalog_run()["dataset_version"])
    assert world.arrivals()["reviews/b.csv#v1"] == "pending"


def test_a_retry_is_refused_once_outputs_are_gone(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = Caching(cloud, invoke, failing={"evaluate-candidate"})
    world.push()
    assert world.build("a.csv") == "failed"
    for key in written(world, "prepare"):
        world.cloud.objects.delete(f"s3://{fakes.ARTIFACT_BUCKET}/{key}")
    with pytest.raises(KeyError):
        start(world, retry_of=RUN)
    answer = world.cloud.catalog.get(keys.request_key(PIPELINE, "r1")) or {}
    assert answer["reasons"] == [
        f"the output train of prepare of {RUN} is gone: `sluice start reviews` computes it anew"
    ]
    assert start(world, "r2", retry_of=RUN, is_uncached=True) == SECOND


def test_a_retry_of_a_run_whose_data_were_not_judged_gathers_them_anew(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = Caching(cloud, invoke)
    world.push()
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    world.finish("failed", reasons=["no reason"])
    world.upload("b.csv", b"x,y\n3,1\n")
    assert world.play(start(world, retry_of=RUN)) == "registered"
    assert len(world.objects_of(SECOND)) == 2


def test_markers_that_a_failed_run_saw_are_settled_by_its_retry(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = Caching(cloud, invoke, failing={"evaluate-candidate"})
    world.push(pipeline=PIPELINE_YAML.replace("quiet_period_s: 60", "marker: _SUCCESS").encode())
    world.upload("a/1.csv")
    world.upload("a/_SUCCESS", b"")
    world.later(seconds=2)
    world.ask()
    assert world.play() == "failed"
    world.upload("b/2.csv", b"x,y\n3,1\n")
    world.upload("b/_SUCCESS", b"")
    world.failing = set()
    assert world.play(start(world, retry_of=RUN)) == "registered"
    assert len(world.objects_of(SECOND)) == 1
    world.later(seconds=2)
    world.ask()
    assert world.play(THIRD) == "registered"
    assert len(world.objects_of(THIRD)) == 2
    world.ask()
    assert world.pipeline.get("in_flight") is None
    assert {world.arrival(f"reviews/{name}/_SUCCESS")["status"] for name in "ab"} == {"control"}
    waiting = world.cloud.catalog.query(keys.partition(PIPELINE), keys.WAITING)
    assert waiting == []


def test_a_version_that_is_put_together_again_was_prepared_already(world: Caching) -> None:
    world.upload("a.csv", b"x,y\n9,1\n")
    version = world.catalog_run()["dataset_version"]
    assert world.play(start(world, dataset_version=version)) == "registered"
    assert world.catalog_run(SECOND)["restored_uri"]
    assert jobs_of(world, SECOND) == set()


class _Overwritten(Caching):
    """A pipeline whose object is overwritten just before its first run reads it."""

    def _write_outputs(self, step: str, run_id: str) -> None:
        if (step, run_id) == ("prepare", RUN):
            self.upload("a.csv", b"x,y\n9,1\n")
            self.prepared = "overwritten"
        super()._write_outputs(step, run_id)
        self.prepared = "1"


def test_what_was_prepared_of_changed_objects_is_not_what_the_version_leads_to(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = _Overwritten(cloud, invoke)
    world.push()
    assert world.build("a.csv") == "failed"
    assert "changed while the run read them" in world.catalog_run()["reasons"][0]
    version = world.catalog_run()["dataset_version"]
    assert world.play(start(world, dataset_version=version)) == "registered"
    assert world.catalog_run(SECOND)["restored_uri"]
    assert "prepare" in jobs_of(world, SECOND)
    assert step(world, SECOND, "prepare")["cache_miss"].endswith("may have read objects that had changed")


def test_a_retry_is_refused_once_its_data_changed(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = Caching(cloud, invoke, failing={"evaluate-candidate"})
    world.push()
    assert world.build("a.csv") == "failed"
    world.upload("a.csv", b"x,y\n9,1\n")
    with pytest.raises(KeyError):
        start(world, retry_of=RUN)
    answer = world.cloud.catalog.get(keys.request_key(PIPELINE, "r1")) or {}
    assert "1 object changed since the data set version" in answer["reasons"][0]
