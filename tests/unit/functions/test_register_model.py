"""A model is registered once, with the evidence that an approval will be bound to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, RUN, Invoke, World
from machines import Crash
from sluice.catalog import keys
from sluice.catalog.changes import releases
from sluice.catalog.records.builds import Run
from sluice.catalog.records.recalls import Recall
from sluice.domain.build import package_lists, projects
from sluice.domain.release import approvals, evidence
from sluice.ports import JobKind
from sluice.services.build import artifacts
from sluice.services.data import recalling
from sluice.services.views import pipelines, runs

# Gates that compare with no champion.
LIMITS = PIPELINE_YAML.replace("  - metrics.accuracy.value not_worse_than champion by 0.01\n", "")


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
    }


def test_the_package_points_to_a_manifest_that_vouches_for_its_model(world: World) -> None:
    assert world.build("a.csv") == "registered"
    provenance = approvals.Provenance.of(package(world))
    assert provenance is not None
    manifest = world.cloud.objects.read(provenance.manifest_uri)
    assert hashlib.sha256(manifest).hexdigest() == provenance.manifest_sha256
    arn = package(world)["ModelPackageArn"]
    found = evidence.read(arn, provenance, Run.of(world.catalog_run()), manifest)
    digests = {
        each.uri: hashlib.sha256(world.cloud.objects.read(each.uri)).hexdigest() for each in found.archives
    }
    assert len(digests) == 2
    assert evidence.archive_faults(found, dict(digests)) == []
    assert evidence.package_faults(found, package(world), found.config_sha256) == []


def test_the_digest_that_the_registry_gives_an_image_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tag may mean another image tomorrow."""
    digest = f"sha256:{'d' * 64}"
    describe = world.cloud.registry.describe_package

    def resolved(arn: str) -> Any:
        found = describe(arn) or {}
        found["InferenceSpecification"]["Containers"][0]["ImageDigest"] = digest
        return found

    monkeypatch.setattr(world.cloud.registry, "describe_package", resolved)
    assert world.build("a.csv") == "registered"
    assert world.catalog_run()["image_digest"] == digest


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
    assert (manifest["cause"], manifest["actor"]) == ("1 new object", "sluice")
    assert manifest["framework"] == {"name": "scikit-learn", "version": "1.4-2"}


def test_the_manifest_names_all_that_processing_jobs_wrote_by_its_content(world: World) -> None:
    rows = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}/prepare/train/a/b.csv"
    world.cloud.objects.write(rows, b"x,y\n")
    assert world.build("a.csv") == "registered"
    manifest = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))
    found = {each["name"]: each for each in manifest["artifacts"]}
    assert found["prepare/train/a/b.csv"] == {
        "name": "prepare/train/a/b.csv",
        "step": "prepare",
        "uri": rows,
        "sha256": hashlib.sha256(b"x,y\n").hexdigest(),
        "size_bytes": 4,
        "version_id": "v1",
    }
    assert found["evaluate-candidate/evaluation/evaluation.json"]["sha256"] == found["evaluation"]["sha256"]
    bundle = world.cloud.objects.read(found["bundle"]["uri"])
    assert projects.version(projects.unpack(bundle)) == manifest["inputs"]["project_version"]


@pytest.mark.parametrize(
    ("content", "packages"),
    [
        (b'{"python": "3.10.14", "packages": {"numpy": "1.26.4"}}', {"numpy": "1.26.4"}),
        (b'{"packages": ["numpy"]}', None),
        (b"no json", None),
        (b" " * (package_lists.MAX_BYTES + 1), None),
        (None, None),
    ],
)
def test_the_manifest_has_the_packages_that_a_job_listed_from_inside(
    world: World, content: bytes | None, packages: dict[str, str] | None
) -> None:
    folder = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}/prepare/packages"
    if content is not None:
        world.cloud.objects.write(f"{folder}/packages.json", content)
    assert world.build("a.csv") == "registered"
    manifest = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))
    (environment,) = manifest["environments"]
    assert environment["packages"] == packages
    assert environment["python"] == ("3.10.14" if packages else None)


