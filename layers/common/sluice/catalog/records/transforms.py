"""Records of batches: what was uploaded to be scored, what of it waits, and the transforms that score it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sluice.catalog import keys
from sluice.catalog.records.base import attributes, known
from sluice.lazy import dataclass

Item = dict[str, Any]
TransformStatus = Literal["running", "completed", "failed"]
# `scored` and `failed` are by the last transform that took it; `refused` is of no use to any.
InputStatus = Literal["waiting", "taken", "scored", "failed", "refused"]


@dataclass(frozen=True, slots=True)
class Batches:
    """How far a pipeline's transforms are: one runs at a time, and takes all that waits."""

    pipeline: str
    seq: int = 0
    in_flight: str | None = None
    started_at: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Batches:
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item)))

    def item(self) -> Item:
        # The counter is there from the start: its change is conditional on it.
        return {**keys.batches_key(self.pipeline), "seq": self.seq, **attributes(self, "pipeline")}


@dataclass(frozen=True, slots=True)
class Input:
    """A version of an object below `batch/<pipeline>/`, and what the last transform made of it."""

    pipeline: str
    key: str
    version_id: str
    size_bytes: int
    arrived_at: str
    status: InputStatus = "waiting"
    transform_id: str | None = None
    # What scored it: `Deployment.model_id`.
    model: str | None = None
    result_uri: str | None = None
    rows: int | None = None
    reason: str = ""
    # A person's last request to have it scored.
    request_id: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Input:
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item)))

    def item(self) -> Item:
        key = keys.input_key(self.pipeline, self.key, self.version_id)
        return {**key, **attributes(self, "pipeline"), "status": self.status}

    def is_scored_by(self, model: str) -> bool:
        """Tell whether this model has scored it, or is about to: then it does not once more."""
        return self.model == model and self.status in ("taken", "scored")


@dataclass(frozen=True, slots=True)
class Awaited:
    """An input that the next transform takes."""

    pipeline: str
    key: str
    version_id: str
    # Whether a transform takes nothing else beside it, as one of several failed.
    is_alone: bool = False

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Awaited:
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item)))

    def item(self) -> Item:
        """Return the item; it is listed, for `reconcile` to find what no event started."""
        key = keys.awaited_key(self.pipeline, self.key, self.version_id)
        return {**key, **keys.listed(keys.AWAITED_INPUTS, key["pk"]), **attributes(self, "pipeline")}


@dataclass(frozen=True, slots=True)
class SetAside:
    """An input that no transform takes, since when, and why."""

    pipeline: str
    key: str
    version_id: str
    at: str
    reason: str

    def item(self) -> Item:
        return {
            **keys.set_aside_key(self.pipeline, self.key, self.version_id),
            **attributes(self, "pipeline"),
        }


@dataclass(frozen=True, slots=True)
class Transform:
    """A transform job over several inputs, by the model that was live on a stage."""

    pipeline: str
    transform_id: str
    status: TransformStatus
    stage: str
    release_id: str
    package_arn: str
    package_version: int
    job_name: str
    output_uri: str
    started_at: str
    run_id: str | None = None
    # Of each its `key`, `version_id` and `size_bytes`; at the end `uri` of its result and `rows`.
    inputs: Sequence[Mapping[str, Any]] = ()
    ended_at: str | None = None
    rows: int | None = None
    # What is wrong with results, though the job completed.
    faults: Sequence[str] = ()
    reason: str | None = None
    # Whether each of its inputs is scored alone once more, as one of them made it fail.
    is_split: bool = False
    usage: Mapping[str, Any] | None = None
    cost_usd: float | None = None
    told_at: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Transform:
        key = {"pipeline": keys.pipeline_of(item), "transform_id": keys.transform_of(item)}
        return cls(**known(cls, item, **key))

    def item(self) -> Item:
        key = keys.transform_key(self.pipeline, self.transform_id)
        return {**key, **attributes(self, "pipeline", "transform_id")}


@dataclass(frozen=True, slots=True)
class TransformTask:
    """A transform job that runs; with a token it proves the model of a release, which waits for it."""

    job_name: str
    pipeline: str
    opened_at: str
    expires_at: int
    transform_id: str = ""
    task_token: str = ""
    release_id: str = ""
    # The stage.
    step: str = ""
    status: Literal["open", "done"] = "open"
    kind: Literal["transform_job"] = "transform_job"

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> TransformTask:
        return cls(**known(cls, item, job_name=keys.resource_of(item)))

    def item(self) -> Item:
        """Return the item; an open task is listed, for `reconcile` to look at what it waits for."""
        listed = keys.listed(keys.TASKS, self.job_name) if self.status == "open" else {}
        kept = {"kind": self.kind, "status": self.status, **attributes(self, "job_name")}
        return {**keys.task_key(self.job_name), **listed, "task_token": self.task_token, **kept}
