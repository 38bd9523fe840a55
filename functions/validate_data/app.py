"""ValidateData task: check a data set version by its data contract."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import builds, data
from sluice.domain import failures, times
from sluice.domain.build.errors import BuildError
from sluice.domain.config.models import Data
from sluice.domain.data.datasets import DatasetManifest, beyond, more_than
from sluice.domain.data.segments import DatasetHead
from sluice.domain.failures import MissingError
from sluice.events import ValidateDataTask, event_parser
from sluice.lazy import dataclass
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.quality import run
from sluice.quality.part_results import PART, NeedsWholeError, whole_checks
from sluice.quality.run import Baseline, Limits, Outcome
from sluice.quality.validation import DataFile, Report, Violation
from sluice.services import batching, building, datasets, environments, metering
from sluice.services.arrivals import on_each
from sluice.services.building import Begun
from sluice.services.timeline import note
from sluice.tasks import machine_task

_DOWNLOADS = 8
# The share of storage to leave free for what DuckDB stores and spills.
_SPILL_SHARE = 0.4
# Time for what is left to do after the engine.
_RESERVE_S = 30
_CONTENT_TYPES = {".json": "application/json", ".html": "text/html; charset=utf-8"}


class RunEndedError(BuildError):
    """The run was stopped while its data were read: another may have continued."""


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=ValidateDataTask)
def lambda_handler(task: ValidateDataTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(run_id=task.run_id, dataset_version=task.dataset_version)
    begun = building.find_begun(cloud, task, keys.pipeline_key(task.pipeline))
    config = begun.config()
    if begun.run.reproduces:
        verdict = _recorded(cloud, task)
    else:
        verdict = _judged(cloud, task, context, config.data, begun)
    needs_packages = verdict["is_valid"] and environments.are_missing(cloud, begun.project, config)
    if needs_packages:
        building.first_time(cloud, task, "packaged")
    return {**verdict, "needs_packages": needs_packages}


def _judged(
    cloud: Cloud, task: ValidateDataTask, context: LambdaContext, data: Data, begun: Begun
) -> dict[str, Any]:
    head = datasets.find_head(cloud, task.pipeline, task.dataset_version)
    judged, outcome = _judge(cloud, task, context, data, head, _Before.of(begun))
    report, report_uri = outcome.report, _write(cloud, task, head, outcome)
    reasons = failures.bounded(report.reasons[: failures.REASONS_MAX])
    _record(cloud, task, judged, report, report_uri, reasons, is_base=begun.run.given_dataset is None)
    return {"is_valid": report.is_valid, "report_uri": report_uri, "rows": report.rows, "reasons": reasons}


@dataclass(frozen=True, slots=True)
class _Before:
    """The last valid version, and whether a person named the one that is judged."""

    version: str | None
    is_given: bool

    @classmethod
    def of(cls, begun: Begun) -> _Before:
        (pipeline,) = begun.others
        return cls((pipeline or {}).get("dataset_version"), begun.run.given_dataset is not None)


def _recorded(cloud: Cloud, task: ValidateDataTask) -> dict[str, Any]:
    """Return the verdict on record: what a run repeats was valid, and its report stays as it is."""
    found = cloud.catalog.get(keys.dataset_key(task.pipeline, task.dataset_version)) or {}
    return {
        "is_valid": found.get("status") == "valid",
        "report_uri": found.get("report_uri"),
        "rows": found.get("rows"),
        "reasons": list(found.get("reasons") or ()),
    }


def _judge(
    cloud: Cloud,
    task: ValidateDataTask,
    context: LambdaContext,
    data: Data,
    head: DatasetHead | None,
    before: _Before,
) -> tuple[DatasetManifest, Outcome]:
    """Judge new data together with the results of the last valid version, or else judge all data."""
    if head is not None and (former := _former_part(cloud, task, data, head, before)) is not None:
        new = datasets.find_added(cloud, task.pipeline, head)
        try:
            keeps_edges = head.objects > run.OBJECTS_MAX
            return new, _judge_files(cloud, task, context, data, new, before, former, keeps_edges=keeps_edges)
        except NeedsWholeError as error:
            logger.info("all data are judged anew", extra={"reason": str(error)})
    manifest = datasets.find_manifest(cloud, task.pipeline, task.dataset_version)
    return manifest, _judge_files(cloud, task, context, data, manifest, before)


def _judge_files(
    cloud: Cloud,
    task: ValidateDataTask,
    context: LambdaContext,
    data: Data,
    manifest: DatasetManifest,
    before: _Before,
    former: bytes | None = None,
    *,
    keeps_edges: bool = False,
) -> Outcome:
    title = f"{task.pipeline}, data set {task.dataset_version[:12]}"
    with _workspace() as folder:
        if too_much := _too_many(cloud, task, manifest) or _too_large(cloud, task, manifest, folder):
            return run.refuse(too_much, data, title)
        return run.validate(
            _download(cloud, manifest, folder),
            data,
            limits=_limits(context, folder),
            now=times.from_iso(cloud.now()),
            baseline=_baseline(cloud, task, data, before),
            title=title,
            former=former,
            keeps_part=data.mode == "append",
            keeps_edges=keeps_edges,
        )


def _former_part(
    cloud: Cloud, task: ValidateDataTask, data: Data, head: DatasetHead, before: _Before
) -> bytes | None:
    """Return the results of the last valid version, if this one only has more objects.

    Returns None if they are unknown, or if a check must see all data.
    """
    version = before.version
    if data.mode != "append" or whole_checks(data) or version is None or head.parent != version:
        return None
    try:
        return cloud.objects.read(building.locations(cloud, task.pipeline).dataset_document(version, PART))
    except FileNotFoundError:
        return None


def _limits(context: LambdaContext, folder: Path) -> Limits:
    max_s = context.get_remaining_time_in_millis() / 1000 - _RESERVE_S
    return Limits.of_function(int(context.memory_limit_in_mb), max_s, folder)


def _baseline(cloud: Cloud, task: ValidateDataTask, data: Data, before: _Before) -> Baseline:
    """Return the last valid version, and its profile or that of the pinned version."""
    previous = before.version
    # A version that a person named came before the last valid one: it is no drift from that.
    if previous is None or previous == task.dataset_version or before.is_given:
        previous, rows = None, None
    else:
        rows = (cloud.catalog.get(keys.dataset_key(task.pipeline, previous)) or {}).get("rows")
    if data.drift is None or data.drift.baseline == "previous":
        return Baseline(
            rows, previous or "", building.find_profile(cloud, task.pipeline, previous) if previous else None
        )
    pinned = data.drift.baseline
    if (profile := building.find_profile(cloud, task.pipeline, pinned)) is None:
        of_it = f"a version of {task.pipeline} without a profile of this format"
        raise MissingError(f"data.drift.baseline is {pinned}, {of_it}")
    return Baseline(rows, pinned, profile)


def _write(cloud: Cloud, task: ValidateDataTask, head: DatasetHead | None, outcome: Outcome) -> str:
    """Write the documents beside the version's manifest; returns the report's URI."""
    places = building.locations(cloud, task.pipeline)
    documents = dict(outcome.documents)
    if outcome.part is not None and outcome.report.is_valid:
        documents[PART] = outcome.part

    def write(name: str) -> None:
        uri = places.dataset_document(task.dataset_version, name)
        cloud.objects.write(uri, documents[name], _CONTENT_TYPES[Path(name).suffix])

    on_each(list(documents), write)
    if head is not None:
        datasets.write_rows(cloud, task.pipeline, head, outcome.object_rows)
    return places.dataset_report(task.dataset_version)


@contextmanager
def _workspace() -> Iterator[Path]:
    """Make a folder for this invocation: a warm function keeps the files in its storage."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _too_many(cloud: Cloud, task: ValidateDataTask, manifest: DatasetManifest) -> list[Violation]:
    """Return the objects beyond the number that a function has time for; new ones count last."""
    if len(manifest.objects) <= run.OBJECTS_MAX:
        return []
    message = (
        f"the data set has {len(manifest.objects)} objects, at most {run.OBJECTS_MAX} are checked: "
        "put more rows into each, or keep a data.window"
    )
    outside = more_than(run.OBJECTS_MAX, manifest.objects, _new_keys(cloud, task))
    return [run.beyond_limits(message, [obj.key for obj in outside])]


