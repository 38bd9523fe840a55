"""ValidateData task: hold a data set version against its data contract."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import building, wiring
from sluice.adapters.engine import DataFile, Engine
from sluice.domain import catalog as keys
from sluice.domain import validation
from sluice.domain.datasets import DatasetManifest
from sluice.domain.validation import Report
from sluice.events import ValidateDataTask
from sluice.observability import logger
from sluice.timeline import note

_DOWNLOADS = 8
# Of the function's memory; the rest is for Python and what DuckDB does not count.
_MEMORY_SHARE = 0.6
# What must stay free beside the files, for what DuckDB spills.
_SPILL_SHARE = 0.25
_REASONS_MAX = 20


class RunEndedError(Exception):
    """The run was stopped while its data were read: another one may have gone on from there."""


class DatasetTooLargeError(Exception):
    """The data set does not fit into the function's ephemeral storage."""


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=ValidateDataTask)
def lambda_handler(task: ValidateDataTask, context: LambdaContext) -> dict[str, Any]:
    logger.append_keys(run_id=task.run_id, dataset_version=task.dataset_version)
    data = building.find_config(task).data
    manifest = building.find_manifest(task.pipeline, task.dataset_version)
    with _workspace() as folder:
        files = _download(manifest, folder)
        engine = Engine(int(int(context.memory_limit_in_mb) * _MEMORY_SHARE), folder / "spill")
        found = engine.inspect(files, data.format, validation.checks(data))
    report = validation.report(found.rows, found.findings, found.problems)
    report_uri = building.locations(task.pipeline).dataset_report(task.dataset_version)
    wiring.objects().write(report_uri, report.to_json(), "application/json")
    reasons = list(report.reasons[:_REASONS_MAX])
    _record(task, report, report_uri, reasons)
    return {"is_valid": report.is_valid, "report_uri": report_uri, "rows": report.rows, "reasons": reasons}


@contextmanager
def _workspace() -> Iterator[Path]:
    """A folder of this invocation's own: a warm function keeps what it has in its storage."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _download(manifest: DatasetManifest, folder: Path) -> Sequence[DataFile]:
    """Fetch the very versions of the manifest, under names of no meaning: a key may be any text."""
    free = shutil.disk_usage(folder).free * (1 - _SPILL_SHARE)
    if manifest.size_bytes > free:
        raise DatasetTooLargeError(
            f"the data set has {manifest.size_bytes} bytes, at most {free:.0f} fit here"
        )
    objects, bucket = wiring.objects(), wiring.data_bucket()
    files = [DataFile(obj.key, folder / str(index)) for index, obj in enumerate(manifest.objects)]
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        versions = [obj.version_id for obj in manifest.objects]
        list(pool.map(lambda f, v: objects.download(bucket, f.key, v, f.path), files, versions))
    return files


def _record(task: ValidateDataTask, report: Report, report_uri: str, reasons: list[str]) -> None:
    """Judge the version. One that was valid stays so under another contract: later ones build on it."""
    catalog, key = wiring.catalog(), keys.dataset_key(task.pipeline, task.dataset_version)
    judged = {"rows": report.rows, "report_uri": report_uri, "reasons": reasons}
    if report.is_valid:
        # The base of later versions first: what is judged and no part of it would be left out for ever.
        base = {"dataset_version": task.dataset_version}
        if not catalog.update(keys.pipeline_key(task.pipeline), base, when={"in_flight": task.run_id}):
            raise RunEndedError(f"{task.run_id} has ended, its data are the next run's")
        catalog.update(key, {**judged, "status": "valid"})
    else:
        catalog.update(key, {**judged, "status": "rejected"}, when={"status": "new"})
        if (catalog.get(key) or {}).get("status") == "rejected":
            _quarantine(task, reasons)
    event = "data valid" if report.is_valid else "data rejected"
    detail = "; ".join(reasons) or f"{report.rows} rows"
    note(task.pipeline, building.first_time(task, "validated"), task.run_id, event, detail)


def _quarantine(task: ValidateDataTask, reasons: list[str]) -> None:
    """Leave what made the version bad out of the next ones, which are made of the last valid one."""
    catalog, version = wiring.catalog(), task.dataset_version
    quarantined = {"status": "quarantined", "reason": "; ".join(reasons)}
    for arrival in catalog.query(keys.partition(task.pipeline), "ARRIVAL#"):
        if arrival.get("dataset_version") == version and arrival["status"] == "included":
            key = {"pk": arrival["pk"], "sk": arrival["sk"]}
            catalog.update(key, quarantined, when={"status": "included", "dataset_version": version})
