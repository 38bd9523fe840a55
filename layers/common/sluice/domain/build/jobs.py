"""Make the requests that start SageMaker jobs, and read the jobs' descriptions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from sluice.domain import names, tags
from sluice.domain.build import candidates, package_lists, usage
from sluice.domain.locations import Locations
from sluice.domain.times import to_iso
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.config.models import Compute, PipelineConfig, TrainCompute

JobKind = Literal["training_job", "processing_job", "pipeline_execution"]
Request = dict[str, Any]
SPLITS = ("train", "validation", "test")
EVALUATION_FILE = "evaluation.json"
_PROCESSING = "/opt/ml/processing"
_CODE = f"{_PROCESSING}/input/code"
# pip runs in the code folder, as in SageMaker's training and inference toolkits: there
# paths in a requirements.txt begin. Its errors are the job's ExitMessage. An argument of an
# entry point has at most 256 characters.
_INSTALL_AND_RUN = (
    'e=/opt/ml/output/message;mkdir -p ${e%/*};(cd "${0%/*}"&&python3 -m pip install -q '
    "-r requirements.txt)2>$e.log||{ cat $e.log>&2;"
    "(echo requirements.txt:;grep -ai error $e.log|tail -c 900)>$e;"
    'exit 1;};exec "$@"'
)
# Before the script runs, in its own Python: write the packages that there are, whatever comes of that, and
# become the script. Arguments of an entry point have no line breaks.
_REPORT_AND_RUN = (
    'import os,sys;a=sys.argv;c=a.pop(1);exec("try:\\n exec(c)\\nexcept Exception:0");'
    "os.execv(sys.executable,[sys.executable,*a[1:]])"
)
# An output of the prepare step on SageMaker, and the file in it. On Lambda an environment has a list.
PACKAGES, PACKAGES_FILE = "packages", "packages.json"
_REPORT = ";".join(
    (
        f'p="{_PROCESSING}/{PACKAGES}"',
        "os.makedirs(p,exist_ok=1)",
        f'p+="/{PACKAGES_FILE}"',
        *package_lists.WRITE,
    )
)
# The folder of what candidates write, and whose role they have if a warm pool runs them.
POOLED = "train"
_TERMINAL = {"Completed", "Failed", "Stopped"}
# So many characters of the run's first reason are quoted for each job that it stops.
_FIELDS = {"training_job": "TrainingJob", "processing_job": "ProcessingJob"}


@dataclass(frozen=True, slots=True)
class Build:
    """What all jobs of a run have in common."""

    stack: str
    config: PipelineConfig
    run_id: str
    project_version: str
    artifact_bucket: str
    role_arn: str
    region: str
    has_requirements: bool = False
    image: str | None = None
    # The list of the data's files, if it is not that of the data set.
    files_uri: str | None = None
    # Whether the prepare job is to write down the packages of its image.
    reports_packages: bool = True
    # What a training job starts in place of the script, to do the same, if the project has such a program.
    train_program: str | None = None
    # Where the prepared data are, by split, if not in the run's own folder.
    prepared: Mapping[str, str] | None = None

    @property
    def locations(self) -> Locations:
        return Locations(self.artifact_bucket, self.config.name)

    @property
    def training_image_uri(self) -> str:
        return self.image or self.config.training_image_uri(self.region)

    def prepared_uri(self, split: str) -> str:
        """Return the folder of prepared data: the run's own, or another's that did the same."""
        uri = (self.prepared or {}).get(split) or self.locations.prepared(self.run_id, split)
        return f"{uri.rstrip('/')}/"

    def processing_image_uri(self, compute: Compute) -> str:
        return self.image or self.config.processing_image_uri(self.region, compute)

    def tags_of(self, compute: Compute) -> list[dict[str, str]]:
        """Return a job's tags: those of its step, and those by which the stack knows it."""
        own = {**tags.of_pipeline(self.stack, self.config.name), tags.RUN: self.run_id}
        return tags.listed({**compute.tags, **own})


def on_lambda(build: Build) -> Build:
    """Return what jobs on Lambda have in common: their packages are installed already, and listed."""
    return replace(build, has_requirements=False, reports_packages=False, train_program=None)


def kind_of(step: str) -> JobKind:
    """Return the kind of job that runs a step."""
    if step == names.PIPELINE:
        return "pipeline_execution"
    return "training_job" if step.startswith(names.TRAIN) else "processing_job"


def role_of(build: Build, step: str) -> tuple[str, list[str]]:
    """Return whose role a step's job on SageMaker has, and the run's folders that it writes.

    A warm pool takes the next job only if its role is the former's: then the candidates share one.
    """
    if kind_of(step) == "processing_job":
        return step, [step.replace("-", "/", 1)]
    if build.config.train.compute.keep_alive_s:
        return POOLED, [POOLED]
    job = names.job_name(build.stack, build.run_id, step)
    return step, [f"{POOLED}/{job}", f"{POOLED}/checkpoints/{_first_rung(step)}"]