def test_the_manifest_has_the_packages_that_the_chosen_training_job_listed(world: World) -> None:
    listed = {"python": "3.11.9", "packages": {"torch": "2.6.0"}}
    archive = projects.pack({package_lists.NAME: json.dumps(listed).encode()})
    trained = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}/train/sluice--{RUN}-train-1"
    world.cloud.objects.write(f"{trained}/output/output.tar.gz", archive)
    assert world.build("a.csv") == "registered"
    manifest = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))
    (environment,) = manifest["environments"]
    assert (environment["python"], environment["packages"]) == ("3.11.9", {"torch": "2.6.0"})


def test_what_is_too_large_to_be_hashed_is_named_by_its_version(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "HASHED_MAX_BYTES", 50)
    folder = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}/prepare/train"
    world.cloud.objects.write(f"{folder}/a.csv", b"x" * 60)
    world.cloud.objects.write(f"{folder}/b.csv", b"x")
    assert world.build("a.csv") == "registered"
    manifest = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))
    found = {each["name"]: (each["sha256"], each.get("version_id")) for each in manifest["artifacts"]}
    assert found["prepare/train/a.csv"] == (None, "v1")
    assert found["prepare/train/b.csv"] == (hashlib.sha256(b"x").hexdigest(), "v1")


def test_the_manifest_and_the_package_say_the_commit_of_the_push(world: World) -> None:
    source = {"commit": "c" * 40, "remote": "https://host/r", "is_clean": True}
    project = keys.project_key(PIPELINE, world.pipeline["project_version"])
    world.cloud.catalog.update(project, {"source": source})
    assert world.build("a.csv") == "registered"
    manifest = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))
    assert manifest["inputs"]["source"] == source
    assert package(world)["CustomerMetadataProperties"]["sluice:commit"] == "c" * 40


def test_registering_again_is_the_same_package_and_manifest(world: World) -> None:
    assert world.build("a.csv") == "registered"
    manifest = world.cloud.objects.read(world.catalog_run()["manifest_uri"])
    world.later(minutes=1)
    again = world.invoke("register_model", payload(world))
    assert again["model_package_arn"] == package(world)["ModelPackageArn"]
    assert world.cloud.objects.read(again["manifest_uri"]) == manifest


