"""Which part of a data set lies within a window, and when each content of a key last came.

A window does not count from today, so that the same arrivals are always the same version.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sluice.domain import canonical
from sluice.domain.data.datasets import DatasetManifest
from sluice.domain.times import from_iso, to_iso
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival
    from sluice.domain.config.models import Window


@dataclass(frozen=True, slots=True)
class Came:
    """When a content last came, by S3's clock and by its batch: a later contract may count by the other."""

    at: str = ""
    batch: str = ""


Content = tuple[str, str]
"""A key and a sha256."""


def newest(known: Mapping[Content, Came], arrivals: Iterable[Arrival]) -> dict[Content, Came]:
    """Return when each content of a key last came, by what is known and by arrivals.

    What arrived again with the same content is as recent as its last arrival.
    """
    found = {**known}
    for arrival in arrivals:
        content = (arrival.key, arrival.sha256)
        before = found.get(content, Came())
        found[content] = Came(max(arrival.arrived_at, before.at), max(arrival.batch, before.batch))
    return found


def within(manifest: DatasetManifest, window: Window, came: Mapping[Content, Came]) -> DatasetManifest:
    """Return the part of a data set within the window, counted back from its newest object or batch."""
    by_batch = window.age is None
    ages = {obj: came.get((obj.key, obj.sha256), Came()) for obj in manifest.objects}
    counted = {obj: each.batch if by_batch else each.at for obj, each in ages.items()}
    oldest = _oldest(window, counted.values())
    return DatasetManifest.of(obj for obj, age in counted.items() if age >= oldest)


def _oldest(window: Window, ages: Iterable[str]) -> str:
    known = sorted(set(ages))
    if not known:
        return ""
    if window.age is None:
        return known[-window.count :][0]
    return to_iso(from_iso(known[-1]) - window.age)


def to_json(came: Mapping[Content, Came]) -> bytes:
    return canonical.to_json([[*content, each.at, each.batch] for content, each in sorted(came.items())])


def from_json(data: bytes) -> dict[Content, Came]:
    """Parse what `to_json` wrote."""
    return {(key, sha256): Came(at, batch) for key, sha256, at, batch in json.loads(data)}
