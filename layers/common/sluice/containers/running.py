"""Run one job as SageMaker's platform does: data in, the script unchanged, outputs and a result out.

Paths in the request are those of the container: this process must see the job's folder as /opt/ml.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from sluice.containers import configuration, script_mode
from sluice.containers.archives import write_archive
from sluice.containers.data import (
    DataError,
    S3Location,
    Source,
    Storage,
    Synchronizer,
    at_once,
    download,
    download_all,
    files_below,
    objects_below,
    upload,
)
from sluice.containers.environments import Python
from sluice.containers.output import Metrics, Transcript
from sluice.containers.processes import Process, Waiting, end_children, left_running, seen_below, told_of
from sluice.containers.script_mode import Host, Script, ScriptError

Item = dict[str, Any]
Limit = Literal["memory", "time", "disk"]
OPT_ML = Path("/opt/ml")
_CHECKPOINTS = "/opt/ml/checkpoints"
_REASON_LENGTH = 1024
STOPPED_BEFORE = "it was stopped before it began"
_TAIL_LINES = 20
_STOP_GRACE_S = 10.0
_LOOK_EVERY_S = 1.0
# So little space means that the script ended for want of it.
_DISK_IS_FULL_BYTES = 16 << 20
_KILLED = 137
# The rest of the memory is the runtime's, and what was taken since the last look.
_MOST = 0.6


@dataclass(frozen=True, slots=True)
class Job:
    """A request to SageMaker, and what the place where it runs adds to it."""

    kind: Literal["training_job", "processing_job"]
    name: str
    arn: str
    request: Mapping[str, Any]
    variables: Mapping[str, str]
    """Of its container: credentials, region."""
    cpus: int
    memory_mb: int
    seconds: float
    """After which the script is stopped, whatever the request allows."""


@dataclass(slots=True)
class Ending:
    """How a job ended; `changes` are those of its description, with times in seconds since 1970."""

    status: Literal["Completed", "Failed", "Stopped"]
    secondary_status: str = ""
    reason: str = ""
    limit: Limit | None = None
    """The limit of the place, which another place may not have."""
    changes: Item = field(default_factory=dict)
    peak_mb: int = 0
    script_s: float = 0.0
    """How long the script's process was there."""
    tail: Sequence[str] = ()
    left_behind: str = ""
    """What a script that ended by itself left running, and was ended here; empty if nothing."""
    written: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Of objects that it wrote, by URI: version and sha256."""

    def item(self) -> Item:
        """Return what a description of the job is completed with."""
        return {
            "status": self.status,
            "secondary_status": self.secondary_status or self.status,
            "reason": self.reason[:_REASON_LENGTH],
            "limit": self.limit,
            "changes": self.changes,
            "peak_memory_mb": self.peak_mb,
            "log_tail": list(self.tail),
            "left_behind": self.left_behind,
            "written": self.written,
        }


class Log(Protocol):
    """Where the lines of a job go."""

    def write(self, lines: Sequence[str]) -> None: ...
    def flush(self) -> None: ...


class _FailedError(Exception):
    """The job fails for this reason."""


@dataclass(frozen=True, slots=True)
class _Work:
    command: list[str]
    variables: Mapping[str, str]
    working_dir: Path
    script: Script | None = None


def run(
    job: Job,
    storage: Storage,
    python: Python,
    log: Log,
    is_stopped: Callable[[], bool],
    waiting: Waiting,
    when_packed: Callable[[], object],
) -> Ending:
    """Run the job in an empty /opt/ml; every end is an Ending, never an error.

    `when_packed` is called once nothing is left to do but requests, if it comes to that.
    """
    started = time.time()
    process: Process | None = None
    left: Sequence[str] = ()
    metrics = Metrics(job.request.get("AlgorithmSpecification", {}).get("MetricDefinitions", []), time.time)
    transcript = Transcript(log.write, metrics)
    try:
        was_stopped, work = at_once(is_stopped, lambda: _prepared(job, storage, python))
        if was_stopped:
            return Ending("Stopped", reason=STOPPED_BEFORE)
        if isinstance(work, Exception):
            raise work
        with _synchronized(job, storage):
            process = Process(python.command(work.command), work.variables, work.working_dir, waiting)
            follower = transcript.following(process.output, process.has_ended)
            how = _watch(job, process, is_stopped, started)
            if how == "itself":
                left = left_running(lambda: waiting.pids | metrics.pids)
            follower.join()
            log.flush()
            # Whatever it left running would change what is uploaded from here on.
            end_children(waiting.pids, seen_below)
        ending = _ended(job, storage, work, process, transcript, how, when_packed)
    except (DataError, ScriptError, _FailedError, OSError) as error:
        ending = _broken(error)
        if isinstance(error, DataError | OSError):
            transcript.note(str(error))
    if process is not None:
        ending.peak_mb, ending.script_s = process.peak_mb, process.ran_s
    if left:
        # Behind the script's own words, which say why it failed.
        ending.left_behind = told_of(left)
        transcript.note(ending.left_behind)
    ending.tail = transcript.tail(_TAIL_LINES)
    kind = "Training" if job.kind == "training_job" else "Processing"
    if kind == "Training":
        ending.changes["FinalMetricDataList"] = metrics.final()
    ending.changes |= {f"{kind}StartTime": started, f"{kind}EndTime": time.time()}
    return ending


def _broken(error: Exception) -> Ending:
    """End a job whose data or script are not to be had."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return Ending("Failed", reason="its disk was full", limit="disk")
    if isinstance(error, _FailedError):
        return Ending("Failed", reason=str(error))
    if isinstance(error, ScriptError):
        return Ending("Failed", reason=f"AlgorithmError: the code cannot be used: {error}")
    return Ending("Failed", reason=f"ClientError: {error}")


