"""Job requests are ones that SageMaker takes, and its descriptions are read as what they mean."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import botocore.validate
import pytest

from sluice.domain.build import jobs
from sluice_local.sagemaker.api import validation

Invalid = Callable[[str, jobs.Request], str]
IMAGE = "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
AT = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def invalid() -> Invalid:
    """What botocore finds wrong with a request of an operation."""
    validator = botocore.validate.ParamValidator()

    def report(operation: str, request: jobs.Request) -> str:
        shape = validation.operation_model(operation).input_shape
        assert shape is not None
        return str(validator.validate(request, shape).generate_report())

    return report


def inputs(request: jobs.Request) -> dict[str, tuple[str, str, str]]:
    return {
        i["InputName"]: (i["S3Input"]["S3Uri"], i["S3Input"]["LocalPath"], i["S3Input"]["S3DataType"])
        for i in request["ProcessingInputs"]
    }


def outputs(request: jobs.Request) -> dict[str, tuple[str, str]]:
    return {
        o["OutputName"]: (o["S3Output"]["S3Uri"], o["S3Output"]["LocalPath"])
        for o in request["ProcessingOutputConfig"]["Outputs"]
    }


def test_prepare_reads_the_data_sets_files_and_writes_three_splits(
    build: jobs.Build, invalid: Invalid
) -> None:
    request = jobs.prepare_request(build, "s3://artifacts/datasets/d/files.manifest")
    assert invalid("CreateProcessingJob", request) == ""
    assert request["ProcessingJobName"] == "sluice--reviews-sentiment-00001-prepare"
    assert request["AppSpecification"]["ImageUri"] == IMAGE
    code = f"s3://artifacts/projects/reviews-sentiment/{'f' * 64}/code/"
    assert inputs(request) == {
        "code": (code, "/opt/ml/processing/input/code", "S3Prefix"),
        "data": ("s3://artifacts/datasets/d/files.manifest", "/opt/ml/processing/input/data", "ManifestFile"),
    }
    run = "s3://artifacts/runs/reviews-sentiment/reviews-sentiment-00001"
    assert outputs(request) == {
        split: (f"{run}/prepare/{split}", f"/opt/ml/processing/{split}")
        for split in ("train", "validation", "test", "packages")
    }
    assert request["Tags"] == [
        {"Key": "sluice:stack", "Value": "sluice"},
        {"Key": "sluice:pipeline", "Value": "reviews-sentiment"},
        {"Key": "sluice:run", "Value": "reviews-sentiment-00001"},
    ]


def test_prepare_gets_its_parameters_as_arguments(build: jobs.Build) -> None:
    request = jobs.prepare_request(build, "s3://b/m")
    assert request["AppSpecification"]["ContainerArguments"] == [
        *("--split", "[0.8, 0.1, 0.1]"),
        *("--seed", "42"),
        *("--name", "a b"),
        *("--deep", "true"),
    ]


def test_without_parameters_there_are_no_arguments(build: jobs.Build, invalid: Invalid) -> None:
    prepare = build.config.prepare.model_copy(update={"parameters": {}})
    bare = replace(build, config=build.config.model_copy(update={"prepare_": prepare}))
    request = jobs.prepare_request(bare, "s3://b/m")
    assert "ContainerArguments" not in request["AppSpecification"]
    assert invalid("CreateProcessingJob", request) == ""


@pytest.mark.parametrize("role", ["candidate", "champion"])
def test_evaluate_scores_a_model_on_the_runs_test_data(
    build: jobs.Build, invalid: Invalid, role: str
) -> None:
    request = jobs.evaluate_request(build, role, "s3://artifacts/m/model.tar.gz")
    assert invalid("CreateProcessingJob", request) == ""
    assert request["ProcessingJobName"] == f"sluice--reviews-sentiment-00001-evaluate-{role}"
    run = "s3://artifacts/runs/reviews-sentiment/reviews-sentiment-00001"
    read = inputs(request)
    assert read["model"] == ("s3://artifacts/m/model.tar.gz", "/opt/ml/processing/model", "S3Prefix")
    assert read["test"] == (f"{run}/prepare/test/", "/opt/ml/processing/test", "S3Prefix")
    assert outputs(request) == {"evaluation": (f"{run}/evaluate/{role}", "/opt/ml/processing/evaluation")}


def test_a_script_is_run_by_its_name_in_the_code_folder(build: jobs.Build) -> None:
    request = jobs.evaluate_request(build, "candidate", "s3://b/m")
    assert request["AppSpecification"]["ContainerEntrypoint"] == [
        "python3",
        "/opt/ml/processing/input/code/evaluate.py",
    ]


def test_requirements_are_installed_before_the_script_and_its_arguments_are_kept(
    build: jobs.Build, invalid: Invalid
) -> None:
    request = jobs.prepare_request(replace(build, has_requirements=True), "s3://b/m")
    assert invalid("CreateProcessingJob", request) == ""
    entrypoint = request["AppSpecification"]["ContainerEntrypoint"]
    shell, flag, command, script, *run = entrypoint
    assert (shell, flag, script) == ("/bin/sh", "-c", "/opt/ml/processing/input/code/prepare.py")
    assert command.endswith('exec "$@"')
    assert (run[0], run[-1]) == ("python3", script)
    assert all(len(part) <= 256 and part.isprintable() for part in entrypoint)


@pytest.mark.parametrize("reports", [True, False])
def test_the_prepare_job_writes_down_the_packages_of_its_image(
    build: jobs.Build, invalid: Invalid, reports: bool
) -> None:
    request = jobs.prepare_request(replace(build, reports_packages=reports), "s3://b/m")
    assert invalid("CreateProcessingJob", request) == ""
    assert ("packages" in outputs(request)) is reports
    command = request["AppSpecification"]["ContainerEntrypoint"]
    assert (command[1] == "-c") is reports
    assert command[-1] == "/opt/ml/processing/input/code/prepare.py"


def test_packages_are_listed_before_the_script_runs_as_it_would(tmp_path: Path) -> None:
    code = tmp_path / "processing/input/code"
    code.mkdir(parents=True)
    (code / "prepare.py").write_text("import sys; print(sys.argv, __name__, sys.path[0])")
    command = [
        part.replace("/opt/ml", str(tmp_path))
        for part in jobs.entrypoint("src/prepare.py", install=False, report=True)
    ]
    done = subprocess.run([sys.executable, *command[1:], "--rate", "1"], capture_output=True, text=True)
    script = str(code / "prepare.py")
    assert done.stdout == f"{[script, '--rate', '1']} __main__ {code}\n"
    found = json.loads((tmp_path / "processing/packages/packages.json").read_text())
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["packages"]["pytest"] == pytest.__version__


def test_a_script_runs_even_if_its_packages_cannot_be_listed(tmp_path: Path) -> None:
    code = tmp_path / "processing/input/code"
    code.mkdir(parents=True)
    (code / "prepare.py").write_text("print('ran')")
    (tmp_path / "processing/packages").write_text("a file in the way")
    command = [
        part.replace("/opt/ml", str(tmp_path))
        for part in jobs.entrypoint("src/prepare.py", install=False, report=True)
    ]
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "ran\n")


def run_entrypoint(folder: Path, pip: str) -> subprocess.CompletedProcess[str]:
    """Run the real command, with /opt/ml at `folder` and a `python3` whose pip is a line of shell."""
    python = folder / "bin/python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nif [ "$1" != -m ]; then echo "ran $*"; pwd; exit; fi\n{pip}\n')
    python.chmod(0o755)
    for name in ("output", "processing/input/code"):
        (folder / name).mkdir(parents=True)
    command = [
        part.replace("/opt/ml", str(folder)) for part in jobs.entrypoint("src/prepare.py", install=True)
    ]
    path = f"{python.parent}:/usr/bin:/bin"
    return subprocess.run(
        [*command, "--rate", "1"], capture_output=True, text=True, cwd=folder, env={"PATH": path}
    )


def test_pip_runs_in_the_code_folder_and_the_script_where_it_would_without(tmp_path: Path) -> None:
    done = run_entrypoint(tmp_path, pip='echo "pip in $PWD"')
    code = tmp_path / "processing/input/code"
    assert done.stdout.splitlines() == [f"pip in {code}", f"ran {code}/prepare.py --rate 1", str(tmp_path)]
    assert not (tmp_path / "output/message").exists()


def test_a_failing_installation_says_what_failed_and_runs_no_script(tmp_path: Path) -> None:
    done = run_entrypoint(tmp_path, pip='echo "ERROR: No matching distribution found for nosuch" >&2; exit 1')
    assert done.returncode == 1
    assert "ran" not in done.stdout
    assert "nosuch" in done.stderr
    said = (tmp_path / "output/message").read_text()
    assert said == "requirements.txt:\nERROR: No matching distribution found for nosuch\n"


def test_training_is_script_mode_over_the_runs_splits(build: jobs.Build, invalid: Invalid) -> None:
    request = jobs.training_request(build, "train-0", {"alpha": "1e-05", "penalty": '"l2"'})
    assert invalid("CreateTrainingJob", request) == ""
    assert request["TrainingJobName"] == "sluice--reviews-sentiment-00001-train-0"
    hyperparameters = {name: json.loads(value) for name, value in request["HyperParameters"].items()}
    assert hyperparameters == {
        "alpha": 1e-5,
        "penalty": "l2",
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": build.locations.sourcedir("f" * 64),
        "sagemaker_region": "eu-central-1",
        "sagemaker_container_log_level": 20,
    }
    run = "s3://artifacts/runs/reviews-sentiment/reviews-sentiment-00001"
    channels = {
        c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in request["InputDataConfig"]
    }
    assert channels == {split: f"{run}/prepare/{split}/" for split in ("train", "validation")}
    assert request["OutputDataConfig"] == {"S3OutputPath": f"{run}/train"}
    assert request["AlgorithmSpecification"]["MetricDefinitions"] == [
        {"Name": "validation:accuracy", "Regex": "validation accuracy: ([0-9.]+)"}
    ]
    assert request["ResourceConfig"] == {
        "InstanceType": "ml.m5.large",
        "InstanceCount": 1,
        "VolumeSizeInGB": 10,
    }
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}


def test_no_hyperparameter_replaces_a_reserved_one(build: jobs.Build) -> None:
    request = jobs.training_request(build, "train-0", {"sagemaker_program": '"evil.py"'})
    assert request["HyperParameters"]["sagemaker_program"] == '"train.py"'


@pytest.mark.parametrize(
    ("step", "kind"),
    [("prepare", "processing_job"), ("train-12", "training_job"), ("evaluate-champion", "processing_job")],
)
def test_a_step_has_its_kind_of_job(step: str, kind: str) -> None:
    assert jobs.kind_of(step) == kind


TRAINED = {
    "TrainingJobName": "ab-00001-train-0",
    "TrainingJobArn": "arn:aws:sagemaker:eu-central-1:1:training-job/ab-00001-train-0",
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://b/model.tar.gz"},
    "AlgorithmSpecification": {"TrainingImage": IMAGE},
    "FinalMetricDataList": [{"MetricName": "validation:accuracy", "Value": 0.5, "Timestamp": AT}],
    "TrainingStartTime": AT,
    "TrainingEndTime": AT,
}
PROCESSED = {
    "ProcessingJobName": "ab-00001-prepare",
    "ProcessingJobArn": "arn:aws:sagemaker:eu-central-1:1:processing-job/ab-00001-prepare",
    "ProcessingJobStatus": "Completed",
    "AppSpecification": {"ImageUri": IMAGE},
    "ProcessingOutputConfig": {
        "Outputs": [{"OutputName": "train", "S3Output": {"S3Uri": "s3://b/train", "LocalPath": "/opt/ml/x"}}]
    },
    "ProcessingStartTime": AT,
}


def test_a_training_jobs_result_has_its_model_and_metrics() -> None:
    assert jobs.job_result("training_job", TRAINED, "train-0") == {
        "step": "train-0",
        "kind": "training_job",
        "job_name": "ab-00001-train-0",
        "job_arn": "arn:aws:sagemaker:eu-central-1:1:training-job/ab-00001-train-0",
        "status": "Completed",
        "usage": {"billed_s": 0.0},
        "outputs": {"model": "s3://b/model.tar.gz"},
        "model_uri": "s3://b/model.tar.gz",
        "metrics": {"validation:accuracy": 0.5},
        "image": IMAGE,
        "started_at": "2026-03-01T10:00:00.000Z",
        "ended_at": "2026-03-01T10:00:00.000Z",
    }


def test_a_training_that_was_stopped_before_it_wrote_a_model_has_no_output() -> None:
    stopped = {name: value for name, value in TRAINED.items() if name != "ModelArtifacts"}
    found = jobs.job_result("training_job", {**stopped, "TrainingJobStatus": "Stopped"}, "train-0")
    assert (found["outputs"], found["model_uri"]) == ({}, None)


def test_a_processing_jobs_result_has_its_outputs() -> None:
    assert jobs.job_result("processing_job", PROCESSED, "prepare") == {
        "step": "prepare",
        "kind": "processing_job",
        "job_name": "ab-00001-prepare",
        "job_arn": "arn:aws:sagemaker:eu-central-1:1:processing-job/ab-00001-prepare",
        "status": "Completed",
        "usage": {},
        "outputs": {"train": "s3://b/train"},
        "model_uri": None,
        "metrics": {},
        "image": IMAGE,
        "started_at": "2026-03-01T10:00:00.000Z",
        "ended_at": None,
    }


@pytest.mark.parametrize(
    ("status", "terminal"),
    [("InProgress", False), ("Stopping", False), ("Completed", True), ("Failed", True), ("Stopped", True)],
)
def test_a_job_has_ended_when_its_status_says_so(status: str, terminal: bool) -> None:
    assert jobs.is_terminal("training_job", {"TrainingJobStatus": status}) is terminal
    assert jobs.is_terminal("processing_job", {"ProcessingJobStatus": status}) is terminal
