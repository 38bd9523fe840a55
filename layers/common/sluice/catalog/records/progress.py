"""Records of work that one call of a function does not finish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.base import attributes, known
from sluice.lazy import dataclass

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hashing:
    """The digest of a large object in progress: of each part done, in hex."""

    key: str
    version_id: str
    parts: Sequence[str] = ()
    # By who computes on; None if nobody does.
    taken_until: str | None = None
    expires_at: int = 0

    @classmethod
    def of(cls, item: Mapping[str, Any], key: str, version_id: str) -> Hashing:
        return cls(**known(cls, item, key=key, version_id=version_id))

    def item(self) -> Item:
        return {**keys.hashing_key(self.key, self.version_id), **attributes(self, "key", "version_id")}


@dataclass(frozen=True, slots=True)
class Sweep:
    """How far `reconcile` is with going through something."""

    what: str
    # The key behind which the next page begins.
    after: str = ""
    # The day of the last full pass.
    full_on: str = ""
    is_full: bool = False

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Sweep:
        return cls(**known(cls, item, what=keys.sweep_of(item)))

    def item(self) -> Item:
        return {**keys.sweep_key(self.what), **attributes(self, "what")}
