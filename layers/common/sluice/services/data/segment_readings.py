"""Read the objects of leaves, in portions that fit into a function's storage, and keep what is found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from sluice.domain.data.datasets import ObjectVersion
from sluice.domain.data.leaves import Leaf
from sluice.domain.data.segments import DatasetHead
from sluice.lazy import dataclass
from sluice.ports import Cloud
from sluice.quality import run
from sluice.quality.part_results import PartResults
from sluice.quality.run import Work
from sluice.quality.validation import DataFile, Violation
from sluice.services.data import datasets, segment_leaves, segment_parts
from sluice.services.data.segment_leaves import Divided
from sluice.services.data.segment_parts import Asked
from sluice.services.side_by_side import on_each

# A sample for quantiles: objects of segments that are spread over all. Each invocation that knows nothing yet
# reads it anew, and needs time for a segment after that.
_SAMPLED_SEGMENTS, _SAMPLED_OBJECTS, _SAMPLED_BYTES = 10, 500, 500_000_000
# Leaves are begun if there is so many times the time for them that those before them took.
_MARGIN = 1.5


class Readings:
    """Reads leaves of segments one after the other, and keeps what is found in each.

    `rows` are the rows of the segments' objects, `objects` how many were read, and `partial` how many are
    known of the segment that could not be read to its end.
    """

    def __init__(
        self, asked: Asked, edged: PartResults, divided: Mapping[str, Divided], *, keeps_edges: bool
    ) -> None:
        """Begin to read; `divided` has segments that were looked at already."""
        self.edged = edged
        self.rows: dict[str, int] = {}
        self.objects = self.partial = 0
        self._asked = asked
        self._divided = divided
        self._keeps_edges = keeps_edges
        self._began_s = asked.left_s()
        self._is_careful = False

    def has_time(self, objects: int) -> bool:
        """Tell whether there is time for so many objects; there always is for the first ones."""
        left_s = self._asked.left_s()
        return not self.objects or left_s > _MARGIN * objects * (self._began_s - left_s) / self.objects

    def read(self, digest: str) -> PartResults | Violation | None:
        """Read a segment's unknown leaves, and store what was found in it; None if there was no time."""
        asked = self._asked
        divided = self._divided.get(digest) or segment_leaves.divide(asked, [digest])[digest]
        self.edged = segment_parts.with_edges(self.edged, divided.known.values())
        found = segment_parts.usable(asked, divided.known, self.edged)
        self.partial = divided.objects(found)
        left = [_Objects.of(leaf) for leaf in divided.leaves if leaf.digest not in found]
        if beyond := _too_large((obj for leaf in left for obj in leaf.objects), asked.room_bytes):
            return beyond
        while left:
            if not (portion := self._portion(left)):
                return None
            read = self._read(portion)
            if not isinstance(read, Violation):
                found |= read
                self.partial = divided.objects(found)
                left = left[len(portion) :]
            elif len(portion) == 1:
                return read
            else:
                # One of them is too much, or all together are.
                self._is_careful = True
        self.partial = 0
        parts = [found[leaf.digest] for leaf in divided.leaves]
        part = run.added_up(segment_parts.between(self.edged, parts), asked.data)
        rows = {key: count for each in parts for key, count in each.object_rows.items()}
        datasets.write_segment_rows(asked.cloud, asked.pipeline, digest, rows, rows)
        segment_parts.write(asked, digest, part)
        self.rows |= rows
        return PartResults.from_json(part, run.parts_contract(asked.data))

    def _portion(self, left: Sequence[_Objects]) -> list[_Objects]:
        """Choose the leaves to read next: those that fit and are read in time, but at first only one."""
        most = 1 if self._is_careful or not self.objects else len(left)
        chosen: list[_Objects] = []
        objects = size_bytes = 0
        for leaf in left[:most]:
            objects, size_bytes = objects + len(leaf.objects), size_bytes + leaf.size_bytes
            if not self.has_time(objects) or (chosen and size_bytes > self._asked.room_bytes):
                break
            chosen.append(leaf)
        return chosen

    def _read(self, leaves: Sequence[_Objects]) -> dict[str, PartResults] | Violation:
        """Read leaves, or one that is too large for the storage in portions, and store what was found."""
        asked = self._asked
        objects = [obj for leaf in leaves for obj in leaf.objects]
        found: list[bytes] = []
        # Several were chosen as they fit, and by now others may have used some of the room.
        portions = [*_portions(objects, asked.room_bytes)] if len(leaves) == 1 else [objects]
        leaf_files = [len(leaf.objects) for leaf in leaves] if len(portions) == 1 else ()
        for portion in portions:
            with TemporaryDirectory(dir=asked.folder) as folder:
                files = download(asked.cloud, portion, Path(folder))
                work = Work(files, asked.terms, asked.limits(Path(folder)), leaf_files)
                reading = run.read(work, edged=self.edged, keeps_edges=self._keeps_edges)
            if reading.beyond is not None:
                return reading.beyond
            found += reading.leaf_parts
            # What comes next is counted between the quantiles of a column that was not seen before.
            self.edged = segment_parts.with_edges(self.edged, _parsed(asked, reading.leaf_parts))
        if len(portions) > 1:
            found = [run.leaf_of(segment_parts.between(self.edged, _parsed(asked, found)), asked.data)]
        by_leaf = dict(zip((leaf.digest for leaf in leaves), found, strict=True))
        segment_leaves.write(asked, by_leaf)
        self.objects += len(objects)
        return dict(zip(by_leaf, _parsed(asked, found), strict=True))


