"""Bad input gets a clear message, and nothing is lost or disturbed."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.loop import RUN_TIMEOUT_S, Loop, rows
from sluice.domain.build.projects import ProjectError
from sluice.domain.config import ConfigError
from sluice.services import timeline
from sluice.services.views import pipelines, stages
from sluice_cli import log_streams, waiting

pytestmark = pytest.mark.thorough


def test_an_unknown_prefix_is_listed_with_the_nearest_pipeline(loop: Loop) -> None:
    loop.push()
    key = f"{loop.pipeline}x/part-1.csv"
    bucket = loop.target.outputs["DataBucketName"]
    loop.target.client("s3").put_object(Bucket=bucket, Key=key, Body=rows(10, seed=1))
    found = waiting.until(
        lambda: next((item for item in pipelines.unclaimed(loop.target.cloud) if item["key"] == key), None),
        timeout_s=120,
        what="the object to be listed",
    )
    assert loop.pipeline in found["reason"]
    assert loop.target.client("s3").head_object(Bucket=bucket, Key=key)["ContentLength"] > 0


def test_a_folder_marker_and_an_empty_object_build_nothing(loop: Loop) -> None:
    loop.push()
    loop.upload("2026/", b"")
    loop.upload("empty.csv", b"")
    quarantined = waiting.until(
        lambda: loop.status()["quarantined"] or None, timeout_s=120, what="the empty object to be quarantined"
    )
    assert [item["key"] for item in quarantined] == [f"{loop.pipeline}/empty.csv"]
    assert "zero bytes" in quarantined[0]["reason"]
    assert loop.status()["arrivals"] == {"quarantined": 1}
    assert waiting.run_ids(loop.target, loop.pipeline) == set()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe" * 50, ["part.csv"]),
        (b"x\n" + b"1\n" * 50, ["y"]),
        (b"x,y\n" + b"1,0\n" * 30 + b"1,0,7\n" + b"2,1\n" * 30, ["32"]),
        (b"x,y\n" + b"1,0\n" * 30 + b"seven,1\n" + b"2,1\n" * 30, ["x", "number"]),
    ],
    ids=["binary", "no-label", "ragged", "wrong-type"],
)
def test_a_malformed_file_is_rejected_with_its_reasons_and_the_next_good_one_trains(
    loop: Loop, body: bytes, words: list[str]
) -> None:
    loop.push()
    run = loop.run_after("part.csv", body)
    assert run["status"] == "data_rejected"
    said = " ".join(run["reasons"])
    assert all(word in said for word in words), said
    assert loop.counts()["processing_jobs"] == 0
    assert loop.status()["arrivals"] == {"quarantined": 1}
    assert loop.run_after("good.csv", rows(100, seed=1))["status"] == "registered"


@pytest.mark.parametrize("name", ["a b.csv", "größe.csv", "a+b.csv", "100%25.csv", "日本/データ.csv"])
def test_a_key_with_unusual_characters_trains(loop: Loop, name: str) -> None:
    loop.push()
    assert loop.run_after(name, rows(100, seed=1))["status"] == "registered"


def test_a_typo_in_pipeline_yaml_names_path_expectation_and_nearest_match(loop: Loop) -> None:
    with pytest.raises(ConfigError) as caught:
        loop.push(pipeline=loop.configure(strategy="grid").replace("objective:", "objectiv:"))
    said = str(caught.value)
    assert "train.candidates.objectiv" in said
    assert "objective" in said


def test_a_missing_script_is_named_before_anything_is_uploaded(loop: Loop) -> None:
    text = loop.configure().replace("src/train.py", "src/trian.py")
    with pytest.raises(ProjectError, match=r"src/trian\.py"):
        loop.push(pipeline=text)


def test_a_failing_script_shows_its_traceback(loop: Loop) -> None:
    loop.push(train="def explode():\n    raise RuntimeError('no more memory for this')\n\nexplode()\n")
    run = loop.run_after("part.csv", rows(100, seed=1))
    assert run["status"] == "failed"
    failed = [step for step in run["steps"] if step.get("failure_reason")]
    assert {step["step"] for step in failed} == {"train-0", "train-1"}
    assert all("no more memory for this" in step["failure_reason"] for step in failed)
    log = log_streams.step_log(loop.target, failed[0])
    assert any("Traceback" in line for line in log)
    assert any("line 2, in explode" in line for line in log)


def test_a_model_from_elsewhere_approved_is_noted_and_not_released(loop: Loop) -> None:
    loop.push()
    sagemaker = loop.target.client("sagemaker")
    container = {"Image": "elsewhere/image:1", "ModelDataUrl": "s3://elsewhere/model.tar.gz"}
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=loop.group,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    waiting.until(
        lambda: "approval ignored" in loop.events() or None, timeout_s=120, what="the approval to be noted"
    )
    noted = next(
        entry
        for entry in timeline.entries(loop.target.cloud, loop.pipeline)
        if entry["event"] == "approval ignored"
    )
    assert noted["subject"] == f"{loop.group}/1"
    assert "no run of this stack registered it" in noted["detail"]
    assert waiting.release_ids(loop.target, loop.pipeline) == set()


def model_artifact(loop: Loop, run: dict[str, Any]) -> tuple[str, str]:
    """The bucket and the key of the model that a run registered."""
    package = loop.target.client("sagemaker").describe_model_package(
        ModelPackageName=run["model_package_arn"]
    )
    uri = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def test_a_version_whose_artifact_is_gone_is_refused_and_says_so(loop: Loop) -> None:
    loop.push()
    run = loop.run_after("part-1.csv", rows(100, seed=1))
    bucket, key = model_artifact(loop, run)
    loop.target.client("s3").delete_object(Bucket=bucket, Key=key)
    release = loop.release_after(1)
    assert release["status"] == "refused"
    assert f"s3://{bucket}/{key}" in " ".join(release["reasons"])
    assert stages.endpoint_status(loop.target.cloud, loop.endpoint_name) == "missing"


def test_a_changed_byte_after_registration_refuses_the_release(loop: Loop) -> None:
    loop.push()
    run = loop.run_after("part-1.csv", rows(100, seed=1))
    bucket, key = model_artifact(loop, run)
    loop.target.client("s3").put_object(Bucket=bucket, Key=key, Body=b"another model")
    release = loop.release_after(1)
    assert release["status"] == "refused"
    assert "sha256" in " ".join(release["reasons"])


def test_a_refused_bundle_leaves_the_version_before_it_active(loop: Loop) -> None:
    loop.push()
    before = loop.status()["project_version"]
    bucket = loop.target.outputs["ArtifactBucketName"]
    version = "0" * 64
    loop.target.client("s3").put_object(
        Bucket=bucket, Key=f"projects/{loop.pipeline}/{version}.tar.gz", Body=b"not an archive"
    )
    waiting.until(
        lambda: any("refused" in event.lower() for event in loop.events()) or None,
        timeout_s=RUN_TIMEOUT_S,
        what="the bundle to be refused",
    )
    assert loop.status()["project_version"] == before
