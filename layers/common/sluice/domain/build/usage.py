"""Read from a job's description what it used, as its step records it and `costs` prices it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sluice.domain.times import from_iso, later


def of_job(
    kind: Literal["training_job", "processing_job", "transform_job"], description: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `billed_s`, `instance_type`, `instance_count` and `volume_gb`, if the description has them.

    A description that brings its own `Usage`, as that of a job on Lambda does, has the last word.
    """
    if "Usage" in description:
        return dict(description["Usage"])
    read = {"training_job": _training, "transform_job": _transform}.get(kind, _processing)
    return {name: value for name, value in read(description).items() if value is not None}


def took_s(step: Mapping[str, Any]) -> float | None:
    """Return how long a step took, by its attributes; on Lambda with its cold start, as it is billed."""
    usage = step.get("usage") or {}
    if step.get("backend") == "lambda" and not step.get("cached") and "billed_s" in usage:
        return float(usage["billed_s"])
    return seconds(step.get("started_at"), step.get("ended_at"))


def began_at(step: Mapping[str, Any]) -> str | None:
    """Return when a step began, by its attributes: before what `took_s` counts, on Lambda the cold start."""
    ended, took = step.get("ended_at"), took_s(step)
    return later(ended, -took) if ended and took is not None else step.get("started_at")


def seconds(start: str | None, end: str | None) -> float | None:
    """Return the seconds between two times as the catalog has them; None if one is missing."""
    if not start or not end:
        return None
    return (from_iso(end) - from_iso(start)).total_seconds()


def _training(description: Mapping[str, Any]) -> dict[str, Any]:
    """A training job on spot instances is billed for fewer seconds than it ran: BillableTimeInSeconds."""
    resources = description.get("ResourceConfig", {})
    ran_s = description.get("TrainingTimeInSeconds")
    between_s = _between(description.get("TrainingStartTime"), description.get("TrainingEndTime"))
    billed_s = description.get("BillableTimeInSeconds", ran_s)
    return {
        "billed_s": between_s if billed_s is None else billed_s,
        "ran_s": ran_s if description.get("EnableManagedSpotTraining") else None,
        "is_spot": description.get("EnableManagedSpotTraining") or None,
        **_instances(resources),
    }


def _processing(description: Mapping[str, Any]) -> dict[str, Any]:
    cluster = description.get("ProcessingResources", {}).get("ClusterConfig", {})
    started, ended = description.get("ProcessingStartTime"), description.get("ProcessingEndTime")
    return {"billed_s": _between(started, ended), **_instances(cluster)}


def _transform(description: Mapping[str, Any]) -> dict[str, Any]:
    started, ended = description.get("TransformStartTime"), description.get("TransformEndTime")
    return {"billed_s": _between(started, ended), **_instances(description.get("TransformResources", {}))}


def _instances(resources: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "instance_type": resources.get("InstanceType"),
        "instance_count": resources.get("InstanceCount"),
        "volume_gb": resources.get("VolumeSizeInGB"),
    }


def _between(started: datetime | None, ended: datetime | None) -> float | None:
    """Return the seconds in between; 0 for a job that ended before its instances were there."""
    if ended is None:
        return None
    return max(0.0, (ended - started).total_seconds()) if started else 0.0
