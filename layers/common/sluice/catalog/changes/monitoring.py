"""Changes of monitoring: each window is judged once, and one of labels once for each state of its labels."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.catalog import keys
from sluice.catalog.changes.base import Change, Put, Update
from sluice.catalog.records.monitoring import LabelWindow, TruthUpload, Watch, Window

_OF_A_VERDICT = (
    "status",
    "is_final",
    "judged_at",
    "rows",
    "labelled",
    "labels_state",
    "measured",
    "reasons",
    "baseline",
    "folder_uri",
)


# So many windows are named, to be read by their keys.
RECENT = 10


def watch(new: Watch) -> Put:
    """Begin to watch a stage."""
    return Put(new.item())


def judge_window(before: Watch, after: Watch, judged: Window, labels: LabelWindow | None) -> Sequence[Change]:
    """Record a window's verdict and go on to the next, once; `labels` is a window that begins with it."""
    progress = {
        "release_id": after.release_id,
        "next_window": after.next_window,
        "label_window": after.label_window,
        "label_window_ends_at": after.label_window_ends_at,
        "recent": _recent(before.recent, judged.start),
        "recent_labels": _recent(before.recent_labels, labels.start if labels else None),
    }
    since = {"next_window": before.next_window, "release_id": before.release_id}
    moved = Update(keys.monitor_key(before.pipeline, before.stage), progress, since)
    return [moved, Put(judged.item()), *([Put(labels.item())] if labels else [])]


def _recent(known: Sequence[str] | None, start: str | None) -> list[str] | None:
    """Name a window's start before those that are known; where an older stack began, none are."""
    if known is None:
        return None
    return [*([] if start is None else [start]), *known][:RECENT]


def tell_window(judged: Window, at: str) -> Update:
    """Note that a window's verdict was told."""
    return Update(keys.window_key(judged.pipeline, judged.stage, judged.start), {"told_at": at}, {})


def follow_release(before: Watch, release_id: str) -> Update:
    """Note that another release is live: what was asked for the one before is done with."""
    key = keys.monitor_key(before.pipeline, before.stage)
    return Update(key, {"release_id": release_id, "asked": None}, {"release_id": before.release_id})


def judge_labels(before: LabelWindow, judged: LabelWindow) -> Update:
    """Record a verdict by labels, if it was still that by the former state of labels."""
    key = keys.label_window_key(before.pipeline, before.stage, before.start)
    verdict = {name: getattr(judged, name) for name in _OF_A_VERDICT}
    verdict["measured"] = list(judged.measured)
    verdict["reasons"] = list(judged.reasons)
    return Update(key, verdict, {"labels_state": before.labels_state})


def tell_labels(judged: LabelWindow, told: str) -> Update:
    """Note which verdict by labels was told."""
    return Update(keys.label_window_key(judged.pipeline, judged.stage, judged.start), {"told": told}, {})


def mature(watched: Watch, start: str) -> Update:
    """Note the last window of labels that is final."""
    return Update(keys.monitor_key(watched.pipeline, watched.stage), {"matured": start}, {})


def answer(watched: Watch, request_id: str) -> Update:
    """Note that a person's request was answered: who asked waits for this."""
    return Update(keys.monitor_key(watched.pipeline, watched.stage), {"answered": request_id}, {})


def ask(watched: Watch, asked: Sequence[str]) -> Update:
    """Note what a build was asked for, once for a release."""
    key = keys.monitor_key(watched.pipeline, watched.stage)
    when = {"release_id": watched.release_id, "asked": list(watched.asked) or None}
    return Update(key, {"asked": list(asked) or None}, when)


def add_truth(upload: TruthUpload) -> Put:
    """Record an upload of labels."""
    return Put(upload.item())