def crash_once(port: object, method: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a function die at its first call of a port's method; the list is filled when it has."""
    call = getattr(port, method)
    crashes: list[str] = []

    def crash(*given: Any) -> Any:
        if crashes:
            return call(*given)
        crashes.append(method)
        raise Crash

    monkeypatch.setattr(port, method, crash)
    return crashes


def forge(world: World, document: dict[str, Any]) -> str:
    """What a script of the run, or of another, or a person, put where the run's manifest is to be."""
    uri = f"s3://{fakes.ARTIFACT_BUCKET}/evidence/{PIPELINE}/{RUN}/manifest.json"
    world.cloud.objects.write(uri, json.dumps(document).encode())
    return uri


def test_a_manifest_that_the_run_did_not_write_is_refused(world: World) -> None:
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    uri = forge(world, {"artifacts": [{"name": "model", "uri": "s3://elsewhere/model.tar.gz"}]})
    assert world.play() == "failed"
    assert world.execution["error"] == "ForeignManifestError"
    assert f"{uri} was not written by this run" in world.execution["cause"]
    with pytest.raises(Exception, match=f"{uri} was not written by this run") as failure:
        world.invoke("register_model", payload(world))
    assert type(failure.value).__name__ == "ForeignManifestError"
    assert world.cloud.registry.by_arn == {}


def test_a_manifest_overwritten_after_it_was_written_is_refused(world: World) -> None:
    assert world.build("a.csv") == "registered"
    forge(world, {})
    with pytest.raises(Exception, match="was not written by this run"):
        world.invoke("register_model", payload(world))


def test_a_crash_between_the_claim_and_the_manifest_is_made_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = crash_once(world.cloud.objects, "create", monkeypatch)
    assert world.build("a.csv") == "registered"
    assert crashes
    registered = world.invoke("register_model", payload(world))
    manifest = world.cloud.objects.read(registered["manifest_uri"])
    assert world.catalog_run()["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()


def test_what_serves_is_a_copy_under_its_digest(world: World) -> None:
    """Whatever happens to the run's own outputs, or to the project's, the package does not see."""
    assert world.build("a.csv") == "registered"
    (container,) = package(world)["InferenceSpecification"]["Containers"]
    for uri in (container["ModelDataUrl"], container["Environment"]["SAGEMAKER_SUBMIT_DIRECTORY"]):
        digest = hashlib.sha256(world.cloud.objects.read(uri)).hexdigest()
        assert uri.startswith(f"s3://{fakes.ARTIFACT_BUCKET}/models/{PIPELINE}/{digest}/")


def test_a_model_overwritten_while_it_is_registered_is_not_what_serves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = world.cloud.objects.chunks

    def overwritten(bucket: str, key: str, version_id: str | None = None) -> Any:
        data = b"".join(chunks(bucket, key, version_id))
        if key.endswith("output/model.tar.gz") and world.sent[-1][0] == "register_model":
            world.cloud.objects.put(bucket, key, b"another model")
        yield data

    monkeypatch.setattr(world.cloud.objects, "chunks", overwritten)
    assert world.build("a.csv") == "registered"
    (container,) = package(world)["InferenceSpecification"]["Containers"]
    model = projects.pack({"model": f"{RUN}train-1".encode()})
    assert world.cloud.objects.read(container["ModelDataUrl"]) == model


def test_a_model_overwritten_after_it_was_chosen_is_not_registered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By any job of the run, say when it has been evaluated."""
    start = world.cloud.jobs.start

    def overwriting(kind: JobKind, request: Mapping[str, Any]) -> bool:
        if "evaluate" in request.get("ProcessingJobName", ""):
            uri = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}/train/sluice--{RUN}-train-1/output"
            world.cloud.objects.write(f"{uri}/model.tar.gz", projects.pack({"model": b"another"}))
        return start(kind, request)

    monkeypatch.setattr(world.cloud.jobs, "start", overwriting)
    assert world.build("a.csv") == "failed"
    assert "was written again after it was chosen" in world.execution["cause"]
    assert world.execution["error"] == "ModelChangedError"
    assert pinned(world) == []
    assert world.cloud.registry.by_arn == {}


def pinned(world: World) -> list[str]:
    return [key for key in world.cloud.objects.buckets[fakes.ARTIFACT_BUCKET] if key.startswith("models/")]


def test_an_evaluation_overwritten_after_the_gates_judged_it_is_not_registered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of the evaluation's job may outlive it, and say better things then."""
    objects, judged = world.cloud.objects, []
    open_ = objects.open

    def overwritten(bucket: str, key: str) -> Any:
        found = open_(bucket, key)
        if key.endswith("evaluate/candidate/evaluation.json"):
            judged.append(key)
            uri = f"s3://{bucket}/{key}"
            objects.write(uri, objects.read(uri).replace(b"{", b'{"better": 1, ', 1))
        return found

    monkeypatch.setattr(objects, "open", overwritten)
    assert world.build("a.csv") == "failed"
    assert "was written again after the gates judged it" in world.execution["cause"]
    assert world.execution["error"] == "EvaluationChangedError"
    assert pinned(world) == []
    assert judged
    assert world.cloud.registry.by_arn == {}


def test_scripts_overwritten_after_the_push_are_not_registered(world: World) -> None:
    project = world.cloud.catalog.get(keys.project_key(PIPELINE, world.pipeline["project_version"])) or {}
    world.cloud.objects.write(project["sourcedir_uri"], b"other scripts")
    assert world.build("a.csv") == "failed"
    assert "has changed since the project was pushed" in world.execution["cause"]
    assert world.execution["error"] == "CodeChangedError"
    assert pinned(world) == []


def test_a_crash_after_the_package_was_created_is_made_good_by_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = crash_once(world.cloud.registry, "describe_package", monkeypatch)
    assert world.build("a.csv") == "registered"
    assert crashes
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
    cloud: fakes.Cloud, invoke: Invoke, approval: str, status: str
) -> None:
    cloud.allows_automatic_approval = True
    world = World(cloud, invoke)
    world.push(pipeline=f"{LIMITS}register: {{approval: {approval}}}\n".encode())
    assert world.build("a.csv") == "registered"
    assert package(world)["ModelApprovalStatus"] == status
    assert waits_because(world) is None


AUTOMATIC = f"{PIPELINE_YAML}register: {{approval: automatic}}\n".encode()
NOTHING_COMPARED = (
    "a person decides, although approval is automatic: there is no champion, as no model serves, so nothing "
    "was compared"
)


@pytest.fixture
def automatic(cloud: fakes.Cloud, invoke: Invoke) -> World:
    """A stack that allows automatic approval, and a project that asks for it."""
    cloud.allows_automatic_approval = True
    world = World(cloud, invoke)
    world.push(pipeline=AUTOMATIC)
    return world


@pytest.fixture
def limited(cloud: fakes.Cloud, invoke: Invoke) -> World:
    """The same, of a project whose gates compare with no champion."""
    cloud.allows_automatic_approval = True
    world = World(cloud, invoke)
    world.push(pipeline=f"{LIMITS}register: {{approval: automatic}}\n".encode())
    return world


def lose_package(world: World) -> keys.Key:
    """Let the catalog know nothing of the version, as after an attempt that died; returns the item's key."""
    key = keys.package_key(package(world)["ModelPackageArn"])
    del world.cloud.catalog.items[key["pk"], key["sk"]]
    return key


def waits_because(world: World, run_id: str = RUN) -> str | None:
    """Why the version of a run waits, as its page says."""
    run = runs.run(world.cloud, run_id)
    assert run is not None
    said: str | None = run["model_waits_because"]
    return said


def test_a_model_that_was_compared_with_nothing_is_never_approved_by_itself(automatic: World) -> None:
    world, cloud = automatic, automatic.cloud
    assert world.build("a.csv") == "registered"
    assert package(world)["ModelApprovalStatus"] == "PendingManualApproval"
    (told,) = [detail for kind, detail in cloud.bus.announced if kind == "ApprovalAwaited"]
    assert told["reason"] == f"{RUN} registered it: its gates passed; {NOTHING_COMPARED}"
    (noted,) = [entry for entry in world.timeline() if entry["event"] == "model registered"]
    assert noted["detail"].endswith(NOTHING_COMPARED)
    assert waits_because(world) == NOTHING_COMPARED
    for is_glance in (True, False):
        (awaited,) = pipelines.status(cloud, PIPELINE, is_glance=is_glance)["awaited"]
        assert (awaited["what"], awaited["held"]) == ("approval", NOTHING_COMPARED)
    key = keys.package_key(package(world)["ModelPackageArn"])
    for changed in ({"deleted_at": cloud.now()}, {"deleted_at": None, "approval_status": "Approved"}):
        cloud.catalog.update(key, changed)
        assert waits_because(world) is None
    world.release()
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert [each["ModelApprovalStatus"] for each in cloud.registry.by_arn.values()][1] == "Approved"


def test_a_push_that_gives_the_champion_up_gives_no_approval(cloud: fakes.Cloud, invoke: Invoke) -> None:
    cloud.allows_automatic_approval = True
    world = World.of_live_model(cloud, invoke)
    world.push(pipeline=AUTOMATIC, replaces="arn:ann")
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert [each["ModelApprovalStatus"] for each in cloud.registry.by_arn.values()][1] == (
        "PendingManualApproval"
    )
    why = waits_because(world, f"{PIPELINE}-00002")
    assert "pushed the project with --replace-champion, so nothing was compared" in str(why)


def test_a_registration_that_the_registry_told_of_first_still_says_why_it_waits(automatic: World) -> None:
    arn = fakes.arn("sagemaker", f"model-package/sluice--{PIPELINE}/1")
    automatic.cloud.catalog.create({**keys.package_key(arn), "pipeline": PIPELINE, "run_id": RUN})
    assert automatic.build("a.csv") == "registered"
    assert package(automatic)["ModelPackageArn"] == arn
    assert waits_because(automatic) == NOTHING_COMPARED


def test_a_stack_that_allows_it_no_more_has_a_person_approve(limited: World) -> None:
    limited.cloud.allows_automatic_approval = False
    assert limited.build("a.csv") == "registered"
    assert package(limited)["ModelApprovalStatus"] == "PendingManualApproval"
    why = "a person decides, although approval is automatic: the stack does not allow automatic approval"
    assert waits_because(limited) == why


def test_a_version_that_was_registered_as_approved_is_not_said_to_need_a_person(
    limited: World,
) -> None:
    """A first attempt made it, and died: the second one has a reason, and the package is what it is."""
    assert limited.build("a.csv") == "registered"
    key = lose_package(limited)
    limited.cloud.allows_automatic_approval = False
    limited.invoke("register_model", payload(limited))
    item = limited.cloud.catalog.get(key) or {}
    assert (item["run_id"], item.get("needs_person")) == (RUN, None)


def test_a_recall_for_which_a_version_waits_is_open_until_that_is_noted(
    limited: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    recalled = Recall(PIPELINE, "0" * 64, "reviews/bad.csv", "open", limited.cloud.now(), "ada", "", "r1")
    limited.cloud.catalog.create(recalled.item())
    crashes = crash_once(releases, "see_package", monkeypatch)
    assert limited.build("a.csv") == "registered"
    assert crashes
    assert str(waits_because(limited)).endswith("data were recalled that it may hold: reviews/bad.csv")
    (recall,) = recalling.find(limited.cloud, PIPELINE)
    assert (recall.status, recall.run_id) == ("rebuilt", RUN)


def test_a_version_that_was_registered_to_wait_is_for_a_person_also_if_nothing_asks_for_one_since(
    limited: World,
) -> None:
    """Who approves it decides; without a reason on record it would be taken for approved by nobody."""
    limited.cloud.allows_automatic_approval = False
    assert limited.build("a.csv") == "registered"
    lose_package(limited)
    limited.cloud.allows_automatic_approval = True
    limited.invoke("register_model", payload(limited))
    assert waits_because(limited) == "a person decides, although approval is automatic"


def test_a_number_that_is_not_finite_and_no_gate_reads_is_registered_as_null(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = world.cloud.objects.write

    def with_nan(uri: str, data: bytes, *more: str) -> None:
        is_evaluation = uri.endswith("evaluation.json")
        write(
            uri,
            data.replace(b'{"metrics": {', b'{"metrics": {"auc": NaN, ') if is_evaluation else data,
            *more,
        )

    monkeypatch.setattr(world.cloud.objects, "write", with_nan)
    assert world.build("a.csv") == "registered"
    manifest = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))
    assert manifest["evaluation"]["metrics"] == {"auc": None, "accuracy": {"value": 0.85}}


def test_a_group_that_was_deleted_is_made_again_and_its_versions_are_others(world: World) -> None:
    """What was decided about the version that had the ARN before was not decided about this one."""
    group = f"sluice--{PIPELINE}"
    assert world.build("a.csv") == "registered"
    arn = str(package(world)["ModelPackageArn"])
    decided = {"approval_status": "Approved", "approval_epoch": 1}
    world.cloud.catalog.update(keys.package_key(arn), decided)
    world.cloud.registry.delete_group(group)
    assert world.build("b.csv", b"x,y\n3,0\n4,1\n") == "registered"
    assert group in world.cloud.registry.groups
    assert package(world)["ModelPackageArn"] == arn
    item = world.cloud.catalog.get(keys.package_key(arn)) or {}
    assert item["run_id"] == f"{PIPELINE}-00002"
    assert "approval_status" not in item
    assert (item["approval_epoch"], item["acted_epoch"]) == (1, 1)
