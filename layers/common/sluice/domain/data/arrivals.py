"""An object version that arrived, as the catalog knows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object version that arrived; `is_waiting` for a data set that is judged to hold it.

    `batch` names the last one it was taken up with, `set_aside_at` is when it was rejected with that. S3's
    time, `arrived_at`, is in whole seconds: within one, what was heard of later, `heard_at`, came later; and
    of one key's versions that of the greater `sequencer`, which S3 gives for just that.
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
        """Read the catalog's item; what an unsettled data set version took up waits still."""
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
        """Whether it came after the other version of its key; within a second S3's sequencers tell it."""
        if self.arrived_at != other.arrived_at:
            return self.arrived_at > other.arrived_at
        return bool(self.sequencer and other.sequencer) and self._rank > other._rank

    @property
    def _rank(self) -> str:
        # Of unequal length, the shorter one is filled up at its end.
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
