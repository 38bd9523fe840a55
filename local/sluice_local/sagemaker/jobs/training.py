"""Run training jobs: channels in, the user's script in each instance's container, the model out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sluice.containers.archives import write_archive
from sluice.containers.configuration import OUT_OF_MEMORY, training_reason
from sluice.containers.data import (
    S3Location,
    Synchronizer,
    download,
    files_below,
    objects_below,
    upload,
)
from sluice.containers.output import Metrics
from sluice.containers.script_mode import Script
from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table, now, operation
from sluice_local.sagemaker.containers.container import OPT_ML, Sandbox
from sluice_local.sagemaker.containers.logs import training_metrics
from sluice_local.sagemaker.containers.metric_summaries import Summaries, Summary, described
from sluice_local.sagemaker.jobs import capacity, cluster, training_setup
from sluice_local.sagemaker.jobs.cluster import End, Instance, Outcome
from sluice_local.sagemaker.jobs.lifecycle import (
    Ending,
    Job,
    JobFailedError,
    JobKind,
    OnMetric,
    epoch_ms,
    submit,
    tag_map,
)

_DEFAULT_MAX_RUNTIME_S = 86400
_DEFAULT_CHECKPOINTS = "/opt/ml/checkpoints"


@operation("CreateTrainingJob")
def create_training_job(scope: Scope, params: dict[str, Any]) -> Item:
    check(params)
    return {"TrainingJobArn": begin(scope, params).arn}


def begin(scope: Scope, params: Item, on_metric: OnMetric | None = None) -> Job:
    """Create the job of a request that was checked; raises ApiError if its name is taken."""
    completed = _completed(params)
    pool = capacity.take_from_pool(TRAINING, scope, params["TrainingJobName"], completed)
    return submit(TRAINING, scope, {**completed, **pool}, on_metric)


def check(params: Item) -> None:
    """Raise ApiError for what the API's model allows but SageMaker or the local one refuses."""
    capacity.check(params)
    algorithm = params["AlgorithmSpecification"]
    if "TrainingImage" not in algorithm:
        raise _invalid("The local SageMaker trains with AlgorithmSpecification.TrainingImage only.")
    if "InstanceCount" not in params.get("ResourceConfig", {}):
        raise _invalid("The local SageMaker needs ResourceConfig.InstanceCount; it has no instance groups.")
    modes = {algorithm["TrainingInputMode"]}
    names = [channel["ChannelName"] for channel in params.get("InputDataConfig", [])]
    if len(names) != len(set(names)) or {".", ".."} & set(names):
        raise _invalid("The channel names of a training job must be unique, and name folders.")
    for channel in params.get("InputDataConfig", []):
        modes.add(channel.get("InputMode", "File"))
        source = channel["DataSource"].get("S3DataSource", {})
        if source.get("S3DataType") not in ("S3Prefix", "ManifestFile"):
            raise _invalid(
                f"Channel {channel['ChannelName']}: the local SageMaker reads an S3DataSource of the type "
                "S3Prefix or ManifestFile."
            )
    if modes - {"File", "FastFile"}:
        raise _invalid("The local SageMaker has the input modes File and FastFile, not Pipe.")
    for definition in algorithm.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise _invalid(f"The Regex of metric {definition['Name']} is not valid: {error}.") from error
    checkpoints = Path(params.get("CheckpointConfig", {}).get("LocalPath", _DEFAULT_CHECKPOINTS))
    if not checkpoints.is_relative_to(OPT_ML) or ".." in checkpoints.parts:
        raise _invalid("CheckpointConfig.LocalPath must be below /opt/ml in the local SageMaker.")


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)


def _completed(params: Item) -> Item:
    """Return the request with the defaults that SageMaker describes."""
    algorithm = {"EnableSageMakerMetricsTimeSeries": False, **params["AlgorithmSpecification"]}
    return {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        **params,
        "AlgorithmSpecification": algorithm,
        "StoppingCondition": {
            "MaxRuntimeInSeconds": _DEFAULT_MAX_RUNTIME_S,
            **params.get("StoppingCondition", {}),
        },
        "InputDataConfig": [_completed_channel(channel) for channel in params.get("InputDataConfig", [])],
        "OutputDataConfig": {"KmsKeyId": "", "CompressionType": "GZIP", **params["OutputDataConfig"]},
    }


def _completed_channel(channel: Item) -> Item:
    source = {"S3DataDistributionType": "FullyReplicated", **channel["DataSource"]["S3DataSource"]}
    defaults = {"CompressionType": "None", "RecordWrapperType": "None"}
    return {**defaults, **channel, "DataSource": {"S3DataSource": source}}


def run(job: Job) -> Ending:
    """Run the job, from the download of data to the upload of the model."""
    clock = capacity.Clock(job.request["StoppingCondition"]["MaxRuntimeInSeconds"])
    job.advance("Downloading", "Downloading input data", TrainingStartTime=now())
    config = job.request["AlgorithmSpecification"]
    summaries: Summaries = defaultdict(Summary)

    def note(name: str, value: float) -> None:
        summaries[name].add(value, now())
        if job.on_metric:
            job.on_metric(name, value)

    metrics = training_metrics(job.scope, job.name, config.get("MetricDefinitions", []), note)
    sandboxes, instances, script, outcome = _train(job, metrics, clock)
    while outcome.end is End.INTERRUPTED:
        clock.pause()
        capacity.after_interruption(job)
        clock.go_on()
        job.advance("Downloading", "Downloading input data")
        sandboxes, instances, script, outcome = _train(job, metrics, clock)
    changes: Item = {
        "FinalMetricDataList": metrics.final(),
        "_MetricSummaries": described(summaries),
        **capacity.left_pool(job.request),
    }
    output = S3Location.of(job.request["OutputDataConfig"]["S3OutputPath"]).within(f"{job.name}/output")
    if outcome.end is not End.FAILED:
        if outcome.end is End.COMPLETED:
            job.advance_unless_stopping("Uploading", "Uploading generated training model")
        changes["ModelArtifacts"] = {"S3ModelArtifacts": str(_upload_model(job, sandboxes, output))}
    _upload_output(job, sandboxes, output)
    changes |= clock.seconds(is_spot=bool(job.request["EnableManagedSpotTraining"]))
    if outcome.end is End.FAILED:
        ml, command = sandboxes[outcome.index].ml, instances[outcome.index].command
        reason = training_reason(ml, command, script, outcome.exit_code, outcome.traceback)
        raise JobFailedError(OUT_OF_MEMORY if outcome.is_out_of_memory else reason, changes)
    return Ending(*_ENDINGS[outcome.end], changes)


