"""ValidateData task: check a data set version by its data contract."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import Change, builds, data
from sluice.catalog.records.builds import Pipeline
from sluice.domain import failures, times, wording
from sluice.domain.build.errors import BuildError
from sluice.domain.config.models import Data
from sluice.domain.data import leaves
from sluice.domain.data.datasets import DatasetManifest, ObjectVersion, beyond
from sluice.domain.data.leaves import Leaf
from sluice.domain.data.segments import DatasetHead
from sluice.events import ValidateDataTask, event_parser
from sluice.lazy import dataclass
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.quality import part_results, run
from sluice.quality.judging import Baseline, Terms
from sluice.quality.part_results import PART, NeedsWholeError, whole_checks
from sluice.quality.run import Limits, Outcome, Work
from sluice.quality.validation import Report
from sluice.services import building, metering
from sluice.services.build import environments
from sluice.services.building import Begun
from sluice.services.data import (
    baselines,
    batching,
    datasets,
    segment_judging,
    segment_leaves,
    segment_parts,
    segment_readings,
)
from sluice.services.data.segment_judging import Unjudged
from sluice.services.data.segment_parts import Asked
from sluice.services.side_by_side import on_each, together
from sluice.services.timeline import note, noting
from sluice.tasks import machine_task

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig

# Time for what is left to do after the engine.
_RESERVE_S = 30
_CONTENT_TYPES = {".json": "application/json", ".html": "text/html; charset=utf-8"}


class RunEndedError(BuildError):
    """The run was stopped while its data were read: another may have continued."""


class NoProgressError(BuildError):
    """An invocation found no more of the data known than the one before it: so would all others."""


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=ValidateDataTask)
def lambda_handler(task: ValidateDataTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(run_id=task.run_id, dataset_version=task.dataset_version)
    begun = building.find_begun(cloud, task, keys.pipeline_key(task.pipeline))
    config = begun.config()
    if begun.run.reproduces:
        return _answer(
            cloud, task, _recorded(cloud, task), environments.are_missing(cloud, begun.project, config)
        )
    return _judged(cloud, task, context, config, begun)


def _answer(
    cloud: Cloud, task: ValidateDataTask, verdict: dict[str, Any], are_missing: bool
) -> dict[str, Any]:
    """Return a verdict, and whether packages are to be built before the jobs that follow."""
    needs_packages = verdict["is_valid"] and are_missing
    if needs_packages:
        at = building.first_time(cloud, task, "packaged")
        note(cloud, task.pipeline, at, task.run_id, "packages started", "jobs on Lambda need them, and wait")
    return {**verdict, "needs_packages": needs_packages}


def _judged(
    cloud: Cloud, task: ValidateDataTask, context: LambdaContext, config: PipelineConfig, begun: Begun
) -> dict[str, Any]:
    began_s, data, before = _left_s(context), config.data, _Before.of(begun)
    head, baseline, part = together(
        partial(datasets.find_head, cloud, task.pipeline, task.dataset_version),
        partial(_baseline, cloud, task, data, before),
        partial(_part, cloud, task, data, before),
    )
    # It is of use if this version only has more objects.
    former = part if head is not None and head.parent == before.version else None
    judged = _judge(cloud, task, context, data, head, baseline, former)
    if isinstance(judged.outcome, Unjudged):
        usage = _usage(begun, context, began_s - _left_s(context))
        return _go_on_later(cloud, task, begun, judged.outcome, usage)
    report = judged.outcome.report
    report_uri, _, are_missing = together(
        partial(_write, cloud, task, judged.outcome),
        partial(_write_rows, cloud, task, head, judged, judged.outcome),
        partial(environments.are_missing, cloud, begun.project, config),
    )
    reasons = failures.bounded(report.reasons[: failures.REASONS_MAX])
    verdict = {"is_valid": report.is_valid, "report_uri": report_uri, "rows": report.rows, "reasons": reasons}
    if not report.is_valid:
        _reject(cloud, task, head, judged.objects, report, verdict)
    _record(cloud, task, begun, verdict)
    return _answer(cloud, task, verdict, are_missing)


def _go_on_later(
    cloud: Cloud, task: ValidateDataTask, begun: Begun, so_far: Unjudged, usage: Mapping[str, Any]
) -> dict[str, Any]:
    """Note how many objects are known, and have the state machine call again."""
    if so_far.known <= (begun.run.known_objects or 0):
        raise NoProgressError(f"no more than {so_far.known} of {so_far.objects} objects could be read")
    cloud.catalog.apply(builds.know_objects(task.pipeline, task.run_id, so_far.known, usage))
    detail = f"{so_far.known} of {so_far.objects} objects"
    note(cloud, task.pipeline, cloud.now(), task.run_id, "data read in part", detail)
    return {"is_judged": False, "known_objects": so_far.known, "objects": so_far.objects}


def _usage(begun: Begun, context: LambdaContext, spent_s: float) -> dict[str, Any]:
    """Add up what this invocation and those before it used."""
    before = begun.run.reading_usage or {}
    return {
        "billed_s": round(float(before.get("billed_s", 0.0)) + spent_s, 3),
        "requests": int(before.get("requests", 0)) + 1,
        "memory_mb": int(context.memory_limit_in_mb),
        "architecture": platform.machine().replace("aarch64", "arm64"),
    }


@dataclass(frozen=True, slots=True)
class _Before:
    """The last valid version, and whether a person named the one that is judged."""

    version: str | None
    is_given: bool

    @classmethod
    def of(cls, begun: Begun) -> _Before:
        (pipeline,) = begun.others
        version = Pipeline.of(pipeline).dataset_version if pipeline else None
        return cls(version, begun.run.given_dataset is not None)


def _recorded(cloud: Cloud, task: ValidateDataTask) -> dict[str, Any]:
    """Return the verdict on record: what a run repeats was valid, and its report stays as it is."""
    found = building.require_dataset(cloud, task.pipeline, task.dataset_version)
    return {
        "is_valid": found.status == "valid",
        "report_uri": found.report_uri,
        "rows": found.rows,
        "reasons": list(found.reasons),
    }


@dataclass(frozen=True, slots=True)
class _Judged:
    """The outcome for a version, and its objects that were read together; None if its segments were.

    `keeps_rows`: their rows are stored.
    """

    outcome: Outcome | Unjudged
    objects: DatasetManifest | None = None
    keeps_rows: bool = False


def _judge(
    cloud: Cloud,
    task: ValidateDataTask,
    context: LambdaContext,
    data: Data,
    head: DatasetHead | None,
    baseline: Baseline,
    former: bytes | None,
) -> _Judged:
    """Judge what is new together with what is known, or else all data."""
    # A warm function keeps the files in its storage.
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(
            cloud=cloud,
            pipeline=task.pipeline,
            terms=Terms(data, baseline, times.from_iso(cloud.now())),
            title=f"{task.pipeline}, data set {task.dataset_version[:12]}",
            folder=Path(folder),
            limits=lambda folder: _limits(context, folder),
            left_s=lambda: _left_s(context),
        )
        if head is None or data.mode != "append":
            return _judge_whole(asked, task, head)
        if whole := whole_checks(data):
            return _judge_whole(asked, task, head, f"for {', '.join(whole)}")
        try:
            return _judge_new(asked, task, head, former)
        except NeedsWholeError as error:
            logger.info("all data are read", extra={"reason": str(error)})
            return _judge_whole(asked, task, head, f"as {error}")


def _judge_new(asked: Asked, task: ValidateDataTask, head: DatasetHead, former: bytes | None) -> _Judged:
    """Judge what is new of a version; raises NeedsWholeError if all is to be read at once."""
    is_small = asked.is_small(head)
    if former is not None and (is_small or len(head.added) == 1):
        files = datasets.read_segments(asked.cloud, task.pipeline, head.added).values()
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
    return _Judged(segment_judging.judge(asked, head, known))


def _judge_grown(
    asked: Asked, head: DatasetHead, new: DatasetManifest, its: Sequence[Leaf], former: bytes
) -> _Judged:
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
        return _Judged(outcome, new)
    # First: nobody reads again what is known, and rows are known from reading alone.
    datasets.write_rows(asked.cloud, asked.pipeline, head, outcome.object_rows)
    segment_parts.write(asked, head.added[0], outcome.own)
    kept = zip(its, outcome.leaf_parts, strict=False)
    segment_leaves.write(asked, {leaf.digest: part for leaf, part in kept})
    segment_leaves.carry(asked, head)
    return _Judged(outcome, new, keeps_rows=True)


def _judge_whole(asked: Asked, task: ValidateDataTask, head: DatasetHead | None, why: str = "") -> _Judged:
    """Judge all data by reading them at once; `why` says what they must be for, in mode append."""
    if head is not None and head.objects > part_results.OBJECTS_MAX:
        return _Judged(_refuse_many(asked, task, head.objects, why))
    objects, divided = _held(asked, task, head)
    if len(objects) > part_results.OBJECTS_MAX:
        return _Judged(_refuse_many(asked, task, len(objects), why), DatasetManifest.of(objects))
    if sum(obj.size_bytes for obj in objects) > asked.room_bytes:
        manifest = DatasetManifest.of(objects)
        return _Judged(_refuse_large(asked, task, manifest, why), manifest)
    is_grown = asked.data.mode == "append"
    files = segment_readings.download(asked.cloud, objects, asked.folder)
    leaf_files = [leaf.objects for its in divided.values() for leaf in its] if is_grown else ()
    work = Work(files, asked.terms, asked.limits(asked.folder), leaf_files)
    outcome = run.validate(work, title=asked.title, keeps_part=is_grown)
    manifest, keeps = DatasetManifest.of(objects), head is not None and bool(outcome.leaf_parts)
    if head is not None and keeps:
        datasets.write_rows(asked.cloud, asked.pipeline, head, outcome.object_rows)
        segment_leaves.keep(asked, divided, outcome.leaf_parts)
    return _Judged(outcome, manifest, keeps_rows=keeps)


def _held(
    asked: Asked, task: ValidateDataTask, head: DatasetHead | None
) -> tuple[Sequence[ObjectVersion], Mapping[str, Sequence[Leaf]]]:
    """Return all objects of a version and, in their order, the leaves of its segments to keep results of."""
    if head is None:
        return datasets.find_manifest(asked.cloud, task.pipeline, task.dataset_version).objects, {}
    digests = [each.digest for each in head.segments]
    files = datasets.read_segments(asked.cloud, task.pipeline, digests)
    listed = [obj for file in files.values() for obj in file.objects()]
    objects = DatasetManifest.of(listed).objects
    # A version of a former release may have an object twice.
    if asked.is_small(head) or len(objects) < len(listed):
        return objects, {}
    return listed, {digest: leaves.of(file) for digest, file in files.items()}


def _part(cloud: Cloud, task: ValidateDataTask, data: Data, before: _Before) -> bytes | None:
    """Return the results of the last valid version, if they are known."""
    version = before.version
    if version is None or data.mode != "append":
        return None
    try:
        return cloud.objects.read(building.locations(cloud, task.pipeline).dataset_document(version, PART))
    except FileNotFoundError:
        return None


def _limits(context: LambdaContext, folder: Path) -> Limits:
    return Limits.of_function(int(context.memory_limit_in_mb), _left_s(context), folder)


def _left_s(context: LambdaContext) -> float:
    return context.get_remaining_time_in_millis() / 1000 - _RESERVE_S


def _baseline(cloud: Cloud, task: ValidateDataTask, data: Data, before: _Before) -> Baseline:
    # A version that a person named came before the last valid one: it is no drift from that.
    is_later = before.version != task.dataset_version and not before.is_given
    return baselines.find(cloud, task.pipeline, data, before.version if is_later else None)


def _write(cloud: Cloud, task: ValidateDataTask, outcome: Outcome) -> str:
    """Write the documents beside the version's manifest; returns the report's URI."""
    places = building.locations(cloud, task.pipeline)
    documents = dict(outcome.documents)
    if outcome.part is not None and outcome.report.is_valid:
        documents[PART] = outcome.part

    def write(name: str) -> None:
        uri = places.dataset_document(task.dataset_version, name)
        cloud.objects.write(uri, documents[name], _CONTENT_TYPES[Path(name).suffix])

    on_each(list(documents), write)
    return places.dataset_report(task.dataset_version)


def _write_rows(
    cloud: Cloud, task: ValidateDataTask, head: DatasetHead | None, judged: _Judged, outcome: Outcome
) -> None:
    # Segments that were read have theirs by now.
    if head is None or judged.keeps_rows:
        return
    if judged.objects is not None or head.parent is not None:
        datasets.write_rows(cloud, task.pipeline, head, outcome.object_rows)


def _refuse_many(asked: Asked, task: ValidateDataTask, objects: int, why: str) -> Outcome:
    """Refuse the objects beyond the number that a function has time for; new ones count last."""
    most = part_results.OBJECTS_MAX
    advice = "put more rows into each" if why else "put more rows into each, or keep a data.window"
    said = f"at most {most} are read at once{_must(why)}"
    new = sorted(_new_keys(asked.cloud, task))
    outside = new[max(0, most - (objects - len(new))) :]
    message = f"the data set has {objects} objects, {said}: {advice}"
    return run.refuse([run.beyond_limits(message, outside)], asked.data, asked.title)


def _refuse_large(asked: Asked, task: ValidateDataTask, manifest: DatasetManifest, why: str) -> Outcome:
    """Refuse the objects that do not fit into the storage, before any is fetched."""
    room = asked.room_bytes
    outside = beyond(manifest.objects, room, _new_keys(asked.cloud, task))
    found = [
        segment_readings.too_large([obj.key], "the data set", manifest.size_bytes, room, _must(why))
        for obj in outside
    ]
    return run.refuse(found, asked.data, asked.title)


def _must(why: str) -> str:
    return f", and all must be {why}" if why else ""


def _new_keys(cloud: Cloud, task: ValidateDataTask) -> set[str]:
    return {each.key for each in batching.taken_up(cloud, task.pipeline, task.dataset_version)}


def _record(cloud: Cloud, task: ValidateDataTask, begun: Begun, verdict: Mapping[str, Any]) -> None:
    """Record the verdict. A valid version stays so under another contract: later ones build on it."""
    is_valid, rows, reasons = (verdict[name] for name in ("is_valid", "rows", "reasons"))
    base, accepted = list[Change](), list[Change]()
    if is_valid:
        accepted.append(
            data.accept_dataset(task.pipeline, task.dataset_version, rows, verdict["report_uri"], reasons)
        )
        if begun.run.given_dataset is None:
            # Judged objects outside the base of later versions would be left out for ever.
            base.append(builds.base_on(task.pipeline, task.dataset_version, task.run_id))
    event = "data valid" if is_valid else "data rejected"
    detail = "; ".join(reasons) or wording.count(rows, "row")

    def record(at: str) -> list[Change]:
        return [*accepted, noting(task.pipeline, at, task.run_id, event, detail)]

    if not building.reach(cloud, task, begun.run, "validated", record, first=base):
        raise RunEndedError(f"{task.run_id} has ended, its data are the next run's")
    metering.checked(cloud, task.pipeline, rows, is_valid=is_valid)


def _reject(
    cloud: Cloud,
    task: ValidateDataTask,
    head: DatasetHead | None,
    judged: DatasetManifest | None,
    report: Report,
    verdict: Mapping[str, Any],
) -> None:
    """Reject a version, and quarantine what it is rejected for, unless it is valid by a former contract."""
    rows, report_uri, reasons = (verdict[name] for name in ("rows", "report_uri", "reasons"))
    cloud.catalog.apply(data.reject_dataset(task.pipeline, task.dataset_version, rows, report_uri, reasons))
    if building.require_dataset(cloud, task.pipeline, task.dataset_version).status == "rejected":
        if judged is None and head is not None:
            judged = datasets.find_near(cloud, task.pipeline, head, _new_keys(cloud, task)).objects
        held = judged.objects if judged else ()
        batching.quarantine(cloud, task.pipeline, task.dataset_version, held, report)
