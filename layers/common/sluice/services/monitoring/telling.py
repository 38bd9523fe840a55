"""Tell what a window was found to be: metrics, an event, the timeline, and a build that it asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluice.catalog.changes import builds
from sluice.catalog.changes import monitoring as changes
from sluice.catalog.records.monitoring import LabelWindow, Watch, Window
from sluice.domain import actors
from sluice.domain.config.monitor import Concern, span
from sluice.domain.monitor import metrics
from sluice.domain.times import from_iso
from sluice.services import announcing
from sluice.services.monitoring.watched import Watched, find_watch
from sluice.services.timeline import note

JUDGED = "MonitoringJudged"


def tell_window(watched: Watched, window: Window) -> None:
    """Tell a window's verdict; repeated after a crash, until it is noted as told."""
    cloud = watched.cloud
    reasons = [f"{concern}: {each}" for concern, found in (window.reasons or {}).items() for each in found]
    cloud.metrics.put(metrics.NAMESPACE, _dimensions(watched), metrics.of_window(window), window.judged_at)
    _announce(watched, "requests", window, reasons, is_estimate=False)
    if reasons:
        note(cloud, watched.pipeline, window.judged_at, _subject(watched), "monitoring", "; ".join(reasons))
    if window.release_id == watched.live.release_id:
        drift = [each for concern in metrics.DRIFT for each in (window.reasons or {}).get(concern, ())]
        _ask(watched, "drift", drift, is_over=window.status == "ok")
    cloud.catalog.apply(changes.tell_window(window, cloud.now()))


def tell_labels(watched: Watched, window: LabelWindow) -> None:
    """Tell a verdict by labels, once for each state of them.

    An estimate makes no metric, so no alarm, and asks for nothing.
    """
    cloud, told = watched.cloud, f"{window.labels_state}#{window.is_final}"
    if window.told == told or window.judged_at is None:
        return
    is_violated = window.status == "violated"
    if window.is_final:
        values = metrics.of_labels(window)
        cloud.metrics.put(metrics.NAMESPACE, _dimensions(watched), values, window.judged_at)
    if window.is_final and window.release_id == watched.live.release_id:
        _ask(watched, "quality", window.reasons if is_violated else (), is_over=window.status == "ok")
    _announce(watched, "labels", window, window.reasons, is_estimate=not window.is_final)
    if is_violated:
        event = "decay" if window.is_final else "decay estimated"
        note(cloud, watched.pipeline, window.judged_at, _subject(watched), event, "; ".join(window.reasons))
    cloud.catalog.apply(changes.tell_labels(window, told))


def ask_by_age(watched: Watched) -> None:
    """Ask for a build if the live model is older than the project allows."""
    every = watched.monitor.retrain_every
    if every is None:
        return
    age = from_iso(watched.cloud.now()) - from_iso(str(watched.live.promoted_at))
    if age >= span(every):
        _ask(watched, "schedule", [f"the live model is older than {every}"], is_over=False)


def _ask(watched: Watched, concern: Concern, reasons: Sequence[str], *, is_over: bool) -> None:
    """Ask for a build, once for a release and concern: again only if the concern was over in between."""
    watch = find_watch(watched.cloud, watched.pipeline, watched.stage)
    if watch is None or watch.release_id != watched.live.release_id:
        return
    if is_over and concern in watch.asked:
        left = [each for each in watch.asked if each != concern]
        watched.cloud.catalog.apply(changes.ask(watch, left))
    if reasons and concern in watched.monitor.retrain_on and concern not in watch.asked:
        _request(watched, watch, concern, f"{actors.MONITORING}: {concern} on {watched.stage}: {reasons[0]}")


def _request(watched: Watched, watch: Watch, concern: Concern, cause: str) -> None:
    """Write the wish first, then that it was made: a crash in between repeats it."""
    cloud = watched.cloud
    cloud.catalog.apply(builds.ask_retrain(watched.pipeline, cause))
    cloud.build_requests.send(watched.pipeline)
    cloud.catalog.apply(changes.ask(watch, [*watch.asked, concern]))
    note(cloud, watched.pipeline, cloud.now(), _subject(watched), "retrain asked", cause, actors.MONITORING)


def _subject(watched: Watched) -> str:
    return f"{watched.stage} {watched.live.release_id}"


def _dimensions(watched: Watched) -> Mapping[str, str]:
    return metrics.dimensions(watched.cloud.stack_name, watched.pipeline, watched.stage)


def _announce(
    watched: Watched, judged: str, window: Window | LabelWindow, reasons: Sequence[str], *, is_estimate: bool
) -> None:
    detail = {
        "stage": window.stage,
        "release_id": window.release_id,
        "package_version": window.package_version,
        "judged": judged,
        "start": window.start,
        "end": window.ends_at,
        "status": window.status,
        "is_estimate": is_estimate,
        "reasons": list(reasons),
        "report_uri": f"{window.folder_uri}report.html" if window.folder_uri else None,
    }
    announcing.announce(watched.cloud, JUDGED, window.pipeline, detail)
