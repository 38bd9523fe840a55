"""What is uploaded below batch/ is scored once by the model that is live, whatever becomes of events."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

import fakes
from batch_world import BATCH, BatchWorld
from release_world import ENDPOINT, PIPELINE, PIPELINE_YAML
from sluice.catalog import keys
from sluice.domain.quotas import QuotaError
from sluice.ports import RequestRefusedError, SageMakerJobKind
from sluice.services.release import transforming


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> BatchWorld:
    return BatchWorld(cloud, invoke)


@pytest.fixture
def live(world: BatchWorld) -> BatchWorld:
    world.approve(world.register(1))
    return world


# ------------------------------------------------------------------------------------------- releases


def test_a_release_proves_its_model_on_the_sample_and_makes_no_endpoint(world: BatchWorld) -> None:
    release_id = world.approve(world.register(1))
    assert world.release(release_id)["status"] == "released"
    assert not world.cloud.endpoints.by_name
    assert not world.cloud.endpoints.configs
    (request,) = world.cloud.jobs.requests.values()
    assert request["ModelName"] == f"sluice--{release_id}"
    place = request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    assert world.cloud.objects.read(f"{place}sample") == b'["good"]'
    assert ("promoted", "each transform uses v1") in world.timeline()
    assert not world.cloud.alarms.by_name, "no endpoint is there to guard"
    assert world.live_version() == 1


@pytest.mark.parametrize(
    ("answer", "proof", "why"),
    [
        (b"", "Completed", "SmokeTestFailedError"),
        (b"great\n", "Failed", "TransformFailedError"),
        (b"great\n", "Stopped", "TransformFailedError"),
    ],
)
def test_a_model_that_cannot_answer_the_sample_is_not_released_and_the_one_before_scores_on(
    live: BatchWorld, answer: bytes, proof: str, why: str
) -> None:
    live.later(hours=1)
    live.sample_answer, live.proof = answer, proof
    failed = live.release(live.approve(live.register(2)))
    assert failed["status"] == "failed"
    assert failed["reasons"][0].startswith(why)
    assert "endpoint" not in failed["reasons"][0], "nothing was changed that would have to be put back"
    live.upload("a.csv")
    assert live.transform(1)["package_version"] == 1


def test_a_proof_that_wrote_no_answer_proves_nothing(
    world: BatchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "write_output", lambda *_: None)
    release_id = world.approve(world.register(1))
    assert world.release(release_id)["status"] != "released"
    assert "wrote no answer to the sample" in str(world.release(release_id)["reasons"])
    assert world.live_version() is None


def test_a_proof_that_ended_before_a_second_attempt_awaited_it_answers_that_one(world: BatchWorld) -> None:
    _, task = world.plan(world.register(1))
    world.invoke("deploy_model", {**task, "task_token": "first"})
    (job,) = world.running()
    world.cloud.jobs.end(job)
    world.invoke("deploy_model", {**task, "task_token": "second"})
    _, detail, _ = world.cloud.bus.entries[-1]
    assert world.invoke("transform_batch", {"detail": detail}) == {"status": "answered"}
    assert [token for token, _ in world.cloud.workflows.answers] == ["second"]


def test_a_model_that_was_changed_by_hand_while_it_was_proved_is_not_released(
    world: BatchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_output = world.write_output

    def changed(job: str, name: str, data: bytes) -> None:
        write_output(job, name, data)
        for model in world.cloud.endpoints.models.values():
            model["PrimaryContainer"] = {**model["PrimaryContainer"], "Image": "another"}

    monkeypatch.setattr(world, "write_output", changed)
    release = world.release(world.approve(world.register(1)))
    assert release["status"] == "failed"
    assert "the model's image is another, not" in release["reasons"][0]
    assert world.live_version() is None


def test_a_machine_that_would_put_an_endpoint_back_does_not_pass(live: BatchWorld) -> None:
    """The broken copy of the state machine without the choice."""
    choices = live.definition["States"]["ReleaseStages"]["ItemProcessor"]["States"]["IsPreviousConfigKnown"]
    live.definition = copy.deepcopy(live.definition)
    states = live.definition["States"]["ReleaseStages"]["ItemProcessor"]["States"]
    states["IsPreviousConfigKnown"]["Choices"] = choices["Choices"][1:]
    live.sample_answer = b""
    live.later(hours=1)
    failed = live.release(live.approve(live.register(2)))
    assert "endpoint served nothing before" in failed["reasons"][0]


def test_a_rollback_is_what_the_next_transform_uses(live: BatchWorld) -> None:
    live.later(hours=1)
    second = live.register(2)
    live.approve(second)
    live.later(hours=1)
    live.decide(second, "Rejected")
    live.tell_decision(second, "Rejected")
    live.run_all()
    live.upload("a.csv")
    assert live.transform(1)["package_version"] == 1


@pytest.mark.parametrize(("first", "second"), [(PIPELINE_YAML, BATCH), (BATCH, PIPELINE_YAML)])
def test_a_stage_does_not_go_from_an_endpoint_to_batches_or_back(
    world: BatchWorld, first: str, second: str
) -> None:
    world.push(first)
    world.settle = fakes.FakeEndpoints.settle
    if first == PIPELINE_YAML:
        world._change_endpoint = lambda: super(BatchWorld, world)._change_endpoint()  # type: ignore[method-assign]
    world.approve(world.register(1))
    assert world.live_version() == 1
    world.later(hours=1)
    world.push(second)
    refused = world.release(world.approve(world.register(2)))
    assert refused["status"] == "refused"
    assert f"`sluice retire {PIPELINE} --stage production` first" in refused["reasons"][0]


def test_a_model_that_was_deleted_by_hand_is_told(live: BatchWorld) -> None:
    live.cloud.endpoints.models.clear()
    live.reconcile()
    hints = [
        detail for name, detail, _ in live.cloud.bus.entries if name == "SageMaker Endpoint State Change"
    ]
    assert [each["EndpointName"] for each in hints] == [ENDPOINT]
    live.invoke("verify_endpoint", {"detail": hints[0]})
    (told,) = (detail for name, detail in live.cloud.bus.announced if name == "EndpointDeviated")
    assert "no transform can use it" in told["reasons"][0]


# -------------------------------------------------------------------------------------------- transforms


def test_an_upload_is_scored_by_the_live_model_and_its_result_recorded(live: BatchWorld) -> None:
    event = live.upload("day/a.csv")
    request = live.cloud.jobs.requests[live.job(1)]
    listed = request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    assert json.loads(live.cloud.objects.read(listed)) == [
        {"prefix": f"s3://{fakes.DATA_BUCKET}/batch/{PIPELINE}/"},
        "day/a.csv",
    ]
    live.score(live.job(1), ("day/a.csv", b"great\npoor\n"))
    ended, scored = live.transform(1), live.input(event)
    assert (ended["status"], ended["rows"], ended["package_version"]) == ("completed", 2, 1)
    assert ended["usage"]["billed_s"] == 300.0
    assert ended["cost_usd"] == pytest.approx(0.115 / 12, rel=0.1)
    assert (scored["status"], scored["rows"]) == ("scored", 2)
    assert live.cloud.objects.read(scored["result_uri"]) == b"great\npoor\n"
    assert live.told()[0]["output_uri"] == ended["output_uri"]


def test_events_told_again_and_late_score_nothing_twice(live: BatchWorld) -> None:
    event = live.upload("a.csv")
    live.invoke("transform_batch", event)
    live.score(live.job(1), ("a.csv", b"great\npoor\n"))
    for _ in range(2):
        live.tell(live.job(1))
        live.invoke("transform_batch", event)
        live.invoke("transform_batch", {"detail": {"pipeline": PIPELINE}})
    assert len(live.transforms()) == 1
    assert len(live.told()) == 1
    assert live.events().count("transform completed") == 1


def test_what_arrives_while_one_runs_is_taken_together_by_the_next(live: BatchWorld) -> None:
    live.upload("a.csv")
    for name in "bcd":
        live.upload(f"{name}.csv")
    assert len(live.transforms()) == 1
    live.score(live.job(1), ("a.csv", b"1\n2\n"))
    assert [each["key"][-5:] for each in live.transform(2)["inputs"]] == ["b.csv", "c.csv", "d.csv"]


def test_of_two_that_begin_at_once_one_takes_what_waits(
    live: BatchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, others = transforming._planned, list[str]()

    def meanwhile(*given: Any) -> Any:
        if not others:
            others.append("")
            others[0] = transforming.begin(live.cloud, PIPELINE)
        return planned(*given)

    live.upload("a.csv", is_told=False)
    head = live.cloud.objects.head(fakes.DATA_BUCKET, f"batch/{PIPELINE}/a.csv")
    assert head is not None
    transforming.take(live.cloud, PIPELINE, head)
    monkeypatch.setattr(transforming, "_planned", meanwhile)
    assert transforming.begin(live.cloud, PIPELINE) == "another took it"
    assert others == [f"{PIPELINE}-batch-00001"]
    assert len(live.transforms()) == 1


def test_a_schedule_lets_uploads_wait_until_it_is_due(world: BatchWorld) -> None:
    world.push(BATCH.replace("batch: {}", "batch: {every_s: 3600}"))
    world.approve(world.register(1))
    world.upload("a.csv")
    world.score(world.job(1), ("a.csv", b"1\n2\n"))
    world.upload("b.csv")
    world.later(minutes=50)
    world.reconcile()
    assert len(world.transforms()) == 1
    world.later(minutes=10)
    hear_hints(world)
    assert world.transform(2)["inputs"][0]["key"] == f"batch/{PIPELINE}/b.csv"


def hear_hints(world: BatchWorld) -> list[str]:
    """A pass of reconcile, whose hints for batches are delivered."""
    world.cloud.bus.entries.clear()
    world.invoke("reconcile", {})
    found = []
    for name, detail, _ in [*world.cloud.bus.entries]:
        is_upload = name == "Object Created" and detail["object"]["key"].startswith("batch/")
        if is_upload or name in ("BatchDue", "SageMaker Transform Job State Change"):
            world.invoke("transform_batch", {"detail": detail})
            found.append(name)
    return found


def test_reconcile_finds_what_events_lost(live: BatchWorld) -> None:
    live.upload("a.csv", is_told=False)
    hear_hints(live)
    live.write_output(live.job(1), "a.csv", b"great\npoor\n")
    live.cloud.jobs.end(live.job(1))
    hear_hints(live)
    assert live.transform(1)["status"] == "completed"
    assert hear_hints(live) == []


def test_uploads_before_the_first_release_wait_for_it(world: BatchWorld) -> None:
    world.upload("a.csv")
    assert world.transforms() == []
    world.approve(world.register(1))
    hear_hints(world)
    assert world.transform(1)["package_version"] == 1


def test_one_bad_file_does_not_cost_the_others_their_results(live: BatchWorld) -> None:
    live.upload("first.csv")
    bad, good = live.upload("bad.csv"), live.upload("good.csv")
    live.score(live.job(1), ("first.csv", b"1\n2\n"))
    live.end(live.job(2), "Failed", FailureReason="ClientError: 400: no number")
    live.end(live.job(3), "Failed", FailureReason="ClientError: 400: no number")
    live.score(live.job(4), ("good.csv", b"1\n2\n"))
    assert live.input(bad)["status"] == "failed"
    assert "no number" in live.input(bad)["reason"]
    assert live.input(good)["status"] == "scored"
    assert len(live.transforms()) == 4, "what failed alone is not tried again by itself"
    told = [each for each in live.told() if each["status"] == "failed"]
    assert [(each["is_split"], each["key"]) for each in told] == [
        (True, None),
        (False, f"batch/{PIPELINE}/bad.csv"),
    ]


def test_a_person_has_an_input_scored_by_another_model_and_not_again_by_the_same(live: BatchWorld) -> None:
    event = live.upload("a.csv")
    live.score(live.job(1), ("a.csv", b"1\n2\n"))
    ask(live, event, "first")
    assert len(live.transforms()) == 1
    live.later(hours=1)
    live.approve(live.register(2))
    ask(live, event, "second")
    assert live.transform(2)["package_version"] == 2


def test_a_request_that_is_delivered_again_tries_a_bad_file_once(live: BatchWorld) -> None:
    event = live.upload("a.csv")
    live.end(live.job(1), "Failed", FailureReason="ClientError: 400")
    for _ in range(3):
        ask(live, event, "first")
    live.end(live.job(2), "Failed", FailureReason="ClientError: 400")
    ask(live, event, "first")
    assert len(live.transforms()) == 2


def ask(world: BatchWorld, event: dict[str, Any], request_id: str) -> None:
    """A person's request, as `sluice batch run` puts it on the bus."""
    given = event["detail"]["object"]
    what = {"pipeline": PIPELINE, "key": given["key"], "version_id": given["version-id"]}
    detail = {**what, "request_id": request_id, "actor": "anna"}
    world.invoke("transform_batch", {"time": world.cloud.now.at, "detail": detail})


