"""Judge a large data set of mode append by its segments: read those that are not known, and add up.

What was found in a segment lies beside it, under the digest of the contract. It may be missing, or be counted
between other edges: then the segment is read. So a change costs the segments that it touches, and data that
are too many for one invocation are read by several, each of which goes on where the last one stopped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sluice.domain.config.models import Data
from sluice.domain.data import segments
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
from sluice.domain.data.segments import DatasetHead, Segment
from sluice.lazy import dataclass
from sluice.ports import Cloud
from sluice.quality import part_results, run
from sluice.quality.part_results import NeedsWholeError, PartResults
from sluice.quality.run import Baseline, Limits, Outcome, Reading
from sluice.quality.statistics.column_parts import Edges
from sluice.quality.validation import DataFile, Violation
from sluice.services import datasets
from sluice.services.arrivals import on_each
from sluice.services.building import locations

_JSON = "application/json"
_DOWNLOADS = 8
# The share of storage to leave free for what DuckDB stores and spills.
_SPILL_SHARE = 0.4
# To read so little again takes no longer than to read a full segment: it is not kept by segments.
_SMALL_BYTES = 100_000_000
# A sample for quantiles: objects of segments that are spread over all.
_SAMPLED_SEGMENTS, _SAMPLED_OBJECTS = 10, 500
# A segment is begun if there is time for so many like those before it.
_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class Asked:
    """What a version is judged by, and in what: `folder` is for files, `left_s` is the time to use."""

    cloud: Cloud
    pipeline: str
    data: Data
    baseline: Baseline
    now: datetime
    title: str
    folder: Path
    limits: Callable[[Path], Limits]
    left_s: Callable[[], float]

    @property
    def room_bytes(self) -> float:
        """How many bytes of files fit into the folder."""
        return shutil.disk_usage(self.folder).free * (1 - _SPILL_SHARE)

    def fits(self, data: DatasetHead | DatasetManifest) -> bool:
        """Tell whether data can be read at once."""
        objects = data.objects if isinstance(data, DatasetHead) else len(data.objects)
        return objects <= part_results.OBJECTS_MAX and data.size_bytes <= self.room_bytes

    def is_small(self, head: DatasetHead) -> bool:
        """Tell whether a version is read whole in the time of a segment."""
        is_of_one = head.objects <= segments.OBJECTS_MAX and head.size_bytes <= _SMALL_BYTES
        return is_of_one and self.fits(head)


@dataclass(frozen=True, slots=True)
class Unjudged:
    """So many objects of a version are known by now, and not yet all."""

    known: int
    objects: int


def judge(asked: Asked, head: DatasetHead, former: PartResults | None) -> Outcome | Unjudged:
    """Judge a version by its segments, or by those added to what was found in its parent.

    Raises NeedsWholeError if all are to be read at once: if they must, or if they can and that is better, as
    most are not known or there are so many more that quantiles are to be measured anew.
    """
    fits = asked.fits(head)
    sizes = {each.digest: each.objects for each in head.segments}
    wanted = [*sizes] if former is None else [*head.added]
    start = [] if former is None else [former]
    known = _known(asked, wanted)
    edged = _edged(start, known.values())
    found = {digest: part for digest, part in known.items() if edged and _is_usable(asked, part, edged)}
    lacking = [digest for digest in wanted if digest not in found]
    if fits and 2 * sum(sizes[digest] for digest in lacking) >= head.objects:
        raise NeedsWholeError("most of the data are not known")
    if fits and edged is not None and _outgrown(edged, [*start, *known.values()]):
        raise NeedsWholeError("the data have doubled since their quantiles were taken")
    begun = edged or _sampled(asked, head)
    if isinstance(begun, Violation):
        return run.refuse([begun], asked.data, asked.title)
    reading = _Readings(asked, begun, keeps_edges=not fits)
    for number, digest in enumerate(lacking):
        answer = reading.read(digest) if reading.has_time(sizes[digest]) else None
        if isinstance(answer, PartResults):
            found[digest] = answer
        elif answer is None or number:
            # It had what time the others left: the next invocation begins with it.
            return Unjudged(head.objects - sum(sizes[each] for each in lacking[number:]), head.objects)
        else:
            return run.refuse([answer], asked.data, asked.title)
    first, *others = [*start, *(found[digest] for digest in wanted)]
    outcome = run.conclude(
        [replace(first, edges=reading.edged.edges, edged_rows=reading.edged.edged_rows), *others],
        asked.data,
        now=asked.now,
        baseline=asked.baseline,
        title=asked.title,
        keeps_edges=not fits,
    )
    return replace(outcome, object_rows=reading.rows)


def keep(
    asked: Asked,
    held: Mapping[str, Sequence[ObjectVersion]],
    files: Sequence[DataFile],
    part: bytes,
    spent_s: float,
) -> None:
    """Keep what is in each segment of a version that was read whole, as far as there is time.

    `files` were read, which took `spent_s`, and `part` was found in them. What is not kept is read when it is
    needed.
    """
    if len(held) == 1:
        write(asked, next(iter(held)), part)
        return
    by_key = {file.key: file for file in files}
    edged = _parsed(part, asked.data)
    reading = _Readings(asked, edged, keeps_edges=False, spent_s=spent_s, objects=len(files))
    for digest, objects in held.items():
        there = [by_key[obj.key] for obj in objects]
        if not reading.has_time(len(there)):
            return
        try:
            with TemporaryDirectory(dir=asked.folder) as folder:
                found = reading.of_files(there, Path(folder))
        except NeedsWholeError:
            return
        if found.beyond is not None:
            return
        write(asked, digest, found.part)
        reading.objects += len(there)


def write(asked: Asked, digest: str, part: bytes) -> None:
    """Store what was found in a segment."""
    uri = locations(asked.cloud, asked.pipeline).segment_part(digest, run.parts_contract(asked.data))
    asked.cloud.objects.write(uri, part, _JSON)


def carry(asked: Asked, head: DatasetHead) -> None:
    """Keep what is in segments that small ones were merged into, if each holds all of some of these."""
    there = {each.digest for each in head.segments}
    if head.parent is None or there.issuperset(head.added):
        return
    parent = datasets.find_head(asked.cloud, asked.pipeline, head.parent)
    former = parent.segments if parent else ()
    read = datasets.read_segments(asked.cloud, asked.pipeline, head.added)
    new = [Segment(digest, len(file.keys()), 0, *file.ends()) for digest, file in read.items()]
    gone = [each for each in (*former, *new) if each.digest not in there]
    before = {each.digest for each in (*former, *new)}
    for merged in head.segments:
        within = [each for each in gone if merged.first <= each.first and each.last <= merged.last]
        if merged.digest in before or sum(each.objects for each in within) != merged.objects:
            continue
        known = _known(asked, [each.digest for each in within])
        edged = _edged((), known.values())
        if edged and len(known) == len(within) and all(_is_usable(asked, p, edged) for p in known.values()):
            first, *others = known.values()
            first = replace(first, edges=edged.edges, edged_rows=edged.edged_rows)
            write(asked, merged.digest, run.added_up([first, *others], asked.data))


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


def too_large(keys: Sequence[str], what: str, size_bytes: int, room_bytes: float, why: str = "") -> Violation:
    """Make the violation of objects that do not fit into the storage."""
    message = (
        f"{what} has {size_bytes} bytes, at most {room_bytes:.0f} fit here{why}: give the function more "
        "ephemeral storage (up to 10 GB), upload Parquet or compressed files, or keep a data.window"
    )
    return run.beyond_limits(message, keys)


# ------------------------------------------------------------------------------------------------ reading


class _Readings:
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
            read = _parsed(found.part, asked.data)
            # What comes next is counted between the quantiles of a column that was not seen before.
            self.edged = replace(self.edged, edges={**read.edges, **self.edged.edges})
            parts.append(read)
            rows |= found.object_rows
        part = run.added_up(parts, asked.data)
        datasets.write_segment_rows(asked.cloud, asked.pipeline, digest, rows, rows)
        write(asked, digest, part)
        self.rows |= rows
        self.objects += len(objects)
        return _parsed(part, asked.data)

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


def _sampled(asked: Asked, head: DatasetHead) -> PartResults | Violation:
    """Measure quantiles of some objects of segments that are spread over the version.

    Objects that are too large for the storage are refused before any is fetched.
    """
    count = min(_SAMPLED_SEGMENTS, len(head.segments))
    digests = [head.segments[len(head.segments) * at // count].digest for at in range(count)]
    room, chosen = asked.room_bytes, dict[str, ObjectVersion]()
    for file in datasets.read_segments(asked.cloud, asked.pipeline, digests).values():
        objects = file.objects()
        if found := _too_large(objects, asked.room_bytes):
            return found
        for obj in objects[:: max(1, len(objects) // _SAMPLED_OBJECTS)]:
            if obj.size_bytes <= room:
                room -= obj.size_bytes
                chosen[obj.key] = obj
    with TemporaryDirectory(dir=asked.folder) as folder:
        reading = run.read(
            download(asked.cloud, [*chosen.values()], Path(folder)),
            asked.data,
            limits=asked.limits(Path(folder)),
            now=asked.now,
            baseline=asked.baseline,
            edged=None,
        )
    return reading.beyond or _parsed(reading.part, asked.data)


def _too_large(objects: Iterable[ObjectVersion], room_bytes: float) -> Violation | None:
    """Make the violation of the first object that does not fit into the storage by itself."""
    for obj in objects:
        if obj.size_bytes > room_bytes:
            return too_large([obj.key], "it", obj.size_bytes, room_bytes)
    return None


# -------------------------------------------------------------------------------------------- what is known


def _known(asked: Asked, digests: Sequence[str]) -> dict[str, PartResults]:
    """Read what was found in segments; without those of which nothing can be read."""
    places, contract = locations(asked.cloud, asked.pipeline), run.parts_contract(asked.data)

    def read(digest: str) -> PartResults | None:
        try:
            stored = asked.cloud.objects.read(places.segment_part(digest, contract))
        except FileNotFoundError:
            return None
        return run.parsed(stored, asked.data)

    found = zip(digests, on_each(digests, read), strict=True)
    return {digest: part for digest, part in found if part is not None}


def _edged(start: Sequence[PartResults], parts: Iterable[PartResults]) -> PartResults | None:
    """Return the start, or the part with the quantiles of the most rows; of other columns it has others'.

    What was found at the start cannot be counted anew.
    """
    listed = [*start, *sorted(parts, key=lambda part: -part.edged_rows)]
    if not listed:
        return None
    edges: dict[str, Edges] = {}
    for part in listed:
        edges = {**part.edges, **edges}
    return replace(listed[0], edges=edges)


def _outgrown(edged: PartResults, parts: Iterable[PartResults]) -> bool:
    return replace(edged, rows=sum(part.rows for part in parts)).is_outgrown


def _is_usable(asked: Asked, part: PartResults, edged: PartResults) -> bool:
    """Tell whether a part is counted as the others are, and as the baseline is if that is compared."""
    profile = asked.baseline.profile if asked.data.drift else None
    before = {
        name: column.distribution.edges
        for name, column in (profile.columns if profile else {}).items()
        if name in part.columns
        and column.type == part.columns[name].type
        and column.categories is None
        and column.distribution is not None
        and not column.distribution.is_discrete
    }
    return part.is_counted_between(edged.edges) and part.is_counted_between(before)


def _parsed(part: bytes, data: Data) -> PartResults:
    """Parse what was just written, as it will be read again."""
    return PartResults.from_json(part, run.parts_contract(data))
