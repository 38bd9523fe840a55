"""Record of an event of ours, until the function that has to act on it has heard it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from sluice.catalog import keys
from sluice.catalog.records.base import attributes, known
from sluice.lazy import dataclass

Item = dict[str, Any]
# A function that acts on events which nothing else would make good.
Receiver = Literal["follow_life_cycle", "send_notice"]
_DIGEST_HEX = 20


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event of ours and one function that has to hear it; it is put on the bus again until it has."""

    pipeline: str
    receiver: Receiver
    digest: str
    detail_type: str
    # JSON, as it was put on the bus.
    detail: str
    # When it is put on the bus again, unless it was heard.
    again_at: str
    repeats: int = 0
    heard_at: str | None = None
    expires_at: int | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Announcement:
        receiver, digest = keys.announcement_of(item)
        return cls(**known(cls, item, pipeline=keys.pipeline_of(item), receiver=receiver, digest=digest))

    @classmethod
    def make(
        cls, receiver: Receiver, detail_type: str, detail: Mapping[str, Any], again_at: str
    ) -> Announcement:
        """Make the announcement of an event; the same event always has the same key."""
        said = json.dumps(detail, sort_keys=True)
        digest = hashlib.sha256(f"{detail_type}\0{said}".encode()).hexdigest()[:_DIGEST_HEX]
        return cls(str(detail["pipeline"]), receiver, digest, detail_type, said, again_at)

    def item(self) -> Item:
        """Return the item; it is listed until it was heard, for `reconcile` to look at."""
        key = keys.announcement_key(self.pipeline, self.receiver, self.digest)
        return {
            **key,
            **keys.listed(keys.UNHEARD, key["sk"]),
            **attributes(self, "pipeline", "receiver", "digest"),
        }
