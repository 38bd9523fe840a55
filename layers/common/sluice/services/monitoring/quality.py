"""Judge windows of labels: an estimate as labels come, and a verdict once they are complete."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.changes import monitoring as changes
from sluice.catalog.records.monitoring import LabelStatus, LabelWindow, Watch, Window
from sluice.domain import failures
from sluice.domain.monitor import quality, tables, windows
from sluice.domain.times import from_iso
from sluice.quality.report import monitor_quality
from sluice.services.monitoring import labels as labelling
from sluice.services.monitoring import measuring
from sluice.services.monitoring.requests import PREDICTIONS, VERDICT, served
from sluice.services.monitoring.watched import Watched, find_watch

if TYPE_CHECKING:
    from sluice.domain.monitor.quality import Measured
    from sluice.domain.predictions.table import Predictions

_REASONS_MAX = 5


def ripe(watched: Watched, watch: Watch) -> Iterator[LabelWindow]:
    """Yield the windows of labels that are complete and not yet final, in their order."""
    cloud, prefix = watched.cloud, keys.label_windows_of(watched.stage)
    after = f"{prefix}{watch.matured}" if watch.matured else None
    for item in cloud.catalog.query(keys.partition(watched.pipeline), prefix, after=after):
        window = LabelWindow.of(item)
        # All its requests must have been judged, too.
        is_over = window.ends_at <= watch.next_window or window.start != watch.label_window
        if not is_over or window.matures_at > cloud.now():
            return
        yield window


def finish(watched: Watched, window: LabelWindow) -> None:
    """Note that a window of labels is final, though labels may still come."""
    watch = find_watch(watched.cloud, watched.pipeline, watched.stage)
    if watch is not None:
        watched.cloud.catalog.apply(changes.mature(watch, window.start))


def judge(watched: Watched, window: LabelWindow) -> LabelWindow:
    """Judge a window by the labels that there are; once for each state of them."""
    model = served(watched, window.release_id)
    rows, given = _joined(model, window)
    is_final = window.matures_at <= watched.cloud.now()
    state = tables.state(given)
    if (window.labels_state, window.is_final) == (state, is_final):
        return window
    known = tables.labelled(rows, given, is_number=model.shape.is_number)
    measured = quality.measure(known, model.hold_out, model.monitor.quality, model.positive)
    judged = _verdict(model, window, rows, known, measured)
    judged = replace(judged, is_final=is_final, labels_state=state, judged_at=watched.cloud.now())
    _write(model, judged, known)
    watched.cloud.catalog.apply(changes.judge_labels(window, judged))
    return judged


def _joined(watched: Watched, window: LabelWindow) -> tuple[list[Mapping[str, Any]], dict[str, str]]:
    """Return the predictions of a window, and the labels of their rows."""
    cloud, prefix = watched.cloud, keys.windows_of(watched.stage)
    between = (f"{prefix}{window.start}", f"{prefix}{window.ends_at}")
    items = cloud.catalog.query(keys.partition(watched.pipeline), between=between)
    rows: dict[str, Mapping[str, Any]] = {}
    given: dict[str, str] = {}
    for each in map(Window.of, items):
        if each.rows and each.label_window == window.start:
            predictions = cloud.objects.read(f"{each.folder_uri}{PREDICTIONS}")
            rows |= {row["id"]: row for row in tables.read(predictions)}
            given |= labelling.of_window(watched, each)
    return list(rows.values()), given


def _verdict(
    watched: Watched,
    window: LabelWindow,
    rows: list[Mapping[str, Any]],
    known: Predictions | None,
    measured: list[Measured],
) -> LabelWindow:
    reasons = [_said(each) for each in measured if each.has_decayed]
    if measured[0].is_judged:
        reasons += measuring.labelled_bias_faults(watched, known)
    status: LabelStatus = "violated" if reasons else "ok"
    if not measured[0].is_judged and not reasons:
        status, reasons = ("not_enough_labels", [measured[0].reason]) if rows else ("no_data", [])
    return replace(
        window,
        status=status,
        rows=len(rows),
        labelled=len(known) if known is not None else 0,
        measured=[measuring.described(each) for each in measured],
        reasons=[failures.cut(each) for each in reasons[:_REASONS_MAX]],
        baseline="hold-out data" if measured[0].baseline is not None else None,
        folder_uri=watched.locations.monitoring(watched.stage, _folder(window), ""),
    )


def _said(measured: Measured) -> str:
    return f"{measured.slice}: {measured.reason}" if measured.slice else measured.reason


def _folder(window: LabelWindow) -> str:
    return f"labels-{windows.folder(from_iso(window.start))}"


def _write(watched: Watched, judged: LabelWindow, known: Predictions | None) -> None:
    """Write the verdict, and Model Monitor's files of a model's quality."""
    documents = {VERDICT: json.dumps(judged.item(), default=float).encode()}
    documents |= monitor_quality.documents(judged.measured, known, watched.monitor.quality, watched.positive)
    for name, body in documents.items():
        watched.cloud.objects.write(f"{judged.folder_uri}{name}", body, "application/json")