# ------------------------------------------------------------------------------------------------- before it


def _prepared(job: Job, storage: Storage, python: Python) -> _Work | Exception:
    """Return the work, or why there is none, which says nothing if the job was stopped meanwhile."""
    try:
        return (_training if job.kind == "training_job" else _processing)(job, storage, python)
    except (DataError, ScriptError, _FailedError, OSError) as error:
        return error


def _training(job: Job, storage: Storage, python: Python) -> _Work:
    request = job.request
    algorithm = request["AlgorithmSpecification"]
    script = script_mode.script_of(request.get("HyperParameters", {}), request.get("Environment", {}))
    if script is None and "ContainerEntrypoint" not in algorithm:
        raise _FailedError(
            "AlgorithmError: there is nothing to run: give the hyperparameters sagemaker_program and "
            "sagemaker_submit_directory, or AlgorithmSpecification.ContainerEntrypoint."
        )
    (name,) = configuration.host_names(1)
    host = Host(name, [name], request["ResourceConfig"].get("InstanceType", ""), job.cpus)
    configuration.write_training(OPT_ML, request, host)
    sources = []
    for channel in request.get("InputDataConfig", []):
        folder = OPT_ML / "input" / "data" / channel["ChannelName"]
        folder.mkdir()
        is_zipped = channel.get("CompressionType") == "Gzip"
        sources.append(Source(channel["DataSource"]["S3DataSource"], folder, is_zipped))
    code = None if "ContainerEntrypoint" in algorithm else script

    def fetch_code() -> None:
        if code is not None:
            script_mode.fetch_code(storage, code, OPT_ML)

    at_once(lambda: download_all(storage, sources), fetch_code)
    variables = {
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
        "SM_MODEL_DIR": script_mode.MODEL_DIR,
    }
    if code is None:
        command = [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", [])]
        return _Work(command, _variables(job, python, variables), OPT_ML / "code")
    channels = configuration.input_data_config(request)
    variables |= script_mode.variables(code, job.name, host, channels, algorithm.get("TrainingImage", ""))
    variables["PYTHONPATH"] = script_mode.CODE_DIR
    is_package = (OPT_ML / "code" / "setup.py").is_file()
    return _Work(
        code.command(is_package), _variables(job, python, variables), Path(script_mode.CODE_DIR), code
    )


def _processing(job: Job, storage: Storage, python: Python) -> _Work:
    request = job.request
    hosts = configuration.host_names(1)
    configuration.write_processing(OPT_ML, job.arn, request, hosts[0], hosts)
    for output in configuration.outputs_of(request):
        _inside(output["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    sources = []
    for given in request.get("ProcessingInputs", []):
        source = given["S3Input"]
        folder = _inside(source["LocalPath"])
        folder.mkdir(parents=True, exist_ok=True)
        sources.append(Source(source, folder, source.get("S3CompressionType") == "Gzip"))
    download_all(storage, sources)
    application = request["AppSpecification"]
    command = [*application["ContainerEntrypoint"], *application.get("ContainerArguments", [])]
    variables = {"PROCESSING_JOB_NAME": job.name, "PROCESSING_JOB_ARN": job.arn}
    return _Work(command, _variables(job, python, variables), OPT_ML / "processing")


def _variables(job: Job, python: Python, own: Mapping[str, str]) -> dict[str, str]:
    return {**python.variables, **job.variables, **own, **job.request.get("Environment", {})}


def _inside(path: str) -> Path:
    """Check that a path is below /opt/ml."""
    normal = Path(os.path.normpath(path))
    if OPT_ML not in normal.parents:
        raise _FailedError(f"ClientError: {path} is not below {OPT_ML}")
    return normal


# ---------------------------------------------------------------------------------------------- while it runs


@contextmanager
def _synchronized(job: Job, storage: Storage) -> Iterator[None]:
    """Restore checkpoints, and upload new ones and continuous outputs while they are written."""
    followed = []
    if checkpoints := job.request.get("CheckpointConfig"):
        folder = _inside(checkpoints.get("LocalPath", _CHECKPOINTS))
        target = S3Location.of(checkpoints["S3Uri"])
        folder.mkdir(parents=True, exist_ok=True)
        download(storage, objects_below(storage, target), folder)
        followed.append((folder, target))
    for output in configuration.outputs_of(job.request):
        if output["S3Output"]["S3UploadMode"] == "Continuous":
            target = S3Location.of(output["S3Output"]["S3Uri"])
            followed.append((_inside(output["S3Output"]["LocalPath"]), target))
    synchronizers = [Synchronizer(storage, folder, target) for folder, target in followed]
    try:
        yield
    finally:
        for synchronizer in synchronizers:
            synchronizer.finish()


def _watch(
    job: Job, process: Process, is_stopped: Callable[[], bool], started: float
) -> Literal["itself", "stopped", "max runtime", "time"]:
    """Follow the process to its end; say what ended it."""
    own_end = time.monotonic() + job.request["StoppingCondition"]["MaxRuntimeInSeconds"]
    last = time.monotonic() + job.seconds - (time.time() - started)
    how: Literal["itself", "stopped", "max runtime", "time"] = "itself"
    while not process.wait(max(0.0, min(_LOOK_EVERY_S, own_end - time.monotonic(), last - time.monotonic()))):
        now = time.monotonic()
        if now >= last:
            how = "time"
        elif now >= own_end:
            how = "max runtime"
        elif is_stopped():
            how = "stopped"
        if how != "itself":
            process.stop(_STOP_GRACE_S)
    return how


# --------------------------------------------------------------------------------------------------- after it


def _ended(
    job: Job,
    storage: Storage,
    work: _Work,
    process: Process,
    transcript: Transcript,
    how: str,
    when_packed: Callable[[], object],
) -> Ending:
    if how == "time":
        reason = f"it ran longer than the {job.seconds:.0f} s that Lambda leaves a script"
        return Ending("Failed", "MaxRuntimeExceeded", reason, "time")
    if how == "max runtime" and job.kind == "processing_job":
        return Ending("Stopped", "MaxRuntimeExceeded", "it ran longer than max_runtime_s")
    failed = how == "itself" and process.exit_code != 0
    save = _save_training if job.kind == "training_job" else _save_processing
    changes = save(job, storage, failed, when_packed)
    if not failed:
        status: Literal["Completed", "Stopped"] = "Completed" if how == "itself" else "Stopped"
        secondary = "MaxRuntimeExceeded" if how == "max runtime" else ""
        return Ending(status, secondary, changes=changes)
    if process.exit_code == _KILLED:
        return _killed(process.peak_mb, job.memory_mb, changes)
    if shutil.disk_usage(OPT_ML.resolve()).free < _DISK_IS_FULL_BYTES:
        reason = f"its disk was full: the script ended with exit code {process.exit_code}"
        return Ending("Failed", reason=reason, limit="disk", changes=changes)
    if job.kind == "processing_job":
        reason = configuration.processing_reason(OPT_ML, process.exit_code)
    else:
        traceback = transcript.traceback()
        reason = configuration.training_reason(
            OPT_ML, work.command, work.script, process.exit_code, traceback
        )
    return Ending("Failed", reason=reason, changes=changes)


def _killed(peak_mb: int, memory_mb: int, changes: Item) -> Ending:
    """End a job whose script got a SIGKILL that nobody here sent: the kernel's, if it held that much."""
    if peak_mb >= _MOST * memory_mb:
        reason = f"it was ended for want of memory: it held {peak_mb} MB of {memory_mb}"
        return Ending("Failed", reason=reason, limit="memory", changes=changes)
    held = f"it held {peak_mb} MB of {memory_mb}"
    reason = f"AlgorithmError: the script was killed (SIGKILL), and not for want of memory: {held}"
    return Ending("Failed", reason=reason, changes=changes)


def _save_training(job: Job, storage: Storage, failed: bool, when_packed: Callable[[], object]) -> Item:
    output = S3Location.of(job.request["OutputDataConfig"]["S3OutputPath"]).within(f"{job.name}/output")
    data = OPT_ML / "output" / "data"
    if any(files_below(data)):
        _send(storage, _packed(data), output.within("output.tar.gz"))
    if failed:
        return {}
    if job.request["OutputDataConfig"].get("CompressionType") == "NONE":
        when_packed()
        upload(storage, OPT_ML / "model", output.within("model"))
        return {"ModelArtifacts": {"S3ModelArtifacts": str(output.within("model/"))}}
    model = output.within("model.tar.gz")
    archive = _packed(OPT_ML / "model")
    when_packed()
    _send(storage, archive, model)
    return {"ModelArtifacts": {"S3ModelArtifacts": str(model)}}


def _packed(folder: Path) -> Path:
    archive = OPT_ML / "packed.tar.gz"
    write_archive(archive, [folder])
    return archive


def _send(storage: Storage, archive: Path, target: S3Location) -> None:
    storage.write(target, archive)
    archive.unlink()


def _save_processing(job: Job, storage: Storage, failed: bool, when_packed: Callable[[], object]) -> Item:
    when_packed()
    if not failed:
        for output in configuration.outputs_of(job.request):
            if output["S3Output"]["S3UploadMode"] == "EndOfJob":
                folder, uri = output["S3Output"]["LocalPath"], output["S3Output"]["S3Uri"]
                upload(storage, _inside(folder), S3Location.of(uri))
    message = configuration.exit_message(OPT_ML)
    return {"ExitMessage": message} if message else {}
