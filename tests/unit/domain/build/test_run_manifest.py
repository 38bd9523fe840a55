"""The run manifest holds the evidence, and the model package points to it within the registry's rules."""

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import botocore.validate
import pytest

from sluice.domain.build import run_manifest as manifest
from sluice.domain.build.gates import judge
from sluice.domain.config import PipelineConfig, load
from sluice_local.sagemaker.api import validation

RUN = "reviews-sentiment-00001"
INPUTS = manifest.Inputs(
    project_version="a" * 64,
    bundle_uri="s3://artifacts/projects/reviews-sentiment/a.tar.gz",
    dataset_version="b" * 64,
    dataset_manifest_uri="s3://artifacts/datasets/reviews-sentiment/b/manifest.json",
    dataset_objects=2,
    dataset_rows=4000,
    dataset_size_bytes=123,
)
MODEL = manifest.Artifact("model", "train-1", "s3://artifacts/model.tar.gz", "c" * 64, 10)
EVALUATION = manifest.Artifact(
    "evaluation", "evaluate-candidate", "s3://artifacts/evaluation.json", "d" * 64, 5
)
CODE = manifest.Artifact("code", "register_project", "s3://artifacts/sourcedir.tar.gz", "9" * 64, 3)
SCORES = {"metrics": {"accuracy": {"value": 0.8}}}


def made(config: PipelineConfig, **changes: Any) -> manifest.RunManifest:
    serves = manifest.container(config, "eu-central-1", MODEL.uri, CODE.uri)
    run_manifest = manifest.RunManifest(
        pipeline="reviews-sentiment",
        run_id=RUN,
        created_at="2026-03-01T10:00:00.000Z",
        inputs=INPUTS,
        parameters={"train": {"alpha": "1e-05"}},
        steps=[{"step": "prepare", "image": "x/y:1"}, {"step": "train-1", "image": f"x/z@sha256:{'e' * 64}"}],
        candidate="train-1",
        champion=None,
        artifacts=[MODEL, CODE, EVALUATION],
        serving=manifest.Serving(serves, "8" * 64),
        evaluation=SCORES,
        gates=judge(["metrics.accuracy.value >= 0.7"], SCORES, None).results,
    )
    return replace(run_manifest, **changes)


@pytest.fixture
def run_manifest(pipeline_config: PipelineConfig) -> manifest.RunManifest:
    return made(pipeline_config)


def package(config: PipelineConfig, *, may_approve: bool = False, **changes: Any) -> dict[str, Any]:
    return manifest.package_request(
        config,
        made(config, **changes).document(),
        stack="sluice",
        manifest_uri="s3://artifacts/evidence/reviews-sentiment/r/manifest.json",
        manifest_sha256="f" * 64,
        may_approve=may_approve,
    )


def test_the_digest_is_that_of_the_bytes_written(run_manifest: manifest.RunManifest) -> None:
    assert run_manifest.sha256 == hashlib.sha256(run_manifest.to_json()).hexdigest()


def test_the_manifest_names_inputs_images_artifacts_and_gates(run_manifest: manifest.RunManifest) -> None:
    document = json.loads(run_manifest.to_json())
    assert document["inputs"]["dataset_version"] == "b" * 64
    assert document["images"] == {"x/y:1": None, f"x/z@sha256:{'e' * 64}": f"sha256:{'e' * 64}"}
    assert document["artifacts"][0] == {
        "name": "model",
        "step": "train-1",
        "uri": "s3://artifacts/model.tar.gz",
        "sha256": "c" * 64,
        "size_bytes": 10,
    }
    assert document["gates"][0]["passed"] is True
    assert document["champion"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"artifacts": [replace(MODEL, sha256="0" * 64)]},
        {"evaluation": {"metrics": {}}},
        {"champion": {"package_arn": "arn"}},
        {"candidate": "train-0"},
        {"inputs": replace(INPUTS, dataset_rows=1)},
        {"serving": manifest.Serving({"Image": "other"}, "8" * 64)},
        {"serving": manifest.Serving({}, "7" * 64)},
    ],
)
def test_any_other_evidence_is_another_digest(
    run_manifest: manifest.RunManifest, change: dict[str, Any]
) -> None:
    assert replace(run_manifest, **change).sha256 != run_manifest.sha256


