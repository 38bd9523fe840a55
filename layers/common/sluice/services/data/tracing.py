"""Trace data forwards: the data set versions that hold an object, and the runs that read a version.

Versions are read in the order of their making, from the object's arrival on, by their heads: one that only
grew holds what its parent holds, and only its added segments may hold more. So an answer costs what it lists,
not all that ever was. A pipeline of an older stack has no index: all its runs and versions are listed, once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.records.builds import Run
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.data.segments import DatasetHead
from sluice.lazy import dataclass
from sluice.services import building
from sluice.services.data import arrivals, datasets
from sluice.services.side_by_side import on_each

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival
from sluice.ports import Cloud

# Data set versions of one page: each is a small object of the artifact bucket.
PAGE = 500


@dataclass(frozen=True, slots=True)
class Holding:
    """A data set version that holds an object under its key, and the object's version in it."""

    dataset_version: str
    created_at: str
    held: ObjectVersion


@dataclass(frozen=True, slots=True)
class Holdings:
    """A page of versions that hold an object, oldest first.

    `after` is where the next page begins. `missing` are versions whose files are gone or damaged.
    """

    found: Sequence[Holding]
    after: str | None
    missing: Sequence[str]


def is_indexed(cloud: Cloud, pipeline: str) -> bool:
    """Tell whether all runs and versions of a pipeline are indexed: an older stack indexed none."""
    state = building.find_pipeline(cloud, pipeline)
    return state is not None and state.is_indexed


def object_versions(cloud: Cloud, pipeline: str, key: str) -> list[Arrival]:
    """Return all recorded arrivals of an object's key, oldest first."""
    found = [
        arrival
        for state in keys.STATES
        for arrival in arrivals.stream(cloud, pipeline, keys.versions_prefix(state, key))
        if arrival.key == key
    ]
    return sorted(found, key=_came)


def _came(arrival: Arrival) -> str:
    """Return when an object was there at the latest, by S3's clock or ours."""
    return min(arrival.arrived_at, arrival.recorded_at or arrival.arrived_at)


def holding(
    cloud: Cloud, pipeline: str, key: str, *, after: str | None = None, limit: int = PAGE
) -> Holdings:
    """Find the data set versions that hold an object of this key."""
    came = object_versions(cloud, pipeline, key)
    if not came:
        return Holdings((), None, ())
    made = _made(cloud, pipeline, _came(came[0]), after, limit + 1)
    page, rest = made[:limit], made[limit:]
    search = _Search(cloud, pipeline, key, is_continued=after is not None)
    heads = on_each(page, lambda each: search.stored(each[1]))
    found, missing = list[Holding](), list[str]()
    for (created_at, version), stored in zip(page, heads, strict=True):
        try:
            held = search.look(version, stored)
        except datasets.UNREADABLE:
            missing.append(version)
            search.unknown.add(version)
            continue
        if held:
            found.append(Holding(version, created_at, held))
    return Holdings(found, "#".join(page[-1]) if rest else None, missing)


def _made(cloud: Cloud, pipeline: str, since: str, after: str | None, limit: int) -> list[tuple[str, str]]:
    """Return times and versions of the data sets made since, oldest first."""
    pk = keys.partition(pipeline)
    if is_indexed(cloud, pipeline):
        span = f"{keys.VERSIONS}{since}", f"{keys.VERSIONS}~"
        begins = f"{keys.VERSIONS}{after}" if after else None
        items = cloud.catalog.query(pk, between=span, after=begins, limit=limit)
        return [(item["created_at"], item["version"]) for item in items]
    listed = cloud.catalog.query(pk, keys.DATASETS)
    made = sorted((item["created_at"], keys.dataset_version_of(item)) for item in listed)
    return [each for each in made if each[0] >= since and "#".join(each) > (after or "")][:limit]


@dataclasses.dataclass
class _Search:
    """Look for a key in versions, oldest first; `is_continued` if earlier ones were not looked at."""

    cloud: Cloud
    pipeline: str
    key: str
    is_continued: bool
    in_versions: dict[str, ObjectVersion | None] = field(default_factory=dict)
    in_segments: dict[str, ObjectVersion | None] = field(default_factory=dict)
    # Versions whose files are gone or damaged.
    unknown: set[str] = field(default_factory=set)

    def stored(self, version: str) -> bytes | None:
        try:
            return self.cloud.objects.read(
                building.locations(self.cloud, self.pipeline).dataset_manifest(version)
            )
        except FileNotFoundError:
            return None

    def look(self, version: str, stored: bytes | None) -> ObjectVersion | None:
        """Return the object that a version has at the key, if any; raises one of `datasets.UNREADABLE`."""
        if stored is None:
            raise FileNotFoundError(version)
        head = DatasetHead.from_json(stored)
        found = self._listed(stored) if head is None else self._in_head(head)
        self.in_versions[version] = found
        return found

    def _in_head(self, head: DatasetHead) -> ObjectVersion | None:
        is_looked_at = head.parent in self.in_versions
        if head.parent is None or head.parent in self.unknown or (self.is_continued and not is_looked_at):
            return self._in_any(each.digest for each in head.segments)
        # A parent from before the object's arrival does not hold it, and what is added has new keys.
        return self.in_versions.get(head.parent) or self._in_any(head.added)

    def _in_any(self, digests: Iterable[str]) -> ObjectVersion | None:
        wanted = [*digests]
        unread = [digest for digest in wanted if digest not in self.in_segments]
        for digest, file in datasets.read_segments(self.cloud, self.pipeline, unread).items():
            self.in_segments[digest] = file.at(self.key)
        return next((held for digest in wanted if (held := self.in_segments[digest])), None)

    def _listed(self, stored: bytes) -> ObjectVersion | None:
        """Look in a version of an older stack, which lists its objects."""
        objects = DatasetManifest.from_json(stored).objects
        return next((obj for obj in objects if obj.key == self.key), None)


def readers(cloud: Cloud, pipeline: str, versions: Sequence[str]) -> dict[str, list[Run]]:
    """Return the runs that read each of these data set versions, oldest first."""
    if is_indexed(cloud, pipeline):
        found = on_each(versions, lambda version: _readers(cloud, pipeline, version))
        return dict(zip(versions, found, strict=True))
    runs: dict[str, list[Run]] = {version: [] for version in versions}
    for run in map(Run.of, arrivals.items_of(cloud, pipeline, keys.RUNS)):
        if run.dataset_version in runs:
            runs[run.dataset_version].append(run)
    return runs


def _readers(cloud: Cloud, pipeline: str, version: str) -> list[Run]:
    noted = cloud.catalog.query(keys.partition(pipeline), keys.readers_of(version))
    runs = (building.find_run(cloud, pipeline, item["run_id"]) for item in noted)
    # A run whose first attempt made another version reads the last one.
    return [run for run in runs if run is not None and run.dataset_version == version]
