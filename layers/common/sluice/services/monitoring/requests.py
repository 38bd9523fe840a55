"""Judge windows of requests, each once, as soon as they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sluice.catalog.changes import monitoring as changes
from sluice.catalog.records.monitoring import LabelWindow, Watch, Window, WindowStatus
from sluice.domain import failures
from sluice.domain.monitor import contracts, tables, windows
from sluice.domain.monitor.capture import Traffic
from sluice.domain.monitor.windows import Span
from sluice.domain.times import from_iso, to_iso
from sluice.services.monitoring import capturing, inspecting, measuring
from sluice.services.monitoring.inspecting import Inspected, MakeLimits
from sluice.services.monitoring.watched import Watched, find_label_window, find_watch
from sluice.services.release import deploying

# The folders of what the engine says.
PARTS = ("requests", "predictions")
PREDICTIONS, INDEX, VERDICT = "predictions.jsonl", "ids.bin", "verdict.json"
_TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json"}
_REASONS_MAX = 5
Write = Callable[[str, bytes], None]


def begin(watched: Watched) -> Watch:
    """Return how far the watching of the stage is; it begins with the live release."""
    cloud, live = watched.cloud, watched.live
    start = to_iso(from_iso(str(live.promoted_at)).replace(microsecond=0))
    new = Watch(watched.pipeline, watched.stage, live.release_id, start, recent=(), recent_labels=())
    cloud.catalog.apply(changes.watch(new))
    found = find_watch(cloud, watched.pipeline, watched.stage)
    return found or new


def judge_next(watched: Watched, watch: Watch, limits: MakeLimits, *, is_forced: bool) -> Window | None:
    """Judge the next window of requests that has ended; None if there is none, or another did it."""
    cloud, live = watched.cloud, watched.live
    start, now = from_iso(watch.next_window), from_iso(cloud.now())
    is_other = watch.release_id != live.release_id
    cut_at = from_iso(str(live.promoted_at)) if is_other else None
    if cut_at is not None and cut_at.replace(microsecond=0) <= start:
        cloud.catalog.apply(changes.follow_release(watch, live.release_id))
        watch, is_other, cut_at = replace(watch, release_id=live.release_id, asked=()), False, None
    span = windows.next_window(start, now, watched.monitor, cut_at=cut_at, is_forced=is_forced)
    if span is None:
        return None
    model = served(watched, watch.release_id) if is_other else watched
    return _judge(model, watch, span, limits)


def served(watched: Watched, release_id: str) -> Watched:
    """Return what was live before, whose requests are still to be judged."""
    before = deploying.find_deployment(watched.cloud, watched.pipeline, watched.stage, release_id)
    return replace(watched, live=before) if before else watched


def _judge(watched: Watched, watch: Watch, span: Span, limits: MakeLimits) -> Window | None:
    traffic = capturing.read(watched, span)
    after, labels = _progress(watched, watch, span)
    window = Window(
        pipeline=watched.pipeline,
        stage=watched.stage,
        start=to_iso(span.start),
        ends_at=to_iso(span.end),
        release_id=watched.live.release_id,
        package_version=watched.live.package_version,
        status="no_data",
        judged_at=watched.cloud.now(),
        label_window=str(after.label_window),
        requests=traffic.requests,
        rows=len(traffic.rows),
        unreadable=sum(traffic.unreadable.values()),
    )
    if traffic.requests or traffic.unreadable:
        window = _judged(watched, window, traffic, span, limits)
    else:
        faults = contracts.volume_faults(0, watched.monitor.volume) if span.is_whole else []
        window = replace(window, reasons={"volume": faults} if faults else None)
        window = replace(window, status="violated" if faults else "no_data")
    recorded = watched.cloud.catalog.apply(*changes.judge_window(watch, after, window, labels))
    return window if recorded else None


def _progress(watched: Watched, watch: Watch, span: Span) -> tuple[Watch, LabelWindow | None]:
    """Return the progress after the window, and the window of labels that begins with it, if one does.

    A window of labels is of one model.
    """
    release_id = watched.live.release_id
    after = replace(watch, next_window=to_iso(span.end), release_id=watch.release_id)
    ends_at = watch.label_window_ends_at
    if watch.label_window and ends_at and from_iso(ends_at) > span.start:
        of = find_label_window(watched, watch.label_window)
        if of is not None and of.release_id == release_id:
            return after, None
    end, matures_at = windows.label_window(span.start, watched.monitor)
    start = to_iso(span.start)
    begun = LabelWindow(
        pipeline=watched.pipeline,
        stage=watched.stage,
        start=start,
        ends_at=to_iso(end),
        matures_at=to_iso(matures_at),
        release_id=release_id,
        package_version=watched.live.package_version,
    )
    return replace(after, label_window=start, label_window_ends_at=begun.ends_at), begun


def _judged(watched: Watched, window: Window, traffic: Traffic, span: Span, limits: MakeLimits) -> Window:
    """Write a window's documents, and return it with its verdict."""
    rows = list(traffic.rows.values())
    write = _writer(watched, span.start)
    monitor = watched.monitor
    reasons: dict[str, list[str]] = {
        "data": contracts.unreadable_faults(traffic.requests, traffic.unreadable),
        "volume": contracts.volume_faults(len(rows), monitor.volume) if span.is_whole else [],
    }
    write(PREDICTIONS, tables.write(rows, measuring.judged_columns(watched)))
    write(INDEX, tables.index(each.id for each in rows))
    figures, found = {}, None
    is_enough = len(rows) >= monitor.min_rows
    if rows:
        title = f"{watched.pipeline}, {watched.stage}, {window.start[:16].replace('T', ' ')} UTC"
        found = inspecting.inspect(watched, rows, title, limits)
        _write_documents(write, found)
        _keep(watched, found)
        for concern, faults in _found_reasons(found, is_enough=is_enough).items():
            reasons[concern] = [*reasons.get(concern, ()), *faults]
        figures = measuring.figures(found)
    if is_enough:
        reasons["bias"] = measuring.bias_faults(watched, rows)
    broken = {
        concern: [failures.cut(each) for each in faults[:_REASONS_MAX]]
        for concern, faults in reasons.items()
        if faults
    }
    status: WindowStatus = "violated" if broken else "ok" if is_enough else "not_enough_data"
    judged = replace(
        window,
        status=status,
        reasons=broken or None,
        figures=figures or None,
        baseline=watched.dataset_version if watched.training_profile else None,
        predictions_baseline=found.predictions_baseline if found else None,
        folder_uri=folder_uri(watched, span.start),
    )
    write(VERDICT, json.dumps(judged.item(), default=float).encode())
    return judged