@dataclass(frozen=True, slots=True)
class _Objects:
    """The objects of a leaf."""

    digest: str
    objects: Sequence[ObjectVersion]
    size_bytes: int

    @classmethod
    def of(cls, leaf: Leaf) -> _Objects:
        objects = leaf.file.objects()
        return cls(leaf.digest, objects, sum(obj.size_bytes for obj in objects))


def _parsed(asked: Asked, leaf_parts: Iterable[bytes]) -> list[PartResults]:
    """Parse what was just read, as it will be read again."""
    return [part for leaf in leaf_parts if (part := run.parsed_leaf(leaf, asked.data)) is not None]


def _portions(objects: Iterable[ObjectVersion], room_bytes: float) -> Iterator[list[ObjectVersion]]:
    """Divide objects, none of which is too large, into runs that fit."""
    portion: list[ObjectVersion] = []
    size_bytes = 0
    for obj in objects:
        if portion and size_bytes + obj.size_bytes > room_bytes:
            yield portion
            portion, size_bytes = [], 0
        portion.append(obj)
        size_bytes += obj.size_bytes
    yield portion


def sample(asked: Asked, head: DatasetHead) -> PartResults | Violation:
    """Measure quantiles of some objects of segments that are spread over the version.

    Objects that are too large for the storage are refused before any is fetched.
    """
    count = min(_SAMPLED_SEGMENTS, len(head.segments))
    digests = [head.segments[len(head.segments) * at // count].digest for at in range(count)]
    listed = list[Sequence[ObjectVersion]]()
    for file in datasets.read_segments(asked.cloud, asked.pipeline, digests).values():
        objects = file.objects()
        if found := _too_large(objects, asked.room_bytes):
            return found
        listed.append(objects[:: -(-len(objects) // _SAMPLED_OBJECTS)])
    chosen = _fitting(listed, min(asked.room_bytes, _SAMPLED_BYTES))
    with TemporaryDirectory(dir=asked.folder) as folder:
        files = download(asked.cloud, chosen, Path(folder))
        reading = run.read(Work(files, asked.terms, asked.limits(Path(folder))), edged=None)
    if reading.beyond is not None:
        return reading.beyond
    (part,) = _parsed(asked, reading.leaf_parts)
    return part


def _fitting(listed: Iterable[Sequence[ObjectVersion]], left_bytes: float) -> list[ObjectVersion]:
    """Choose objects of each list in turn, as far as they are not too large together; at least one."""
    chosen: list[ObjectVersion] = []
    for obj in chain.from_iterable(zip_longest(*listed)):
        if obj is not None and (obj.size_bytes <= left_bytes or not chosen):
            chosen.append(obj)
            left_bytes -= obj.size_bytes
    return chosen


def _too_large(objects: Iterable[ObjectVersion], room_bytes: float) -> Violation | None:
    """Make the violation of the first object that does not fit into the storage by itself."""
    for obj in objects:
        if obj.size_bytes > room_bytes:
            return too_large([obj.key], "it", obj.size_bytes, room_bytes)
    return None


def too_large(keys: Sequence[str], what: str, size_bytes: int, room_bytes: float, why: str = "") -> Violation:
    """Make the violation of objects that do not fit into the storage."""
    message = (
        f"{what} has {size_bytes} bytes, at most {room_bytes:.0f} fit here{why}: give the function more "
        "ephemeral storage (up to 10 GB), upload Parquet or compressed files, or keep a data.window"
    )
    return run.beyond_limits(message, keys)


def download(cloud: Cloud, objects: Sequence[ObjectVersion], folder: Path) -> list[DataFile]:
    """Fetch exactly these versions, under neutral names: a key may be any text."""
    files = [DataFile(obj.key, folder / str(index)) for index, obj in enumerate(objects)]

    def fetch(each: tuple[ObjectVersion, DataFile]) -> None:
        obj, file = each
        cloud.objects.download(cloud.data_bucket, obj.key, obj.version_id, file.path)

    on_each(zip(objects, files, strict=True), fetch)
    return files
