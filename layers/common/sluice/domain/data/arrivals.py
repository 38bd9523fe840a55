"""An object version that arrived, as the catalog records it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object version that arrived; `is_waiting` until a judged data set holds it.

    `batch` names the last batch it was taken up with; `set_aside_at` is when it was rejected with that. S3's
    time, `arrived_at`, has whole seconds: within one second `heard_at` (ours) orders arrivals, and S3's
    `sequencer` orders the versions of one key.
    """

    key: str
    version_id: str
    size_bytes: int
    sha256: str
    arrived_at: str
    status: str
    is_waiting: bool
    is_control: bool = False
    reason: str = ""
    batch: str = ""
    set_aside_at: str = ""
    heard_at: str = ""
    sequencer: str = ""

    @classmethod
    def of(cls, item: Mapping[str, Any], unsettled: Collection[str] = ()) -> Arrival:
        """Read the catalog's item; what an unsettled data set version took up still waits."""
        status = item["status"]
        return cls(
            key=item["key"],
            version_id=item["version_id"],
            size_bytes=item["size_bytes"],
            sha256=item.get("sha256", ""),
            arrived_at=item["arrived_at"],
            status=status,
            is_waiting=status in {"pending", CONTROL}
            or (status == "included" and item["dataset_version"] in unsettled),
            is_control=item.get("is_control", False),
            reason=item.get("reason", ""),
            batch=item.get("batch", ""),
            set_aside_at=item.get("set_aside_at", ""),
            heard_at=item.get("heard_at", ""),
            sequencer=item.get("sequencer", ""),
        )

    def replaces(self, other: Arrival) -> bool:
        """Tell whether it came after another version of its key; within a second S3's sequencers decide."""
        if self.arrived_at != other.arrived_at:
            return self.arrived_at > other.arrived_at
        return bool(self.sequencer and other.sequencer) and self._rank > other._rank

    @property
    def _rank(self) -> str:
        # S3 compares sequencers of unequal length by filling up the shorter at its end.
        return self.sequencer.ljust(64, "0")

    @property
    def is_included(self) -> bool:
        return self.status == "included"

    @property
    def folder(self) -> str:
        return self.key[: self.key.rfind("/") + 1]

    @property
    def name(self) -> str:
        return self.key[self.key.rfind("/") + 1 :]