def _too_large(
    cloud: Cloud, task: ValidateDataTask, manifest: DatasetManifest, folder: Path
) -> list[Violation]:
    """Return the objects that do not fit into the storage, before any is fetched."""
    room = shutil.disk_usage(folder).free * (1 - _SPILL_SHARE)
    if manifest.size_bytes <= room:
        return []
    message = (
        f"the data set has {manifest.size_bytes} bytes, at most {room:.0f} fit here: give the function more "
        "ephemeral storage (up to 10 GB), upload Parquet or compressed files, or keep a data.window"
    )
    outside = beyond(manifest.objects, room, _new_keys(cloud, task))
    return [run.beyond_limits(message, [obj.key]) for obj in outside]


def _new_keys(cloud: Cloud, task: ValidateDataTask) -> set[str]:
    return {each.key for each in batching.taken_up(cloud, task.pipeline, task.dataset_version)}


def _download(cloud: Cloud, manifest: DatasetManifest, folder: Path) -> Sequence[DataFile]:
    """Fetch exactly the manifest's versions, under neutral names: a key may be any text."""
    objects, bucket = cloud.objects, cloud.data_bucket
    files = [DataFile(obj.key, folder / str(index)) for index, obj in enumerate(manifest.objects)]
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        versions = [obj.version_id for obj in manifest.objects]
        list(pool.map(lambda f, v: objects.download(bucket, f.key, v, f.path), files, versions))
    return files


def _record(
    cloud: Cloud,
    task: ValidateDataTask,
    judged: DatasetManifest,
    report: Report,
    report_uri: str,
    reasons: list[str],
    *,
    is_base: bool,
) -> None:
    """Record the verdict. A valid version stays so under another contract: later ones build on it."""
    catalog, key = cloud.catalog, keys.dataset_key(task.pipeline, task.dataset_version)
    verdict = (task.pipeline, task.dataset_version, report.rows, report_uri, reasons)
    if report.is_valid:
        # Write the base of later versions first: judged objects outside it would be left out for ever.
        if is_base and not catalog.apply(builds.base_on(task.pipeline, task.dataset_version, task.run_id)):
            raise RunEndedError(f"{task.run_id} has ended, its data are the next run's")
        catalog.apply(data.accept_dataset(*verdict))
    else:
        catalog.apply(data.reject_dataset(*verdict))
        if (catalog.get(key) or {}).get("status") == "rejected":
            batching.quarantine(cloud, task.pipeline, task.dataset_version, judged.objects, report)
    metering.checked(cloud, task.pipeline, report.rows, is_valid=report.is_valid)
    event = "data valid" if report.is_valid else "data rejected"
    detail = "; ".join(reasons) or f"{report.rows} rows"
    note(cloud, task.pipeline, building.first_time(cloud, task, "validated"), task.run_id, event, detail)
