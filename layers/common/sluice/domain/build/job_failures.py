"""Say why a job did not complete, in words that tell what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.containers import instances
from sluice.containers.configuration import OUT_OF_MEMORY
from sluice.domain import failures
from sluice.domain.build import log_tails
from sluice.domain.build.jobs import job_status

if TYPE_CHECKING:
    from sluice.domain.build.jobs import JobKind

# SageMaker's text for a script that wrote no message of its own.
_BARE_EXIT = re.compile(r"(?P<error>\w+): , exit code: (?P<code>-?\d+)")
# SIGKILL, as a container says it or as SageMaker's training toolkit does of the script that it ran.
_KILLED = re.compile(r"\w+: (, exit code: 137|ExecuteUserScriptError:\s*ExitCode (137|-9)\b.*)", re.DOTALL)
# What S3 says of an input that is not there, where it is a split of the run's prepared data.
_NO_SPLIT = re.compile(r'No S3 objects found under S3 URL "(?P<uri>\S*/prepare/(?P<split>\w+)/?)"')
_REASON_SHOWN = 300
_FILES_SHOWN = 3
_READERS = {
    "train": "which train's script reads (SM_CHANNEL_TRAIN)",
    "validation": "which train's script reads (SM_CHANNEL_VALIDATION)",
    "test": "which evaluate's script reads",
}


def failure_reason(kind: JobKind, description: Mapping[str, Any]) -> str:
    """Say why a job that has ended did not complete."""
    if kind == "pipeline_execution":
        from sluice.domain.build.sdk import ends  # few builds run a pipeline of SageMaker

        return ends.failure(description)
    if description.get("LimitReached"):
        return str(description["FailureReason"])
    if told := _overran(kind, description):
        return told
    said = description.get("FailureReason") or description.get("ExitMessage")
    if not said:
        return f"it is {job_status(kind, description)}, without a reason given"
    if said.startswith(OUT_OF_MEMORY.rstrip(".")) or _KILLED.fullmatch(said):
        return _killed(description, is_certain=said.startswith("ClientError"))
    if empty := _NO_SPLIT.search(said):
        written = f"/opt/ml/processing/{empty['split']}"
        return f"{empty['uri']} is empty: what prepare wrote to {written} is gone; `sluice start --no-cache`"
    if exited := _BARE_EXIT.fullmatch(said):
        return f"{exited['error']}: {log_tails.ended_with(exited['code'])}; its log says why"
    return str(said)


def unprepared(empty: Mapping[str, Sequence[str]]) -> str | None:
    """Say which splits `prepare` left empty, each with its empty files; None if there is none."""
    if not empty:
        return None
    told = []
    for split, files in empty.items():
        said = f"only empty files ({', '.join(files[:_FILES_SHOWN])})" if files else "no file"
        told.append(f"{said} to /opt/ml/processing/{split}, {_READERS[split]}")
    return f"prepare's script wrote {' and '.join(told)}: write the split there, whatever file it is"


def _overran(kind: JobKind, description: Mapping[str, Any]) -> str | None:
    """Say so if a job ran as long as it may; of a processing job only its times tell."""
    most_s = description.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
    started, ended = (description.get(f"Processing{end}Time") for end in ("Start", "End"))
    is_over = description.get("SecondaryStatus") == "MaxRuntimeExceeded"
    is_silent = not (description.get("FailureReason") or description.get("ExitMessage"))
    if kind == "processing_job" and is_silent and started and ended and most_s:
        is_over |= (ended - started).total_seconds() >= most_s
    allowed = "" if most_s is None else f", {most_s} s"
    return f"{failures.RAN_LONGER}max_runtime_s{allowed}" if is_over else None


def _killed(description: Mapping[str, Any], *, is_certain: bool) -> str:
    """Say what ended a script on SageMaker that nobody stopped: the kernel of its instance."""
    resources = description.get("ResourceConfig") or description.get("ProcessingResources", {}).get(
        "ClusterConfig", {}
    )
    instance_type = resources.get("InstanceType", "its instance type")
    memory_mb = instances.memory_mb(instance_type)
    has = f"{instance_type} has {memory_mb / 1024:g} GB" if memory_mb else f"it ran on {instance_type}"
    likely = "" if is_certain else ", most likely: it was killed (exit code 137)"
    advice = "Name one with more memory in compute.instance_type, or read less data at once"
    return f"{failures.OUT_OF_MEMORY}{likely}: {has}. {advice}"


def stop_reason(run_status: str, reasons: Sequence[str]) -> str:
    """Say why a job is stopped: its run has ended."""
    first = f" ({reasons[0][:_REASON_SHOWN]})" if reasons else ""
    return f"stopped by sluice, as its run had ended as {run_status}{first}"
