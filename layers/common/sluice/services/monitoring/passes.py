"""Go through what is due: windows of requests that ended, windows of labels that are complete, new labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sluice.catalog import keys
from sluice.catalog.changes import monitoring as changes
from sluice.catalog.records.monitoring import LabelWindow, Window
from sluice.domain import config as configs
from sluice.ports import Cloud, ObjectHead
from sluice.services import building
from sluice.services.monitoring import labels, pages, quality, requests, telling, watched
from sluice.services.monitoring.inspecting import MakeLimits
from sluice.services.monitoring.watched import Watched

HasTime = Callable[[], bool]


def judge_due(
    cloud: Cloud,
    pipeline: str,
    limits: MakeLimits,
    has_time: HasTime,
    *,
    stage: str | None = None,
    request_id: str | None = None,
) -> list[dict[str, Any]]:
    """Judge all of a pipeline that is due; what no time is left for is due at the next pass.

    A person's request ends the window under way, too.
    """
    found = []
    for each in watched.find(cloud, pipeline, stage):
        watch = requests.begin(each)
        # An event may be delivered again: a request ends one window.
        is_forced = request_id is not None and watch.answered != request_id
        _finish_last(each)
        while has_time() and (window := _next(each, limits)):
            found.append(_summary(window))
        if is_forced and has_time() and (window := _next(each, limits, is_forced=True)):
            found.append(_summary(window))
        found += [_summary(judged) for judged in _mature(each, has_time)]
        telling.ask_by_age(each)
        if request_id is not None:
            cloud.catalog.apply(changes.answer(watch, request_id))
    return found


def _next(each: Watched, limits: MakeLimits, *, is_forced: bool = False) -> Window | None:
    watch = watched.find_watch(each.cloud, each.pipeline, each.stage)
    window = requests.judge_next(each, watch, limits, is_forced=is_forced) if watch else None
    if window is not None:
        _finish_window(each, window)
    return window


def _finish_window(each: Watched, window: Window) -> None:
    """Draw the page, join the labels that came before the verdict, and tell it."""
    pages.write_window(each, window)
    if window.rows:
        labels.join_earlier(each, window)
    telling.tell_window(each, window)


def _finish_last(each: Watched) -> None:
    """Finish the last window if a crash came between its verdict and its end."""
    partition, prefix = keys.partition(each.pipeline), keys.windows_of(each.stage)
    for item in each.cloud.catalog.query(partition, prefix, newest_first=True, limit=1):
        window = Window.of(item)
        if window.told_at is None:
            _finish_window(each, window)


def _mature(each: Watched, has_time: HasTime) -> list[LabelWindow]:
    """Judge the windows of labels that became complete, in their order."""
    judged = []
    watch = watched.find_watch(each.cloud, each.pipeline, each.stage)
    for window in quality.ripe(each, watch) if watch else ():
        if not has_time():
            break
        judged.append(_judge_labels(each, window))
        quality.finish(each, window)
    return judged


def take_labels(cloud: Cloud, pipeline: str, head: ObjectHead) -> dict[str, Any]:
    """Join an upload of labels to the windows that predicted its rows, and judge these anew."""
    state = building.find_pipeline(cloud, pipeline)
    if state is None:
        return {"status": "unclaimed"}
    project = building.find_project(cloud, pipeline, state.project_version)
    given = labels.receive(cloud, pipeline, head, configs.restore(project.config).data.label)
    judged = []
    for each in watched.find(cloud, pipeline) if given else ():
        found = (watched.find_label_window(each, start) for start in sorted(labels.join(each, head, given)))
        judged += [_summary(_judge_labels(each, window)) for window in found if window]
    return {"status": "joined" if given else "refused", "labels": len(given), "judged": judged}


def _judge_labels(each: Watched, window: LabelWindow) -> LabelWindow:
    judged = quality.judge(each, window)
    pages.write_labels(each, judged)
    telling.tell_labels(each, judged)
    return judged


def _summary(window: Window | LabelWindow) -> dict[str, Any]:
    kind = "requests" if isinstance(window, Window) else "labels"
    return {"stage": window.stage, "judged": kind, "start": window.start, "status": window.status}
