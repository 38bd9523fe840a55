"""Show how a live model does: its windows of requests and of labels, and its alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.records.monitoring import LabelWindow, Watch, Window
from sluice.domain.config.prediction_metrics import METRICS
from sluice.ports import Cloud
from sluice.services.monitoring import watched
from sluice.services.release import releasing

if TYPE_CHECKING:
    from sluice.domain.config.monitor import Monitor

WINDOWS = 10


def monitoring(
    cloud: Cloud, pipeline: str, stage: str | None = None, limit: int = WINDOWS
) -> list[dict[str, Any]]:
    """List the stages that are watched, with their newest windows, the newest first."""
    return [_stage(found, limit) for found in watched.find(cloud, pipeline, stage)]


def watched_stages(cloud: Cloud, pipeline: str) -> list[str]:
    """Name the stages that are watched, in the order of a release."""
    placed = {each.name: each.position or 0 for each in releasing.find_stages(cloud, pipeline)}
    return sorted(
        (each.stage for each in watched.find(cloud, pipeline)), key=lambda name: (placed[name], name)
    )


def _stage(found: watched.Watched, limit: int) -> dict[str, Any]:
    cloud, pipeline, stage = found.cloud, found.pipeline, found.stage
    item = cloud.catalog.get(keys.monitor_key(pipeline, stage))
    watch = Watch.of(item) if item else None
    labels = [_labels(LabelWindow.of(each)) for each in _newest(found, keys.label_windows_of(stage), limit)]
    return {
        "stage": stage,
        "endpoint_name": found.endpoint_name,
        "release_id": found.live.release_id,
        "live_version": found.live.package_version,
        "metric": found.monitor.quality.metric,
        "every_s": found.monitor.every_s,
        "min_rows": found.monitor.min_rows,
        "retrain_on": list(found.monitor.retrain_on),
        "asked": list(watch.asked) if watch else [],
        "window_since": watch.next_window if watch else None,
        "windows": [_window(Window.of(each)) for each in _newest(found, keys.windows_of(stage), limit)],
        "labels": labels,
        "limits": _limits(found.monitor, labels),
        "alarms": _alarms(found),
    }


def _limits(monitor: Monitor, labels: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return by figure the limits that its windows are judged by.

    Quality may lose so much against the hold-out data, as the newest judged window had it.
    """
    volume, quality = monitor.volume, monitor.quality
    wholes = (part for each in labels for part in each.get("measured") or () if not part.get("slice"))
    baseline = next((part["baseline"] for part in wholes if part.get("baseline") is not None), None)
    sign = 1 if METRICS[quality.metric].lower_is_better else -1
    worst = None if baseline is None else float(baseline) + sign * quality.max_loss
    return {
        "requests": [float(each) for each in (volume.min, volume.max) if each is not None] if volume else [],
        "drift": [monitor.drift.max],
        "prediction_drift": [monitor.drift.max],
        "quality": [each for each in (worst, quality.limit) if each is not None],
    }


def _newest(found: watched.Watched, prefix: str, limit: int) -> list[dict[str, Any]]:
    partition = keys.partition(found.pipeline)
    return found.cloud.catalog.query(partition, prefix, newest_first=True, limit=limit)


def _window(window: Window) -> dict[str, Any]:
    return {"start": window.start, **keys.shown(window.item()), "report_uri": _report(window.folder_uri)}


def _labels(window: LabelWindow) -> dict[str, Any]:
    return {
        "start": window.start,
        "status": window.status,
        **keys.shown(window.item()),
        # These are not in an item where they are false or 0.
        "is_final": window.is_final,
        "rows": window.rows,
        "labelled": window.labelled,
        "report_uri": _report(window.folder_uri),
    }


def _report(folder_uri: str | None) -> str | None:
    return f"{folder_uri}report.html" if folder_uri else None


def _alarms(found: watched.Watched) -> list[dict[str, Any]]:
    guarded = releasing.find_guarded(found.cloud, found.pipeline, found.stage, found.endpoint_name)
    names = releasing.watch_alarm_names(guarded)
    described = found.cloud.alarms.describe(names)
    return [{"alarm": name, "state": described[name]["StateValue"]} for name in names if name in described]
