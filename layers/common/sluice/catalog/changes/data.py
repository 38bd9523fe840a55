"""Changes of data set versions, which are made once and judged by the contract of each run."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.catalog import keys
from sluice.catalog.changes.base import Put, Update
from sluice.catalog.records.data import Dataset


def add_dataset(dataset: Dataset) -> Put:
    """Add a version; the first run that makes it adds it."""
    return Put(dataset.item())


def index_dataset(dataset: Dataset) -> Put:
    """Note when a version was made, so that those since a time are found without reading all."""
    key = keys.version_index_key(dataset.pipeline, dataset.created_at, dataset.version)
    return Put({**key, "version": dataset.version, "created_at": dataset.created_at})


def accept_dataset(pipeline: str, version: str, rows: int, report_uri: str, reasons: Sequence[str]) -> Update:
    """Mark a version as valid, even if a former contract rejected it."""
    judged = {"rows": rows, "report_uri": report_uri, "reasons": list(reasons), "status": "valid"}
    return Update(keys.dataset_key(pipeline, version), judged)


def reject_dataset(pipeline: str, version: str, rows: int, report_uri: str, reasons: Sequence[str]) -> Update:
    """Reject a version that was not judged yet: a valid one stays valid, as later ones build on it."""
    judged = {"rows": rows, "report_uri": report_uri, "reasons": list(reasons), "status": "rejected"}
    return Update(keys.dataset_key(pipeline, version), judged, {"status": "new"})
