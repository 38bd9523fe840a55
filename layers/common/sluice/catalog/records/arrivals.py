"""Records of arrivals: the versions of uploaded objects, and what is noted beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from sluice.catalog import keys
from sluice.catalog.records.base import attributes, known
from sluice.lazy import dataclass

Item = dict[str, Any]
# `control` is a marker, or a manifest file that lists a batch which no run took up.
ArrivalStatus = Literal["pending", "included", "quarantined", "control"]
UnclaimedStatus = Literal["unclaimed", "claimed"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object version that arrived; `state` is one of `keys.STATES` and says where its item is.

    S3's time, `arrived_at`, has whole seconds: within one second `heard_at` (ours) orders arrivals, and S3's
    `sequencer` orders the versions of one key.
    """

    pipeline: str
    key: str
    version_id: str
    size_bytes: int
    arrived_at: str
    status: ArrivalStatus
    # Empty if no job can use the object.
    sha256: str = ""
    state: str = keys.WAITING
    is_control: bool = False
    heard_at: str = ""
    sequencer: str = ""
    # When it was hashed and recorded; a quarantined one has no such time.
    recorded_at: str = ""
    reason: str = ""
    # The version that holds it, or was rejected for it.
    dataset_version: str | None = None
    # The name of the last batch that it was taken up with.
    batch: str = ""
    taken_up_by: str | None = None
    # The run that took it up last, if that failed: such an arrival alone starts no build.
    failed_run: str | None = None
    # When a version was rejected for it.
    set_aside_at: str = ""
    release_request: str | None = None
    release_refused: str | None = None
    # Of a settled one: the bucket has no object under its key.
    gone: bool = False

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Arrival:
        place = {"pipeline": keys.pipeline_of(item), "state": keys.arrival_state_of(item)}
        return cls(**known(cls, item, **place))

    def item(self) -> Item:
        return {**self.place, **attributes(self, "pipeline", "state")}

    @property
    def place(self) -> keys.Key:
        """The key of its item."""
        return keys.arrival_key(self.state, self.pipeline, self.key, self.version_id)

    @property
    def is_waiting(self) -> bool:
        """Whether no run took it up, nor was it quarantined."""
        return self.status in ("pending", "control")

    @property
    def is_included(self) -> bool:
        return self.status == "included"

    @property
    def untaken_status(self) -> ArrivalStatus:
        """Its status before a run took it up."""
        return "control" if self.is_control else "pending"

    def as_untaken(self) -> Arrival:
        """Return it as it was before a run took it up."""
        return replace(self, status=self.untaken_status)

    @property
    def known_at(self) -> str:
        """When the stack knew of it."""
        return max(self.arrived_at, self.recorded_at)

    @property
    def folder(self) -> str:
        return self.key[: self.key.rfind("/") + 1]

    @property
    def name(self) -> str:
        return self.key[self.key.rfind("/") + 1 :]

    @property
    def rank(self) -> str:
        """The place among a key's versions: S3 compares sequencers as if it padded the shorter at its end."""
        return self.sequencer.ljust(64, "0")

    def replaces(self, other: Arrival) -> bool:
        """Tell whether it came after another version of its key; within a second S3's sequencers decide."""
        if self.arrived_at != other.arrived_at:
            return self.arrived_at > other.arrived_at
        return bool(self.sequencer and other.sequencer) and self.rank > other.rank


@dataclass(frozen=True, slots=True)
class UnclaimedArrival:
    """An object version that belongs to no pipeline, until one of its prefix is pushed."""

    key: str
    version_id: str
    size_bytes: int
    arrived_at: str
    reason: str
    status: UnclaimedStatus = "unclaimed"

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> UnclaimedArrival:
        return cls(**known(cls, item))

    def item(self) -> Item:
        return {**keys.unclaimed_key(self.key, self.version_id), **attributes(self), "status": self.status}


@dataclass(frozen=True, slots=True)
class Touched:
    """A key whose object may differ from the last valid data set's, or be gone."""

    pipeline: str
    key: str
    touched_at: str
    # Whether data were deleted there; else something was quarantined, or may have been overwritten.
    deleted: bool = False

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Touched:
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item)))

    def item(self) -> Item:
        return {**keys.touched_key(self.pipeline, self.key), **attributes(self, "pipeline")}