def test_gates_may_come_as_the_state_machine_passes_them(run_manifest: manifest.RunManifest) -> None:
    plain = json.loads(run_manifest.to_json())["gates"]
    assert replace(run_manifest, gates=plain).sha256 == run_manifest.sha256


def test_the_parameters_are_those_of_prepare_and_of_the_candidate(pipeline_config: PipelineConfig) -> None:
    found = manifest.parameters(pipeline_config, {"alpha": "1e-05"})
    assert found["train"] == {"alpha": "1e-05"}
    assert found["prepare"]["seed"] == 42


def test_the_package_is_one_that_the_registry_takes(pipeline_config: PipelineConfig) -> None:
    shape = validation.operation_model("CreateModelPackage").input_shape
    assert shape is not None
    request = package(pipeline_config)
    assert botocore.validate.ParamValidator().validate(request, shape).generate_report() == ""
    for key, value in request["CustomerMetadataProperties"].items():
        assert re.fullmatch(r"[\w .:/=+\-@]{1,128}", key)
        assert re.fullmatch(r"[\w .:/=+\-@]{1,256}", value)
    assert re.fullmatch(r"[a-zA-Z0-9-]{1,36}", request["ClientToken"])


def test_the_package_serves_the_model_with_the_pipelines_script(pipeline_config: PipelineConfig) -> None:
    specification = package(pipeline_config)["InferenceSpecification"]
    (container,) = specification["Containers"]
    assert container["Image"].endswith("sagemaker-scikit-learn:1.4-2-cpu-py3")
    assert container["ModelDataUrl"] == MODEL.uri
    assert container["Environment"] == {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": CODE.uri,
        "SAGEMAKER_REGION": "eu-central-1",
    }
    assert specification["SupportedContentTypes"] == ["application/json"]


def test_the_package_names_no_instance_types_of_batch_transform(pipeline_config: PipelineConfig) -> None:
    """Half of what endpoints may run on, such as ml.t2.medium, is none of them, and would be refused."""
    specification = package(pipeline_config)["InferenceSpecification"]
    assert specification["SupportedRealtimeInferenceInstanceTypes"] == ["ml.m5.large"]
    assert "SupportedTransformInstanceTypes" not in specification


def test_the_package_points_to_its_evidence(pipeline_config: PipelineConfig) -> None:
    request = package(pipeline_config)
    assert request["ModelPackageGroupName"] == "reviews"
    statistics = request["ModelMetrics"]["ModelQuality"]["Statistics"]
    assert statistics == {
        "ContentType": "application/json",
        "ContentDigest": f"sha256:{'d' * 64}",
        "S3Uri": EVALUATION.uri,
    }
    assert request["CustomerMetadataProperties"]["sluice:manifest-sha256"] == "f" * 64
    assert request["CustomerMetadataProperties"]["sluice:model-sha256"] == "c" * 64


def test_a_run_registers_one_package_however_often_it_asks(pipeline_config: PipelineConfig) -> None:
    token = package(pipeline_config)["ClientToken"]
    assert package(pipeline_config)["ClientToken"] == token
    assert package(pipeline_config, run_id="reviews-sentiment-00002")["ClientToken"] != token


@pytest.mark.parametrize(
    ("approval", "status"), [("manual", "PendingManualApproval"), ("automatic", "Approved")]
)
def test_a_version_waits_for_a_person_unless_the_pipeline_says_otherwise(
    config_text: str, approval: str, status: str
) -> None:
    config = load(config_text.replace("{group: reviews}", f"{{group: reviews, approval: {approval}}}"))
    assert package(config, may_approve=True)["ModelApprovalStatus"] == status
    assert package(config)["ModelApprovalStatus"] == "PendingManualApproval"


