"""Records of monitoring: how far it is, windows of requests and of labels, and uploads of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sluice.catalog import keys
from sluice.catalog.records.base import attributes, known
from sluice.lazy import dataclass

Item = dict[str, Any]
# Too few predictions or labels are no verdict, and never "ok".
WindowStatus = Literal["ok", "violated", "not_enough_data", "no_data"]
LabelStatus = Literal["open", "ok", "violated", "not_enough_labels", "no_data"]


@dataclass(frozen=True, slots=True)
class Watch:
    """How far the watching of a stage is; `release_id` is what the window under way is of."""

    pipeline: str
    stage: str
    release_id: str
    # Where the next window of requests starts.
    next_window: str
    # The window of labels that the next window of requests belongs to.
    label_window: str | None = None
    label_window_ends_at: str | None = None
    # The last window of labels that is final: those after it are still to be judged.
    matured: str | None = None
    # What a build was asked for, of this release.
    asked: Sequence[str] = ()
    # A person's request that was answered last.
    answered: str | None = None
    # Where the newest windows of requests and of labels start, newest first; None if an older stack began.
    recent: Sequence[str] | None = None
    recent_labels: Sequence[str] | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Watch:
        key = {"pipeline": keys.pipeline_of(item), "stage": keys.monitored_stage_of(item)}
        return cls(**known(cls, item, **key))

    def item(self) -> Item:
        key = keys.monitor_key(self.pipeline, self.stage)
        return {**key, **attributes(self, "pipeline", "stage")}


@dataclass(frozen=True, slots=True)
class Window:
    """Requests that were captured in a time, judged once."""

    pipeline: str
    stage: str
    start: str
    ends_at: str
    release_id: str
    package_version: int
    status: WindowStatus
    judged_at: str
    label_window: str
    requests: int = 0
    rows: int = 0
    unreadable: int = 0
    # By concern (data, drift, predictions, volume, bias) what is wrong.
    reasons: Mapping[str, Sequence[str]] | None = None
    # What it was compared with: versions of data, and whose predictions.
    baseline: str | None = None
    predictions_baseline: str | None = None
    folder_uri: str | None = None
    figures: Mapping[str, float] | None = None
    # When the event, the metrics and a build that it asks for were sent.
    told_at: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Window:
        stage, start = keys.window_of(item)
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item), stage=stage, start=start))

    def item(self) -> Item:
        key = keys.window_key(self.pipeline, self.stage, self.start)
        return {**key, **attributes(self, "pipeline", "stage", "start")}


@dataclass(frozen=True, slots=True)
class LabelWindow:
    """Predictions that are judged together by their labels, once for each state of these.

    Until `matures_at` the verdict is an estimate: labels that come early may not be like the others.
    """

    pipeline: str
    stage: str
    start: str
    ends_at: str
    matures_at: str
    release_id: str
    package_version: int
    status: LabelStatus = "open"
    is_final: bool = False
    judged_at: str | None = None
    rows: int = 0
    labelled: int = 0
    # A digest of the labels that the verdict is by.
    labels_state: str | None = None
    # Of the whole and of slices: `domain/monitor/quality.Measured`.
    measured: Sequence[Mapping[str, Any]] = ()
    reasons: Sequence[str] = ()
    baseline: str | None = None
    folder_uri: str | None = None
    # The state of labels, and whether it was final, when the event and the metrics were sent.
    told: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> LabelWindow:
        stage, start = keys.window_of(item)
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item), stage=stage, start=start))

    def item(self) -> Item:
        key = keys.label_window_key(self.pipeline, self.stage, self.start)
        return {**key, **attributes(self, "pipeline", "stage", "start")}


@dataclass(frozen=True, slots=True)
class TruthUpload:
    """An uploaded object with labels."""

    pipeline: str
    received_at: str
    key: str
    version_id: str
    labels: int = 0
    problems: Sequence[str] = ()

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> TruthUpload:
        key = {"pipeline": keys.pipeline_of(item), "received_at": keys.received_at_of(item)}
        return cls(**known(cls, item, **key))

    def item(self) -> Item:
        key = keys.truth_key(self.pipeline, self.received_at, self.key, self.version_id)
        return {**key, **attributes(self, "pipeline", "received_at")}
