"""ValidateData task: check a data set version by its data contract."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping
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
from sluice.domain.data.datasets import DatasetManifest
from sluice.domain.data.segments import DatasetHead
from sluice.events import ValidateDataTask, event_parser
from sluice.lazy import dataclass
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.quality.judging import Baseline, Terms
from sluice.quality.part_results import PART
from sluice.quality.run import Limits, Outcome
from sluice.quality.validation import Report
from sluice.services import building, metering
from sluice.services.build import environments
from sluice.services.building import Begun
from sluice.services.data import baselines, batching, datasets, version_judging
from sluice.services.data.segment_judging import Unjudged
from sluice.services.data.segment_parts import Asked
from sluice.services.data.version_judging import Judged
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


def _judge(
    cloud: Cloud,
    task: ValidateDataTask,
    context: LambdaContext,
    data: Data,
    head: DatasetHead | None,
    baseline: Baseline,
    former: bytes | None,
) -> Judged:
    # A warm function keeps the files in its storage.
    with tempfile.TemporaryDirectory() as folder:
        asked = Asked(
            cloud=cloud,
            pipeline=task.pipeline,
            terms=Terms(data, baseline, times.from_iso(cloud.now())),
            version=task.dataset_version,
            folder=Path(folder),
            limits=lambda folder: _limits(context, folder),
            left_s=lambda: _left_s(context),
        )
        return version_judging.judge(asked, head, former)


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
    cloud: Cloud, task: ValidateDataTask, head: DatasetHead | None, judged: Judged, outcome: Outcome
) -> None:
    # Segments that were read have theirs by now.
    if head is None or judged.keeps_rows:
        return
    if judged.objects is not None or head.parent is not None:
        datasets.write_rows(cloud, task.pipeline, head, outcome.object_rows)


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
            new = version_judging.new_keys(cloud, task.pipeline, task.dataset_version)
            judged = datasets.find_near(cloud, task.pipeline, head, new).objects
        held = judged.objects if judged else ()
        batching.quarantine(cloud, task.pipeline, task.dataset_version, held, report)
