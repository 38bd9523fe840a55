"""`sluice evidence` writes a folder that says only what is on record, and finds what was changed in it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import fakes
from build_world import PIPELINE, RUN, Invoke, World
from command_world import ADA, Stack
from sluice.catalog import keys
from sluice.catalog.records.monitoring import Window
from sluice.domain.locations import Locations
from sluice.domain.release import statements
from sluice.domain.times import from_iso
from sluice_cli import lookup, main
from sluice_cli.errors import CommandError
from sluice_cli.options import Options


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> World:
    """A registered model that nobody decided about, and that never served."""
    world = World.of_registered_model(cloud, invoke)
    monkeypatch.setattr(Options, "target", lambda _: Stack(cloud))
    monkeypatch.setattr(lookup, "model_arn", lambda *_: arn(world))
    return world


def arn(world: World) -> str:
    return str(world.catalog_run()["model_package_arn"])


def approve(world: World, by: str = ADA) -> None:
    world.cloud.registry.by_arn[arn(world)].update(
        ModelApprovalStatus="Approved",
        ApprovalDescription="accuracy is fine",
        LastModifiedTime=from_iso(world.cloud.now.at),
        LastModifiedBy={"IamIdentity": {"Arn": by}},
    )
    world.invoke("record_approval", {"detail": {"ModelPackageArn": arn(world)}})


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["evidence", *arguments], catch_exceptions=False)


def write(folder: Path) -> dict[str, Any]:
    result = call("reviews/1", "--out", str(folder), "--json")
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_bytes())


def conditions(path: Path) -> tuple[int, dict[str, str]]:
    result = call("--verify", str(path), "--json")
    found = json.loads(result.stdout)
    assert found["is_intact"] is (result.exit_code == 0)
    return result.exit_code, {each["file"]: each["condition"] for each in found["findings"]}


def test_each_file_is_stated_with_its_digest_and_nothing_else_is_there(world: World, tmp_path: Path) -> None:
    stated = write(tmp_path)
    listed = {each["file"]: each["sha256"] for each in stated["statements"]}
    assert {each.name for each in tmp_path.iterdir()} == {*listed, "statements.json"}
    for name, sha256 in listed.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == sha256, name
    assert read(tmp_path, "statements.json")["statements"] == stated["statements"]
    assert listed.keys() >= {
        "index.html", "model-card.json", "run-manifest.json", "data-report.html", "data-report.json",
        "gates.html", "gates.json", "approvals.json", "releases.json", "lineage.jsonl", "sbom.cdx.json",
    }  # fmt: skip
    assert {each["file"]: each["why"] for each in stated["missing"]} == {
        "project-readme.md": "the project has no README.md",
        "model.sig": "nobody has signed it",
        "monitoring.json": "it has never served",
    }


def test_the_manifest_is_byte_for_byte_what_is_approved(world: World, tmp_path: Path) -> None:
    stated = write(tmp_path)
    run = world.catalog_run()
    assert (tmp_path / "run-manifest.json").read_bytes() == world.cloud.objects.read(run["manifest_uri"])
    assert stated["manifest_sha256"] == run["manifest_sha256"]


def test_the_card_has_what_is_known_and_names_what_is_not(world: World, tmp_path: Path) -> None:
    write(tmp_path)
    document = read(tmp_path, "model-card.json")
    card, gaps = document["card"], {f"{each['section']}.{each['field']}" for each in document["gaps"]}
    training = card["training_details"]
    assert training["objective_function"] == "maximize accuracy"
    assert {"name": "alpha", "value": "0.2"} in training["hyper_parameters"]
    assert training["training_datasets"][0]["rows"] == 2
    (evaluation,) = card["evaluation_details"]
    assert [gate["passed"] for gate in evaluation["gates"]] == [True, True]
    assert card["intended_uses"] == {}, "nobody said what it is for"
    assert gaps >= {
        "intended_uses.purpose_of_model",
        "model_overview.model_owner",
        "training_details.source",
        "training_details.training_environment",
        "model_overview.inference_environment",
    }
    assert "null" not in json.dumps(card), "what is not known is left out"
    page = (tmp_path / "index.html").read_text()
    assert "what the model is for" in page


def test_a_gap_that_is_filled_is_none(world: World, tmp_path: Path) -> None:
    world.cloud.catalog.update(keys.run_key(PIPELINE, RUN), {"image_digest": "sha256:" + "a" * 64})
    write(tmp_path)
    document = read(tmp_path, "model-card.json")
    assert "model_overview.inference_environment" not in {
        f"{each['section']}.{each['field']}" for each in document["gaps"]
    }
    assert document["card"]["model_overview"]["inference_environment"]["image_digest"].startswith("sha256:a")


def test_decisions_are_told_with_who_when_why_and_about_what(world: World, tmp_path: Path) -> None:
    approve(world)
    write(tmp_path)
    (decision,) = read(tmp_path, "approvals.json")["decisions"]
    assert (decision["status"], decision["approver"], decision["reason"]) == (
        "Approved",
        ADA,
        "accuracy is fine",
    )
    assert decision["manifest_sha256"] == world.catalog_run()["manifest_sha256"]
    assert decision["is_of_this_manifest"] is True
    assert decision["decided_at"] <= decision["valid_until"]
    page = (tmp_path / "index.html").read_text()
    assert ADA in page
    assert "accuracy is fine" in page


def test_a_decision_about_another_manifest_is_told_as_what_it_is(world: World, tmp_path: Path) -> None:
    approve(world)
    world.cloud.catalog.update(keys.approval_key(arn(world), 1), {"manifest_sha256": "0" * 64})
    write(tmp_path)
    (decision,) = read(tmp_path, "approvals.json")["decisions"]
    assert decision["is_of_this_manifest"] is False
    assert "of another model" in (tmp_path / "index.html").read_text()


def test_what_it_served_when_and_what_was_seen_then(world: World, tmp_path: Path) -> None:
    deployment = world.release()
    release_id = keys.deployment_of(deployment)[1]
    served = {
        "pipeline": PIPELINE, "stage": "production", "ends_at": "z", "package_version": 1, "status": "ok",
        "judged_at": "z", "label_window": "z",
    }  # fmt: skip
    for minutes, release in enumerate((release_id, "another")):
        start = f"{world.cloud.now.at[:14]}{59 - minutes}:00.000Z"
        world.cloud.catalog.create(Window(start=start, release_id=release, **served).item())  # type: ignore[arg-type]
    world.later(hours=2)
    write(tmp_path)
    found = read(tmp_path, "releases.json")
    assert [(each["stage"], each["status"]) for each in found["served"]] == [("production", "live")]
    windows = read(tmp_path, "monitoring.json")["windows"]
    assert [each["release_id"] for each in windows] == [release_id], "another's window is not this one's"


def test_the_readme_of_the_project_speaks_for_its_author(world: World, tmp_path: Path) -> None:
    from sluice.domain.build import projects

    uri = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))["inputs"]["bundle_uri"]
    world.cloud.objects.write(uri, projects.pack({"README.md": b"For films.", "pipeline.yaml": b"name: x"}))
    write(tmp_path)
    assert (tmp_path / "project-readme.md").read_bytes() == b"For films."


def test_what_is_gone_is_missing_and_the_reason_is_told(world: World, tmp_path: Path) -> None:
    run = world.catalog_run()
    manifest = json.loads(world.cloud.objects.read(run["manifest_uri"]))
    objects, version = world.cloud.objects, manifest["inputs"]["dataset_version"]
    objects.delete(manifest["inputs"]["bundle_uri"])
    kept = [*objects.buckets[fakes.ARTIFACT_BUCKET]]
    for key in kept:
        if key.endswith("/gates.json") or (version in key and key.endswith("report.html")):
            objects.delete(f"s3://{fakes.ARTIFACT_BUCKET}/{key}")
    step = keys.step_key(RUN, "gates")
    del world.cloud.catalog.items[step["pk"], step["sk"]]
    write(tmp_path)
    missing = {each["file"]: each["why"] for each in read(tmp_path, "statements.json")["missing"]}
    assert missing["project-readme.md"].startswith("the pushed project cannot be read: ")
    assert missing["data-report.html"].startswith("the data set has none: s3://")
    assert missing["gates.json"] == "it is gone, and so is the step's record"
    assert missing["gates.html"] == "there is no gates.json"


def test_a_signature_is_stated_as_it_lies_there(world: World, tmp_path: Path) -> None:
    world.cloud.objects.write(Locations(fakes.ARTIFACT_BUCKET, PIPELINE).signature(RUN), b"{}")
    write(tmp_path)
    assert (tmp_path / "model.sig").read_bytes() == b"{}"


def test_what_was_not_touched_is_intact(world: World, tmp_path: Path) -> None:
    write(tmp_path)
    code, found = conditions(tmp_path)
    assert code == 0
    assert {*found.values()} == {"intact"}
    assert "intact: " in call("--verify", str(tmp_path)).stdout


@pytest.mark.parametrize("name", ["index.html", "approvals.json", "run-manifest.json", "sbom.cdx.json"])
def test_a_changed_byte_a_file_that_is_gone_and_one_too_many_are_found(
    world: World, tmp_path: Path, name: str
) -> None:
    write(tmp_path)
    kept = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(kept[:-1] + b"x")
    assert (conditions(tmp_path)[0], conditions(tmp_path)[1][name]) == (3, "differs")
    (tmp_path / name).unlink()
    assert (conditions(tmp_path)[0], conditions(tmp_path)[1][name]) == (3, "gone")
    (tmp_path / name).write_bytes(kept)
    (tmp_path / "more.json").write_bytes(b"{}")
    assert (conditions(tmp_path)[0], conditions(tmp_path)[1]["more.json"]) == (3, "unlisted")
    assert "unlisted more.json" in call("--verify", str(tmp_path)).stdout


def test_a_manifest_of_another_model_is_not_passed_off_as_this_ones(world: World, tmp_path: Path) -> None:
    """Its digest in the list may be made to fit: that of what was approved is named apart."""
    write(tmp_path)
    stated = read(tmp_path, "statements.json")
    (tmp_path / "run-manifest.json").write_bytes(b"{}")
    for each in stated["statements"]:
        if each["file"] == "run-manifest.json":
            each["sha256"] = hashlib.sha256(b"{}").hexdigest()
    (tmp_path / "statements.json").write_text(json.dumps(stated))
    assert (conditions(tmp_path)[0], conditions(tmp_path)[1]["statements.json"]) == (3, "differs")


@pytest.mark.parametrize(
    "stated",
    [
        b"no json",
        b"[]",
        b'{"format": "sluice-evidence/1"}',
        b'{"format": "sluice-evidence/1", "statements": [{"file": "../secret", "sha256": ""}]}',
        b'{"format": "sluice-evidence/1", "statements": [{"file": "/etc/passwd", "sha256": ""}]}',
    ],
)
def test_statements_that_are_none_or_lead_out_of_the_folder_are_refused(
    tmp_path: Path, stated: bytes
) -> None:
    (tmp_path / statements.FILE).write_bytes(stated)
    with pytest.raises(CommandError, match="cannot be verified"):
        call("--verify", str(tmp_path))


def test_a_zip_is_the_same_each_time_and_is_verified_alike(world: World, tmp_path: Path) -> None:
    assert call("reviews/1", "--out", str(tmp_path / "a"), "--zip").exit_code == 0
    assert call("reviews/1", "--out", str(tmp_path / "b"), "--zip").exit_code == 0
    first, second = (tmp_path / "a.zip").read_bytes(), (tmp_path / "b.zip").read_bytes()
    assert first == second
    assert conditions(tmp_path / "a.zip")[0] == 0
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("more.json", "{}")
    assert conditions(tmp_path / "a.zip")[0] == 3


def test_a_folder_with_other_files_is_left_alone(world: World, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CommandError, match=r"mine\.txt"):
        call("reviews/1", "--out", str(tmp_path))
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


def test_it_says_what_is_missing_and_asks_for_one_thing(world: World, tmp_path: Path) -> None:
    text = call("reviews/1", "--out", str(tmp_path)).stdout
    assert "gaps of the model card" in text
    assert "no monitoring.json: it has never served" in text
    for words in ([], ["reviews/1", "--verify", "x"]):
        with pytest.raises(CommandError, match="name a model"):
            call(*words)
    with pytest.raises(CommandError, match="neither a folder nor a zip"):
        call("--verify", str(tmp_path / "none"))
    with pytest.raises(CommandError, match="has no statements"):
        call("--verify", str(tmp_path.parent))
