"""Data set versions: the content of a manifest of object versions defines a version; nothing is copied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from sluice.domain import canonical
from sluice.domain.data import set_hash

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival

Mode = Literal["append", "replace", "window"]


@dataclass(frozen=True, slots=True, order=True)
class ObjectVersion:
    """One version of an object in the data bucket."""

    key: str
    version_id: str
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, arrival: Arrival) -> ObjectVersion:
        return cls(arrival.key, arrival.version_id, arrival.size_bytes, arrival.sha256)

    def same_content(self, other: ObjectVersion) -> bool:
        return (self.key, self.sha256) == (other.key, other.sha256)

    def to_json(self) -> bytes:
        """Return its canonical JSON, which a version's hash is of."""
        return canonical.to_json(
            {
                "key": self.key,
                "version_id": self.version_id,
                "size_bytes": self.size_bytes,
                "sha256": self.sha256,
            }
        )


@dataclass(frozen=True)
class DatasetManifest:
    """The object versions of a data set, one for each key, ordered by key."""

    objects: tuple[ObjectVersion, ...]

    @classmethod
    def of(cls, objects: Iterable[ObjectVersion]) -> DatasetManifest:
        """Make the manifest of objects in any order; of several versions of a key the last one counts."""
        newest = {obj.key: obj for obj in objects}
        return cls(tuple(newest[key] for key in sorted(newest)))

    @classmethod
    def from_json(cls, data: bytes) -> DatasetManifest:
        """Parse what `to_json` wrote."""
        return cls.of(ObjectVersion(**obj) for obj in json.loads(data)["objects"])

    def to_json(self) -> bytes:
        return canonical.to_json({"objects": [asdict(obj) for obj in self.objects]})

    @cached_property
    def state(self) -> int:
        """The state of the objects' hash as a set."""
        return set_hash.state(obj.to_json() for obj in self.objects)

    @property
    def version(self) -> str:
        """The data set version: 64 hex digits that depend only on the objects, not on how they came."""
        return set_hash.digest(self.state)

    def is_version(self, version: str) -> bool:
        """Tell whether these are a version's objects; an older stack's version is its manifest's sha256."""
        return version in (self.version, hashlib.sha256(self.to_json()).hexdigest())

    @property
    def size_bytes(self) -> int:
        return sum(obj.size_bytes for obj in self.objects)


def combine(
    mode: Mode,
    previous: DatasetManifest | None,
    arrivals: Sequence[ObjectVersion],
) -> DatasetManifest:
    """Return the data set after the arrivals, given in their order.

    append, window: the newest version of each key so far; `windows.within` then removes what is outside.
    replace: only the arrivals. An object that arrives with the same content keeps its former entry, so that
    the same data are the same version.
    """
    former = {obj.key: obj for obj in previous.objects} if previous else {}
    arrived = {obj.key: obj for obj in arrivals}
    kept = {
        key: former[key] if key in former and former[key].same_content(obj) else obj
        for key, obj in arrived.items()
    }
    base = former if mode != "replace" or not arrived else {}
    return DatasetManifest.of({**base, **kept}.values())


def beyond(objects: Iterable[ObjectVersion], room_bytes: float, new: Collection[str]) -> list[ObjectVersion]:
    """Return the objects that do not fit: new keys come last, and of those the largest."""
    left, outside = room_bytes, []
    for obj in sorted(objects, key=lambda obj: (obj.key in new, obj.size_bytes, obj.key)):
        if obj.size_bytes <= left:
            left -= obj.size_bytes
        else:
            outside.append(obj)
    return outside


def changes(former: DatasetManifest, now: DatasetManifest, current: Mapping[str, str]) -> dict[str, int]:
    """Count how a data set differs from a former one, by what `current`, the bucket's versions by key, has.

    Of both it is enough to give those objects that may differ. Nothing is told of what is the same.
    """
    before, after = ({obj.key: obj for obj in each.objects} for each in (former, now))
    gone = before.keys() - after.keys()
    deleted = sum(key not in current for key in gone)
    counted = {
        "new": len(after.keys() - before.keys()),
        "overwritten": sum(before[key] != after[key] for key in before.keys() & after.keys()),
        "deleted": deleted,
        "left out": len(gone) - deleted,
    }
    return {how: count for how, count in counted.items() if count}


Condition = Literal["intact", "differs", "gone", "overwritten", "deleted"]


def condition(obj: ObjectVersion, stored_sha256: str | None, current_sha256: str | None) -> Condition:
    """Judge an object of a data set, by the sha256 of its version and of its key's newest version.

    None means that the version or the key does not exist. An overwritten or deleted object still exists under
    its version, but jobs read by key, so they would find something else or nothing.
    """
    if stored_sha256 is None:
        return "gone"
    if stored_sha256 != obj.sha256:
        return "differs"
    if current_sha256 is None:
        return "deleted"
    return "intact" if current_sha256 == obj.sha256 else "overwritten"


def changed_since(
    manifest: DatasetManifest, current: Mapping[str, str], known: Iterable[ObjectVersion] = ()
) -> list[str]:
    """Return the keys whose object is gone or whose content differs from the manifest.

    `current` is the current version id by key. `known` are versions whose content is known (arrivals): a
    version with another id but the same content is not a change.
    """
    contents = {(obj.key, obj.version_id): obj.sha256 for obj in (*known, *manifest.objects)}
    return [
        obj.key for obj in manifest.objects if contents.get((obj.key, current.get(obj.key, ""))) != obj.sha256
    ]


# The list of files that a job reads: SageMaker takes one, as JSON of a prefix and all keys, of any length.
LIST_END = b"]"


def list_opening(bucket: str) -> bytes:
    """Return what comes before the keys in a list of files."""
    return json.dumps([{"prefix": f"s3://{bucket}/"}]).encode().removesuffix(LIST_END)


def listed(keys: Sequence[str]) -> bytes:
    """Return keys as they stand in a list of files, each behind a comma."""
    return f", {json.dumps(keys)[1:-1]}".encode() if keys else b""


def unlisted(part: bytes, keys: Iterable[str]) -> list[memoryview] | None:
    """Return what is left of a part of a list of files without some keys, given in its order.

    None if it lacks one of them.
    """
    rest, begin, view = list[memoryview](), 0, memoryview(part)
    for key in map(listed, ([key] for key in keys)):
        found = part.find(key, begin)
        if found < 0:
            return None
        rest.append(view[begin:found])
        begin = found + len(key)
    return [each for each in (*rest, view[begin:]) if each]
