"""What was found in a segment lies beside it, under the digest of the contract, and counts between edges.

It may be missing, or count between other edges than the others: then its leaves are added up, or read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sluice.domain.config.models import Data
from sluice.domain.data import leaves
from sluice.domain.data.datasets import DatasetManifest
from sluice.domain.data.segments import DatasetHead
from sluice.lazy import dataclass
from sluice.ports import Cloud
from sluice.quality import part_results, run
from sluice.quality.judging import Terms
from sluice.quality.part_results import PartResults
from sluice.quality.run import Limits
from sluice.quality.statistics.column_parts import Edges
from sluice.services.building import locations
from sluice.services.side_by_side import on_each

_JSON = "application/json"
# The share of storage to leave free for what DuckDB stores and spills.
_SPILL_SHARE = 0.4
# To read so little again takes no longer than to read a leaf: nothing is kept of its parts.
_SMALL_LEAVES, _SMALL_BYTES = 2, 100_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What a version is judged by, and in what: `folder` is for files, `left_s` is the time to use."""

    cloud: Cloud
    pipeline: str
    version: str
    terms: Terms
    folder: Path
    limits: Callable[[Path], Limits]
    left_s: Callable[[], float]

    @property
    def title(self) -> str:
        """What a report is of."""
        return f"{self.pipeline}, data set {self.version[:12]}"

    @property
    def data(self) -> Data:
        """The contract."""
        return self.terms.data

    @property
    def room_bytes(self) -> float:
        """How many bytes of files fit into the folder."""
        return shutil.disk_usage(self.folder).free * (1 - _SPILL_SHARE)

    def fits(self, data: DatasetHead | DatasetManifest) -> bool:
        """Tell whether data can be read at once."""
        objects = data.objects if isinstance(data, DatasetHead) else len(data.objects)
        return objects <= part_results.OBJECTS_MAX and data.size_bytes <= self.room_bytes

    def is_small(self, head: DatasetHead) -> bool:
        """Tell whether a version is read whole in the time of a leaf."""
        is_of_few = head.objects <= _SMALL_LEAVES * leaves.OBJECTS and head.size_bytes <= _SMALL_BYTES
        return is_of_few and self.fits(head)


def write(asked: Asked, digest: str, part: bytes) -> None:
    """Store what was found in a segment."""
    uri = locations(asked.cloud, asked.pipeline).segment_part(digest, run.parts_contract(asked.data))
    asked.cloud.objects.write(uri, part, _JSON)


def known(asked: Asked, digests: Sequence[str]) -> dict[str, PartResults]:
    """Read what was found in segments, or runs of these; without those of which nothing can be read."""
    return read_each(asked, digests, locations(asked.cloud, asked.pipeline).segment_part, run.parsed)


def read_each(
    asked: Asked,
    digests: Sequence[str],
    place: Callable[[str, str], str],
    parse: Callable[[bytes, Data], PartResults | None],
) -> dict[str, PartResults]:
    """Read what was found at places by digest and contract; without what is not there or cannot be read."""
    contract = run.parts_contract(asked.data)

    def read(digest: str) -> PartResults | None:
        try:
            return parse(asked.cloud.objects.read(place(digest, contract)), asked.data)
        except FileNotFoundError:
            return None

    found = zip(digests, on_each(digests, read), strict=True)
    return {digest: part for digest, part in found if part is not None}


def edged_by(start: Sequence[PartResults], parts: Iterable[PartResults]) -> PartResults | None:
    """Return the start, or the part with the quantiles of the most rows; of other columns it has others'.

    What was found at the start cannot be counted anew.
    """
    listed = [*start, *sorted(parts, key=lambda part: -part.edged_rows)]
    return with_edges(listed[0], listed[1:]) if listed else None


def with_edges(edged: PartResults, parts: Iterable[PartResults]) -> PartResults:
    """Return a part with the edges of others for columns that it has none of; the first ones count."""
    edges: dict[str, Edges] = dict(edged.edges)
    for part in parts:
        edges = {**part.edges, **edges}
    return replace(edged, edges=edges)


def usable(asked: Asked, parts: Mapping[str, PartResults], edged: PartResults) -> dict[str, PartResults]:
    """Return those of the parts that are counted as `edged` is."""
    return {name: part for name, part in parts.items() if is_usable(asked, part, edged)}


def is_usable(asked: Asked, part: PartResults, edged: PartResults) -> bool:
    """Tell whether a part is counted as the others are, and as the baseline is if that is compared."""
    profile = asked.terms.baseline.profile if asked.data.drift else None
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


def between(edged: PartResults, parts: Sequence[PartResults]) -> list[PartResults]:
    """Return parts, at least one, to add up: a sum has the edges of the first."""
    first, *others = parts
    return [replace(first, edges=edged.edges, edged_rows=edged.edged_rows), *others]