def test_the_manifest_says_what_ran_in_what_with_which_packages(run_manifest: manifest.RunManifest) -> None:
    listed = [{"name": "numpy", "version": "1.26.4"}, {"name": "joblib", "version": "1.4"}]
    own = {"environment": "e" * 64, "python": "3.10.14", "packages": listed}
    steps: list[dict[str, Any]] = [
        {"step": "prepare", "image": "x/y:1", **own},
        {"step": "train-1", "image": "x/y:1", **own, "packages": {"joblib": "1.4", "numpy": "1.26.4"}},
        {"step": "evaluate-candidate", "image": "x/y:1"},
        {"step": "gates"},
    ]
    assert replace(run_manifest, steps=steps).document()["environments"] == [
        {
            "image": "x/y:1",
            "image_digest": None,
            "environment": "e" * 64,
            "python": "3.10.14",
            "packages": {"joblib": "1.4", "numpy": "1.26.4"},
            "steps": ["prepare", "train-1"],
        },
        {
            "image": "x/y:1",
            "image_digest": None,
            "environment": None,
            "python": None,
            "packages": None,
            "steps": ["evaluate-candidate"],
        },
    ]


def test_jobs_with_the_same_image_have_the_packages_that_one_of_them_listed(
    run_manifest: manifest.RunManifest,
) -> None:
    """But for the champion's, which are installed for its own requirements."""
    steps: list[dict[str, Any]] = [
        {"step": "evaluate-candidate", "image": "x/y:1"},
        {"step": "evaluate-champion", "image": "x/y:1"},
        {"step": "prepare", "image": "x/y:1", "python": "3.10.1", "packages": {"numpy": "1"}},
        {"step": "train-0", "image": "x/gpu:1"},
    ]
    found = replace(run_manifest, steps=steps).document()["environments"]
    assert [(each["steps"], each["packages"]) for each in found] == [
        (["evaluate-candidate", "prepare"], {"numpy": "1"}),
        (["evaluate-champion"], None),
        (["train-0"], None),
    ]


def test_an_object_that_may_be_written_again_is_named_by_its_version(
    run_manifest: manifest.RunManifest,
) -> None:
    large = manifest.Artifact("prepare/train/a.csv", "prepare", "s3://artifacts/a.csv", None, 1 << 40, "v1")
    found = replace(run_manifest, artifacts=[MODEL, large]).document()["artifacts"]
    assert "version_id" not in found[0]
    assert (found[1]["sha256"], found[1]["version_id"]) == (None, "v1")


def test_the_package_says_its_commit_and_what_made_it(pipeline_config: PipelineConfig) -> None:
    source = {"commit": "c" * 40, "branch": "größe/x", "remote": "https://host/r.git", "is_clean": False}
    request = package(
        pipeline_config,
        inputs=replace(INPUTS, source=source),
        cause="2 new objects",
        actor="arn:aws:iam::1:user/me (unverified)",
        framework={"name": "scikit-learn", "version": "1.4-2"},
        parameters={"train": {"alpha": "1e-05", "penalty": '"l2"', "space": '{"a": [1]}', "long": "9" * 300}},
        champion={"package_arn": "arn:aws:sagemaker:eu-central-1:1:model-package/reviews/3"},
    )
    assert request["MetadataProperties"]["CommitId"] == "c" * 40
    assert request["MetadataProperties"]["Repository"] == "https://host/r.git"
    found = request["CustomerMetadataProperties"]
    assert found["sluice:branch"] == "gr__e/x"
    assert found["sluice:is-committed"] == "false"
    assert found["sluice:framework"] == "scikit-learn 1.4-2"
    assert found["sluice:champion"].endswith("model-package/reviews/3")
    assert found["sluice:cause"] == "2 new objects"
    assert found["sluice:actor"] == "arn:aws:iam::1:user/me _unverified_"
    assert found["sluice:hyperparameter:alpha"] == "1e-05"
    assert found["sluice:hyperparameter:penalty"] == "l2"
    assert len(found["sluice:hyperparameter:long"]) == 256
    for key, value in found.items():
        assert re.fullmatch(r"[\w .:/=+\-@]{1,128}", key)
        assert re.fullmatch(r"[\w .:/=+\-@]{1,256}", value)


def test_the_package_keeps_to_the_number_of_properties(pipeline_config: PipelineConfig) -> None:
    many = {f"p{number}": "1" for number in range(100)}
    assert len(package(pipeline_config, parameters={"train": many})["CustomerMetadataProperties"]) <= 50
