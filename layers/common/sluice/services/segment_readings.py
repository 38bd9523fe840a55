"""Read the objects of segments, in portions that fit into a function's storage, and keep what is found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from sluice.domain.data.datasets import ObjectVersion
from sluice.domain.data.segments import DatasetHead
from sluice.ports import Cloud
from sluice.quality import run
from sluice.quality.part_results import PartResults
from sluice.quality.run import Reading
from sluice.quality.validation import DataFile, Violation
from sluice.services import datasets, segment_parts
from sluice.services.segment_parts import Asked

_DOWNLOADS = 8
# A sample for quantiles: objects of segments that are spread over all. Each invocation that knows nothing yet
# reads it anew, and needs time for a segment after that.
_SAMPLED_SEGMENTS, _SAMPLED_OBJECTS, _SAMPLED_BYTES = 10, 500, 500_000_000
# A segment is begun if there is time for so many like those before it.
_MARGIN = 1.5


class Readings:
    """Reads segments one after the other, and keeps what is found in each; `rows` are their objects'."""

    def __init__(
        self,
        asked: Asked,
        edged: PartResults,
        *,
        keeps_edges: bool,
        spent_s: float = 0.0,
        objects: int = 0,
    ) -> None:
        """Begin to read; so many objects were read before in `spent_s`."""
        self.edged = edged
        self.rows: dict[str, int] = {}
        self.objects = objects
        self._asked = asked
        self._keeps_edges = keeps_edges
        self._began_s = asked.left_s() + spent_s

    def has_time(self, objects: int) -> bool:
        """Tell whether there is time for so many objects; there always is for the first ones."""
        left_s = self._asked.left_s()
        return not self.objects or left_s > _MARGIN * objects * (self._began_s - left_s) / self.objects

    def read(self, digest: str) -> PartResults | Violation:
        """Read a segment, in portions that fit into the storage, and store what was found."""
        asked, room = self._asked, self._asked.room_bytes
        objects = datasets.read_segments(asked.cloud, asked.pipeline, [digest])[digest].objects()
        if beyond := _too_large(objects, room):
            return beyond
        parts, rows = [], dict[str, int]()
        for portion in _portions(objects, room):
            with TemporaryDirectory(dir=asked.folder) as folder:
                found = self.of_files(download(asked.cloud, portion, Path(folder)), Path(folder))
            if found.beyond is not None:
                return found.beyond
            read = segment_parts.parsed(found.part, asked.data)
            # What comes next is counted between the quantiles of a column that was not seen before.
            self.edged = replace(self.edged, edges={**read.edges, **self.edged.edges})
            parts.append(read)
            rows |= found.object_rows
        part = run.added_up(parts, asked.data)
        datasets.write_segment_rows(asked.cloud, asked.pipeline, digest, rows, rows)
        segment_parts.write(asked, digest, part)
        self.rows |= rows
        self.objects += len(objects)
        return segment_parts.parsed(part, asked.data)

    def of_files(self, files: Sequence[DataFile], folder: Path) -> Reading:
        asked = self._asked
        return run.read(
            files,
            asked.data,
            limits=asked.limits(folder),
            now=asked.now,
            baseline=asked.baseline,
            edged=self.edged,
            keeps_edges=self._keeps_edges,
        )


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
        reading = run.read(
            download(asked.cloud, chosen, Path(folder)),
            asked.data,
            limits=asked.limits(Path(folder)),
            now=asked.now,
            baseline=asked.baseline,
            edged=None,
        )
    return reading.beyond or segment_parts.parsed(reading.part, asked.data)


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
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        versions = [obj.version_id for obj in objects]
        list(
            pool.map(
                lambda f, v: cloud.objects.download(cloud.data_bucket, f.key, v, f.path), files, versions
            )
        )
    return files
