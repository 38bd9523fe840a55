"""Judge a data set version by reading no more of it than must be read: what is new, its segments, or all."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sluice.domain.data import leaves
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion, beyond
from sluice.domain.data.leaves import Leaf
from sluice.domain.data.segments import DatasetHead
from sluice.lazy import dataclass
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.quality import part_results, run
from sluice.quality.part_results import NeedsWholeError, whole_checks
from sluice.quality.run import Outcome, Work
from sluice.services.data import (
    batching,
    datasets,
    segment_judging,
    segment_leaves,
    segment_parts,
    segment_readings,
)
from sluice.services.data.segment_judging import Unjudged
from sluice.services.data.segment_parts import Asked


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome for a version, and its objects that were read together; None if its segments were.

    `keeps_rows`: their rows are stored.
    """

    outcome: Outcome | Unjudged
    objects: DatasetManifest | None = None
    keeps_rows: bool = False


def judge(asked: Asked, head: DatasetHead | None, former: bytes | None) -> Judged:
    """Judge what is new together with what is known, or else all data.

    `head` is None for a version of an older stack; `former` is what was found in the version before, which
    this one has more objects than.
    """
    if head is None or asked.data.mode != "append":
        return _judge_whole(asked, head)
    if whole := whole_checks(asked.data):
        return _judge_whole(asked, head, f"for {', '.join(whole)}")
    try:
        return _judge_new(asked, head, former)
    except NeedsWholeError as error:
        logger.info("all data are read", extra={"reason": str(error)})
        return _judge_whole(asked, head, f"as {error}")


def _judge_new(asked: Asked, head: DatasetHead, former: bytes | None) -> Judged:
    """Judge what is new of a version; raises NeedsWholeError if all is to be read at once."""
    is_small = asked.is_small(head)
    if former is not None and (is_small or len(head.added) == 1):
        files = datasets.read_segments(asked.cloud, asked.pipeline, head.added).values()
        new = DatasetManifest.of(obj for file in files for obj in file.objects())
        its = [] if is_small else [leaf for file in files for leaf in leaves.of(file)]
        try:
            if asked.fits(new):
                return _judge_grown(asked, head, new, its, former)
        except NeedsWholeError:
            if is_small:
                raise
            former = None
    if is_small:
        raise NeedsWholeError("it is small")
    is_apart = {each.digest for each in head.segments}.issuperset(head.added)
    known = run.parsed(former, asked.data) if former is not None and is_apart else None
    return Judged(segment_judging.judge(asked, head, known))


def _judge_grown(
    asked: Asked, head: DatasetHead, new: DatasetManifest, its: Sequence[Leaf], former: bytes
) -> Judged:
    """Judge new objects together with what was found in all others; keep what is found in their leaves."""
    keeps_edges = not asked.fits(head)
    # If all must be read after that, their files get what room there is.
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        files = segment_readings.download(asked.cloud, new.objects, Path(folder))
        work = Work(files, asked.terms, asked.limits(Path(folder)), [leaf.objects for leaf in its])
        outcome = run.validate(
            work, title=asked.title, former=former, keeps_part=True, keeps_edges=keeps_edges
        )
    if outcome.own is None or not its:
        return Judged(outcome, new)
    # First: nobody reads again what is known, and rows are known from reading alone.
    datasets.write_rows(asked.cloud, asked.pipeline, head, outcome.object_rows)
    segment_parts.write(asked, head.added[0], outcome.own)
    kept = zip(its, outcome.leaf_parts, strict=False)
    segment_leaves.write(asked, {leaf.digest: part for leaf, part in kept})
    segment_leaves.carry(asked, head)
    return Judged(outcome, new, keeps_rows=True)


def _judge_whole(asked: Asked, head: DatasetHead | None, why: str = "") -> Judged:
    """Judge all data by reading them at once; `why` says what they must be for, in mode append."""
    if head is not None and head.objects > part_results.OBJECTS_MAX:
        return Judged(_refuse_many(asked, head.objects, why))
    objects, divided = _held(asked, head)
    if len(objects) > part_results.OBJECTS_MAX:
        return Judged(_refuse_many(asked, len(objects), why), DatasetManifest.of(objects))
    if sum(obj.size_bytes for obj in objects) > asked.room_bytes:
        manifest = DatasetManifest.of(objects)
        return Judged(_refuse_large(asked, manifest, why), manifest)
    is_grown = asked.data.mode == "append"
    files = segment_readings.download(asked.cloud, objects, asked.folder)
    leaf_files = [leaf.objects for its in divided.values() for leaf in its] if is_grown else ()
    work = Work(files, asked.terms, asked.limits(asked.folder), leaf_files)
    outcome = run.validate(work, title=asked.title, keeps_part=is_grown)
    manifest, keeps = DatasetManifest.of(objects), head is not None and bool(outcome.leaf_parts)
    if head is not None and keeps:
        datasets.write_rows(asked.cloud, asked.pipeline, head, outcome.object_rows)
        segment_leaves.keep(asked, divided, outcome.leaf_parts)
    return Judged(outcome, manifest, keeps_rows=keeps)


def _held(
    asked: Asked, head: DatasetHead | None
) -> tuple[Sequence[ObjectVersion], Mapping[str, Sequence[Leaf]]]:
    """Return all objects of a version and, in their order, the leaves of its segments to keep results of."""
    if head is None:
        return datasets.find_manifest(asked.cloud, asked.pipeline, asked.version).objects, {}
    digests = [each.digest for each in head.segments]
    files = datasets.read_segments(asked.cloud, asked.pipeline, digests)
    listed = [obj for file in files.values() for obj in file.objects()]
    objects = DatasetManifest.of(listed).objects
    # A version of a former release may have an object twice.
    if asked.is_small(head) or len(objects) < len(listed):
        return objects, {}
    return listed, {digest: leaves.of(file) for digest, file in files.items()}


def _refuse_many(asked: Asked, objects: int, why: str) -> Outcome:
    """Refuse the objects beyond the number that a function has time for; new ones count last."""
    most = part_results.OBJECTS_MAX
    advice = "put more rows into each" if why else "put more rows into each, or keep a data.window"
    said = f"at most {most} are read at once{_must(why)}"
    new = sorted(new_keys(asked.cloud, asked.pipeline, asked.version))
    outside = new[max(0, most - (objects - len(new))) :]
    message = f"the data set has {objects} objects, {said}: {advice}"
    return run.refuse([run.beyond_limits(message, outside)], asked.data, asked.title)


def _refuse_large(asked: Asked, manifest: DatasetManifest, why: str) -> Outcome:
    """Refuse the objects that do not fit into the storage, before any is fetched."""
    room = asked.room_bytes
    outside = beyond(manifest.objects, room, new_keys(asked.cloud, asked.pipeline, asked.version))
    found = [
        segment_readings.too_large([obj.key], "the data set", manifest.size_bytes, room, _must(why))
        for obj in outside
    ]
    return run.refuse(found, asked.data, asked.title)


def _must(why: str) -> str:
    return f", and all must be {why}" if why else ""


def new_keys(cloud: Cloud, pipeline: str, version: str) -> set[str]:
    """Return the keys of the objects that a version took up."""
    return {each.key for each in batching.taken_up(cloud, pipeline, version)}