def _found_reasons(found: Inspected, *, is_enough: bool) -> dict[str, list[str]]:
    """Return what the engine found, by concern; of too few rows only what breaks the contract."""
    reasons: dict[str, list[str]] = {"data": [], "drift": [], "predictions": []}
    for violation in found.requests.report.violations:
        if violation.severity == "fail":
            concern = "drift" if violation.check == "drift" else "data"
            if concern == "data" or is_enough:
                reasons[concern].append(str(violation))
    for violation in found.predictions.report.violations if found.predictions else ():
        if violation.severity == "fail" and (violation.check != "drift" or is_enough):
            reasons["predictions"].append(str(violation))
    return {concern: faults for concern, faults in reasons.items() if faults}


def folder_uri(watched: Watched, start: datetime) -> str:
    """Return the folder of a window's documents."""
    return watched.locations.monitoring(watched.stage, windows.folder(start), "")


def _writer(watched: Watched, start: datetime) -> Write:
    def write(name: str, data: bytes) -> None:
        kind = _TYPES.get(Path(name).suffix, "application/octet-stream")
        watched.cloud.objects.write(f"{folder_uri(watched, start)}{name}", data, kind)

    return write


def _write_documents(write: Write, found: Inspected) -> None:
    """Write what the engine says of the requests and of the predictions, each in a folder of its own."""
    for part, outcome in zip(PARTS, (found.requests, found.predictions), strict=True):
        for name, body in (outcome.documents if outcome else {}).items():
            write(f"{part}/{name}", body)


def _keep(watched: Watched, found: Inspected) -> None:
    for name, body in found.kept.items():
        folder, _, file = name.partition("/")
        watched.cloud.objects.create(watched.locations.monitoring(watched.stage, folder, file), body)