def test_an_empty_file_is_refused_and_never_sent(live: BatchWorld) -> None:
    event = live.upload("empty.csv", b"")
    assert live.input(event)["status"] == "refused"
    assert live.transforms() == []


@pytest.fixture
def checked(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> BatchWorld:
    """A world whose models read one number a row."""
    schema = BATCH.replace("schema: {y: {type: integer}}", "schema: {y: {type: integer}, x: {type: number}}")
    made = BatchWorld(cloud, invoke, pipeline_yaml=schema)
    made.approve(made.register(1))
    return made


def set_aside(world: BatchWorld) -> list[tuple[str, str]]:
    items = world.cloud.catalog.query(keys.partition(PIPELINE), keys.SET_ASIDE)
    return [(item["key"].rpartition("/")[2], item["reason"]) for item in items]


def test_a_file_of_another_schema_is_set_aside_before_its_transform_and_told(checked: BatchWorld) -> None:
    bad = checked.upload("bad.csv", b"good\n")
    assert checked.transforms() == []
    assert checked.input(bad)["status"] == "refused"
    assert set_aside(checked) == [("bad.csv", "row 1: x is 'good', and no number")]
    (told,) = [detail for name, detail in checked.cloud.bus.announced if name == "BatchRefused"]
    assert (told["key"], told["reasons"]) == (f"batch/{PIPELINE}/bad.csv", [set_aside(checked)[0][1]])
    checked.upload("good.csv", b"1\n2\n")
    assert [each["key"] for each in checked.transform(1)["inputs"]] == [f"batch/{PIPELINE}/good.csv"]


def test_a_file_that_was_deleted_before_it_was_scored_is_set_aside(checked: BatchWorld) -> None:
    checked.upload("first.csv", b"1\n")
    gone = checked.upload("gone.csv", b"2\n")
    checked.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/batch/{PIPELINE}/gone.csv")
    checked.score(checked.job(1), ("first.csv", b"1\n"))
    assert checked.input(gone)["status"] == "refused"
    assert set_aside(checked) == [("gone.csv", "it was deleted before it was scored")]
    assert len(checked.transforms()) == 1


def test_what_waits_behind_files_that_are_set_aside_is_scored_at_once(checked: BatchWorld) -> None:
    checked.upload("first.csv", b"1\n")
    checked.upload("bad.csv", b"good\n")
    checked.upload("good.csv", b"2\n")
    checked.score(checked.job(1), ("first.csv", b"1\n"))
    assert [each["key"] for each in checked.transform(2)["inputs"]] == [f"batch/{PIPELINE}/good.csv"]
    assert [name for name, _ in set_aside(checked)] == ["bad.csv"]


def test_a_person_has_a_file_that_was_set_aside_looked_at_again(checked: BatchWorld) -> None:
    event = checked.upload("bad.csv", b"good\n")
    ask(checked, event, "first")
    assert checked.input(event)["status"] == "refused"
    assert len(set_aside(checked)) == 1
    checked.push(BATCH.replace("compute: {batch: {}}", "compute: {batch: {checked: false}}"))
    checked.later(hours=1)
    checked.approve(checked.register(2))
    ask(checked, event, "second")
    assert set_aside(checked) == []
    assert checked.transform(1)["package_version"] == 2


def test_an_unusable_file_is_listed_too(live: BatchWorld) -> None:
    live.upload("empty.csv", b"")
    assert set_aside(live) == [("empty.csv", "zero bytes")]


def test_a_person_who_asks_for_an_unusable_or_deleted_file_gets_no_transform(live: BatchWorld) -> None:
    empty = live.upload("empty.csv", b"", is_told=False)
    ask(live, empty, "first")
    ask(live, empty, "second")
    assert live.input(empty)["status"] == "refused"
    assert live.events().count("batch refused") == 1
    gone = live.upload("gone.csv", is_told=False)
    live.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/batch/{PIPELINE}/gone.csv")
    ask(live, gone, "first")
    assert live.transforms() == []


def test_a_missing_or_short_result_is_told(live: BatchWorld) -> None:
    live.upload("a.csv")
    live.upload("b.csv")
    live.score(live.job(1), ("a.csv", b"great\n"))
    live.score(live.job(2))
    assert live.transform(1)["faults"] == ["a.csv: 2 rows, but 1 answer"]
    assert live.transform(2)["faults"] == ["b.csv: the transform wrote no result"]


def test_an_input_that_was_overwritten_meanwhile_is_told_and_the_new_one_scored(live: BatchWorld) -> None:
    live.upload("a.csv")
    live.upload("a.csv", b"other\n")
    live.score(live.job(1), ("a.csv", b"great\n"))
    assert "overwritten" in live.transform(1)["faults"][0]
    assert live.transform(2)["inputs"][0]["version_id"] != live.transform(1)["inputs"][0]["version_id"]


def test_a_job_that_sagemaker_has_no_room_for_is_started_later(
    live: BatchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = live.cloud.jobs.start
    with monkeypatch.context() as full:
        full.setattr(live.cloud.jobs, "start", refusing(QuotaError("The account-level service limit")))
        live.upload("a.csv")
    assert live.cloud.jobs.start == start
    assert live.job(1) not in live.cloud.jobs.requests
    hear_hints(live)
    assert live.job(1) in live.cloud.jobs.requests


def test_a_job_that_sagemaker_refuses_fails_and_the_next_begins(
    live: BatchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(live.cloud.jobs, "start", refusing(RequestRefusedError("no such model")))
        event = live.upload("a.csv")
        hear_hints(live)
    assert live.transform(1)["reason"] == "no such model"
    assert live.input(event)["status"] == "failed"
    live.upload("b.csv")
    assert live.job(2) in live.cloud.jobs.requests


def test_a_job_that_sagemaker_never_has_room_for_fails_after_hours(
    live: BatchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.cloud.jobs, "start", refusing(QuotaError("The account-level service limit")))
    event = live.upload("a.csv")
    live.later(hours=5)
    assert live.tell(live.job(1)) == {"status": "launched"}
    live.later(hours=2)
    assert live.tell(live.job(1)) == {"status": "ended"}
    assert "has had no room for" in live.transform(1)["reason"]
    assert live.input(event)["status"] == "failed"


def test_a_job_whose_release_is_gone_from_the_catalog_is_not_started(
    live: BatchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(live.cloud.jobs, "start", refusing(QuotaError("The account-level service limit")))
        live.upload("a.csv")
    release_id = live.transform(1)["release_id"]
    key = keys.deployment_key(PIPELINE, "production", release_id)
    del live.cloud.catalog.items[key["pk"], key["sk"]]
    assert live.tell(live.job(1)) == {"status": "ended"}
    assert live.transform(1)["reason"] == f"the release {release_id} is not in the catalog any more"
    assert live.job(1) not in live.cloud.jobs.requests


def test_an_event_of_a_job_that_still_runs_ends_nothing(live: BatchWorld) -> None:
    event = live.upload("a.csv")
    assert live.tell(live.job(1)) == {"status": "waiting"}
    assert live.input(event)["status"] == "taken"
    key = keys.transform_key(PIPELINE, keys.transform_of(live.transform(1)))
    del live.cloud.catalog.items[key["pk"], key["sk"]]
    assert live.end(live.job(1)) == {"status": "ignored"}


def test_a_release_whose_proof_is_gone_is_told_so(world: BatchWorld) -> None:
    _, task = world.plan(world.register(1))
    world.invoke("deploy_model", {**task, "task_token": "t1"})
    (job,) = world.running()
    world.cloud.jobs.descriptions.pop(job)
    assert world.tell(job) == {"status": "answered"}
    assert f"there is no transform job {job}" in world.cloud.workflows.failures[-1][-1]


def refusing(error: Exception) -> Callable[..., bool]:
    def start(kind: SageMakerJobKind, request: Any) -> bool:
        raise error

    return start


def test_the_last_stage_that_serves_scores(world: BatchWorld) -> None:
    world.push(BATCH.replace("stages: [", "stages: [{name: staging}, "))
    world.approve(world.register(1))
    world.upload("a.csv")
    assert world.transform(1)["stage"] == "production"


def test_what_is_scored_is_captured_for_who_watches_the_model(world: BatchWorld) -> None:
    world.push(BATCH + "monitor: {quality: {metric: rmse}}\n")
    world.approve(world.register(1))
    world.upload("a.csv", b"1\n2\n")
    world.score(world.job(1), ("a.csv", b"3\n4\n"))
    prefix = f"capture/{PIPELINE}/{ENDPOINT}/AllTraffic/"
    (head,) = world.cloud.objects.listing(fakes.ARTIFACT_BUCKET, prefix)
    record = json.loads(world.cloud.objects.read(f"s3://{fakes.ARTIFACT_BUCKET}/{head.key}"))
    assert record["eventMetadata"]["inferenceId"] == "a.csv"
    assert record["captureData"]["endpointOutput"]["data"] == "3\n4\n"


def test_a_crash_between_the_end_and_its_telling_is_made_good(
    live: BatchWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = live.upload("a.csv")
    live.upload("b.csv")
    live.write_output(live.job(1), "a.csv", b"1\n2\n")
    with monkeypatch.context() as crashing:
        crashing.setattr(live.cloud.bus, "announce", refusing(RuntimeError("crash")))
        with pytest.raises((RuntimeError, TypeError)):
            live.end(live.job(1))
    live.tell(live.job(1))
    assert live.input(event)["status"] == "scored"
    assert len(live.told()) == 1
    assert live.transform(2)["inputs"][0]["key"].endswith("b.csv")
    task = live.cloud.catalog.get(keys.task_key(live.job(1)))
    assert task is not None
    assert task["status"] == "done"
