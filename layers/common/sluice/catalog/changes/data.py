"""Changes of data set versions: made once, judged by each contract that a run holds them against."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.catalog import keys
from sluice.catalog.changes.base import Put, Update
from sluice.catalog.records.data import Dataset


def add_dataset(dataset: Dataset) -> Put:
    """Add a version, whichever run comes upon it first."""
    return Put(dataset.item())


def accept_dataset(
    pipeline: str, version: str, rows: int | None, report_uri: str, reasons: Sequence[str]
) -> Update:
    """Call a version valid, also one that a former contract rejected."""
    judged = {"rows": rows, "report_uri": report_uri, "reasons": list(reasons), "status": "valid"}
    return Update(keys.dataset_key(pipeline, version), judged)


def reject_dataset(
    pipeline: str, version: str, rows: int | None, report_uri: str, reasons: Sequence[str]
) -> Update:
    """Reject a version that was not judged: one that was valid stays so, as later ones build on it."""
    judged = {"rows": rows, "report_uri": report_uri, "reasons": list(reasons), "status": "rejected"}
    return Update(keys.dataset_key(pipeline, version), judged, {"status": "new"})