def _first_rung(step: str) -> str:
    """Return the step that trained the same candidate first."""
    return f"{names.TRAIN}{candidates.place(step)[0]}"


def prepare_request(build: Build, files_uri: str) -> Request:
    """Make the CreateProcessingJob of the prepare step; `files_uri` is the data set's ManifestFile."""
    prepare = build.config.prepare
    written = (*SPLITS, PACKAGES) if build.reports_packages else SPLITS
    outputs = {name: (build.locations.prepared(build.run_id, name), name) for name in written}
    request = processing_request(
        build,
        names.PREPARE,
        prepare.script,
        prepare.compute,
        inputs=[_input("data", files_uri, "input/data", "ManifestFile")],
        outputs=outputs,
    )
    resources = request["ProcessingResources"]["ClusterConfig"]
    resources["InstanceCount"] = prepare.compute.instance_count
    data = request["ProcessingInputs"][-1]["S3Input"]
    data["S3DataDistributionType"] = prepare.compute.s3_data_distribution_type
    arguments = container_arguments(prepare.parameters)
    if arguments:
        request["AppSpecification"]["ContainerArguments"] = arguments
    return request


def evaluate_request(build: Build, role: str, model_uri: str) -> Request:
    """Make the CreateProcessingJob that scores a model (a model.tar.gz) on the run's test data."""
    evaluate = build.config.evaluate
    test_uri = build.prepared_uri("test")
    return processing_request(
        build,
        names.evaluate_step(role),
        evaluate.script,
        evaluate.compute,
        inputs=[_input("model", model_uri, "model"), _input("test", test_uri, "test")],
        outputs={"evaluation": (build.locations.evaluation(build.run_id, role), "evaluation")},
    )


def processing_request(
    build: Build,
    step: str,
    script: str,
    compute: Compute,
    *,
    inputs: list[Request],
    outputs: Mapping[str, tuple[str, str]],
) -> Request:
    """Make the CreateProcessingJob of a script; `outputs` maps names to S3 URI and container folder."""
    code = _input("code", build.locations.code(build.project_version), "input/code")
    return {
        "ProcessingJobName": names.job_name(build.stack, build.run_id, step),
        "RoleArn": build.role_arn,
        "AppSpecification": {
            "ImageUri": build.processing_image_uri(compute),
            "ContainerEntrypoint": entrypoint(
                script, install=build.has_requirements, report=PACKAGES in outputs
            ),
        },
        "ProcessingInputs": [code, *inputs],
        "ProcessingOutputConfig": {
            "Outputs": [_output(name, uri, folder) for name, (uri, folder) in outputs.items()]
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": compute.instance_type,
                "VolumeSizeInGB": compute.volume_gb,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": compute.sagemaker_runtime_s},
        "Environment": {
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONUNBUFFERED": "1",
            **compute.environment,
        },
        **({"NetworkConfig": {"EnableNetworkIsolation": True}} if compute.isolation else {}),
        "Tags": build.tags_of(compute),
    }


def entrypoint(script: str, *, install: bool, report: bool = False) -> list[str]:
    """Return the command that runs a script.

    `install` installs its folder's requirements.txt first; `report` then writes the packages that there are.
    """
    path = f"{_CODE}/{PurePosixPath(script).name}"
    run = ["python3", *(["-c", _REPORT_AND_RUN, _REPORT] if report else []), path]
    # After the command come "$0", which is the script, and then what to run, with the container's arguments.
    return ["/bin/sh", "-c", _INSTALL_AND_RUN, path, *run] if install else run


def container_arguments(parameters: Mapping[str, Any]) -> list[str]:
    """Write parameters as `--name value`; values that are not strings as JSON."""
    return [
        text
        for name, value in parameters.items()
        for text in (f"--{name}", value if isinstance(value, str) else json.dumps(value))
    ]


def _input(
    name: str, uri: str, folder: str, data_type: Literal["S3Prefix", "ManifestFile"] = "S3Prefix"
) -> Request:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{_PROCESSING}/{folder}",
            "S3DataType": data_type,
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }


def _output(name: str, uri: str, folder: str) -> Request:
    return {
        "OutputName": name,
        "S3Output": {"S3Uri": uri, "LocalPath": f"{_PROCESSING}/{folder}", "S3UploadMode": "EndOfJob"},
    }