def _train(
    job: Job, metrics: Metrics, clock: capacity.Clock
) -> tuple[list[Sandbox], list[Instance], Script | None, Outcome]:
    """Run the containers on instances of their own, with what the last ones left as checkpoints."""
    sandboxes, script = training_setup.prepare(job)
    with _checkpoints(job, sandboxes):
        job.advance("Training", "Training image download completed. Training in progress.")
        instances = training_setup.instances(job, sandboxes, script)
        outcome = cluster.run(job, instances, clock.left_s, metrics)
    return sandboxes, instances, script, outcome


_ENDINGS = {
    End.COMPLETED: ("Completed", "Completed"),
    End.STOPPED: ("Stopped", "Stopped"),
    End.MAX_RUNTIME: ("Stopped", "MaxRuntimeExceeded"),
}


@contextmanager
def _checkpoints(job: Job, sandboxes: Sequence[Sandbox]) -> Iterator[None]:
    """Restore existing checkpoints, and upload new ones while they are written."""
    config = job.request.get("CheckpointConfig")
    if config is None:
        yield
        return
    target = S3Location.of(config["S3Uri"])
    synchronizers = []
    for sandbox in sandboxes:
        folder = sandbox.outside(config.get("LocalPath", _DEFAULT_CHECKPOINTS))
        folder.mkdir(parents=True, exist_ok=True)
        download(job.storage, objects_below(job.storage, target), folder)
        synchronizers.append(Synchronizer(job.storage, folder, target))
    try:
        yield
    finally:
        for synchronizer in synchronizers:
            synchronizer.finish()


def _upload_model(job: Job, sandboxes: Sequence[Sandbox], output: S3Location) -> S3Location:
    folders = [sandbox.ml / "model" for sandbox in sandboxes]
    if job.request["OutputDataConfig"]["CompressionType"] == "NONE":
        for folder in folders:
            upload(job.storage, folder, output.within("model"))
        return output.within("model/")
    return _upload_archive(job, folders, output.within("model.tar.gz"))


def _upload_output(job: Job, sandboxes: Sequence[Sandbox], output: S3Location) -> None:
    folders = [sandbox.ml / "output" / "data" for sandbox in sandboxes]
    if any(any(files_below(folder)) for folder in folders if folder.is_dir()):
        _upload_archive(job, folders, output.within("output.tar.gz"))


def _upload_archive(job: Job, folders: Sequence[Path], target: S3Location) -> S3Location:
    archive = job.directory / target.key.rpartition("/")[2]
    write_archive(archive, folders)
    job.storage.write(target, archive)
    return target


def _status_changes(kind: JobKind, item: Item, status: str, secondary_status: str, message: str) -> Item:
    """Return a training job's status, its secondary status, and the latter's history."""
    moment = now()
    transitions: list[Item] = item.get("SecondaryStatusTransitions", [])
    if transitions and "EndTime" not in transitions[-1]:
        transitions[-1]["EndTime"] = moment
    transition = {"Status": secondary_status, "StartTime": moment, "StatusMessage": message}
    if secondary_status in _FINAL:
        transition["EndTime"] = moment
    return {
        kind.status_key: status,
        "SecondaryStatus": secondary_status,
        "SecondaryStatusTransitions": [*transitions, transition],
    }


_FINAL = ("Completed", "Failed", "Stopped", "MaxRuntimeExceeded")
_EVENT_MEMBERS = (
    *("TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "SecondaryStatus", "FailureReason"),
    *("HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig"),
    *("ResourceConfig", "VpcConfig", "StoppingCondition", "CheckpointConfig", "ModelArtifacts"),
    "FinalMetricDataList",
)
_EVENT_TIMES = ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")


def _event_detail(item: Item) -> Item:
    detail: Item = {"HyperParameters": {}, "VpcConfig": {}}
    detail |= {name: item[name] for name in _EVENT_MEMBERS if name in item}
    detail |= {name: epoch_ms(item[name]) for name in _EVENT_TIMES if name in item}
    detail["SecondaryStatusTransitions"] = [
        {name: epoch_ms(value) if name.endswith("Time") else value for name, value in transition.items()}
        for transition in item["SecondaryStatusTransitions"]
    ]
    if "FinalMetricDataList" in item:
        detail["FinalMetricDataList"] = [
            {**metric, "Timestamp": epoch_ms(metric["Timestamp"])} for metric in item["FinalMetricDataList"]
        ]
    return {**detail, "Tags": tag_map(item)}


TRAINING = JobKind(
    noun="Training",
    table=Table("training job", "training-job", "TrainingJobName"),
    run=run,
    event_detail=_event_detail,
    status_changes=_status_changes,
)