def training_request(build: Build, step: str, hyperparameters: Mapping[str, str]) -> Request:
    """Make the CreateTrainingJob of a candidate in script mode; hyperparameters are already JSON-encoded."""
    train = build.config.train
    script = PurePosixPath(train.script).name
    started = {package_lists.VARIABLE: script} if build.train_program else {}
    script_mode = {
        "sagemaker_program": build.train_program or script,
        "sagemaker_submit_directory": build.locations.sourcedir(build.project_version),
        "sagemaker_region": build.region,
        "sagemaker_container_log_level": 20,
    }
    return {
        "TrainingJobName": names.job_name(build.stack, build.run_id, step),
        "RoleArn": build.role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": build.training_image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": m.name, "Regex": m.regex} for m in train.metrics if m.regex],
        },
        "HyperParameters": {
            **hyperparameters,
            **{name: json.dumps(value) for name, value in script_mode.items()},
        },
        "InputDataConfig": [
            _channel(
                "train",
                build.prepared_uri("train"),
                train.compute.s3_data_distribution_type,
            ),
            _channel("validation", build.prepared_uri("validation")),
        ],
        "OutputDataConfig": {"S3OutputPath": build.locations.training_output(build.run_id)},
        "ResourceConfig": _training_resources(train.compute),
        **_training_time(build, step, train.compute),
        "EnableNetworkIsolation": train.compute.isolation,
        "Environment": {"PYTHONUNBUFFERED": "1", **train.compute.environment, **started},
        "Tags": build.tags_of(train.compute),
    }


def _training_resources(compute: TrainCompute) -> Request:
    pool = {"KeepAlivePeriodInSeconds": compute.keep_alive_s} if compute.keep_alive_s else {}
    return {
        "InstanceType": compute.instance_type,
        "InstanceCount": compute.instance_count,
        "VolumeSizeInGB": compute.volume_gb,
        **pool,
    }


def _training_time(build: Build, step: str, compute: TrainCompute) -> Request:
    """Return how long the job may take, and where it keeps checkpoints if it may go on from them.

    They lie in the run's folder, so that what AWS interrupts on spot instances, or what another rung of
    successive halving trains with more budget, goes on from there, and no other run does.
    """
    limits = {"MaxRuntimeInSeconds": compute.sagemaker_runtime_s}
    kept = {"CheckpointConfig": {"S3Uri": build.locations.checkpoints(build.run_id, _first_rung(step))}}
    if compute.spot is None:
        goes_on = build.config.train.candidates.budget is not None
        return {"StoppingCondition": limits, **(kept if goes_on else {})}
    return {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {**limits, "MaxWaitTimeInSeconds": compute.spot.max_wait_s},
        **kept,
    }


def _channel(
    name: str, uri: str, distribution: Literal["FullyReplicated", "ShardedByS3Key"] = "FullyReplicated"
) -> Request:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": distribution}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


def job_status(kind: JobKind, description: Mapping[str, Any]) -> str:
    """Return InProgress, Completed, Failed, Stopping or Stopped."""
    if kind == "pipeline_execution":
        from sluice.domain.build.sdk import ends  # few builds run a pipeline of SageMaker

        return ends.status(description)
    return str(description[f"{_FIELDS[kind]}Status"])


def is_terminal(kind: JobKind, description: Mapping[str, Any]) -> bool:
    """Tell whether the job has ended, successfully or not."""
    return has_ended(job_status(kind, description))


def is_running(kind: JobKind, description: Mapping[str, Any]) -> bool:
    """Tell whether the job is running and is not stopping."""
    return job_status(kind, description) == "InProgress"


def has_ended(status: str | None) -> bool:
    """Tell whether a job with this status, SageMaker's or its step's, has ended."""
    return status in _TERMINAL


def job_result(kind: JobKind, description: Mapping[str, Any], step: str) -> dict[str, Any]:
    """Return a job's outcome as the state machine passes it on."""
    if kind == "pipeline_execution":
        from sluice.domain.build.sdk import ends

        return ends.result(description, step)
    field = _FIELDS[kind]
    read = _training_result if kind == "training_job" else _processing_result
    return {
        "step": step,
        "kind": kind,
        "job_name": description[f"{field}Name"],
        "job_arn": description[f"{field}Arn"],
        "status": job_status(kind, description),
        "usage": usage.of_job(kind, description),
        **read(description),
    }


def _training_result(description: Mapping[str, Any]) -> dict[str, Any]:
    # A failed or stopped job may have no model, and JSON has no NaN.
    model_uri = description.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    metrics = description.get("FinalMetricDataList", ())
    return {
        "outputs": {"model": model_uri} if model_uri else {},
        "model_uri": model_uri,
        "metrics": {metric["MetricName"]: _finite(metric["Value"]) for metric in metrics},
        "image": description["AlgorithmSpecification"]["TrainingImage"],
        "started_at": _time(description.get("TrainingStartTime")),
        "ended_at": _time(description.get("TrainingEndTime")),
    }


def _processing_result(description: Mapping[str, Any]) -> dict[str, Any]:
    outputs = description.get("ProcessingOutputConfig", {}).get("Outputs", ())
    return {
        "outputs": {output["OutputName"]: output["S3Output"]["S3Uri"] for output in outputs},
        "model_uri": None,
        "metrics": {},
        "image": description["AppSpecification"]["ImageUri"],
        "started_at": _time(description.get("ProcessingStartTime")),
        "ended_at": _time(description.get("ProcessingEndTime")),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _time(at: datetime | None) -> str | None:
    return None if at is None else to_iso(at)
