"""What the functions that gather data do alike: find batches, ask for builds, set data aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from sluice.catalog import keys
from sluice.domain import failures
from sluice.domain.data import batches
from sluice.domain.data.arrivals import CONTROL, Arrival
from sluice.domain.data.batches import Batch
from sluice.domain.times import from_iso, to_iso
from sluice.ports import BUILD_REQUEST_DELAY_MAX_S, Cloud, Item

if TYPE_CHECKING:
    from sluice.domain.config.models import CompleteWhen
    from sluice.domain.data.datasets import DatasetManifest
    from sluice.quality.validation import Report

# Clocks of two machines differ by less.
_SKEW_S = 1
# Writes at a time: a version may be thousands of objects.
_WRITERS = 8
_Each = TypeVar("_Each")
# Of an object's reasons; the rest are in the report.
_REASONS_MAX = 5


def arrival_items(cloud: Cloud, pipeline: str) -> list[Item]:
    return cloud.catalog.query(keys.partition(pipeline), "ARRIVAL#")


def find(cloud: Cloud, complete_when: CompleteWhen, arrivals: Iterable[Arrival]) -> list[Batch]:
    """The batches of what arrived; reads the manifest files that are open."""
    return batches.assemble(complete_when, arrivals, partial(_read, cloud))


def _read(cloud: Cloud, arrival: Arrival) -> bytes:
    chunks = cloud.objects.chunks(cloud.data_bucket, arrival.key, arrival.version_id)
    return b"".join(chunks)


def ask_once(cloud: Cloud, pipeline: str, item: Item, delay_s: int) -> None:
    """Ask for a build after a delay, unless the pipeline's item says that somebody is going to ask.

    That request comes after what the caller has written, so it sees it: a thousand uploads ask a few times.
    """
    soon = to_iso(from_iso(cloud.now()) + timedelta(seconds=_SKEW_S))
    if item.get("asks_at", "") <= soon:
        ask_later(cloud, pipeline, delay_s)


def ask_later(cloud: Cloud, pipeline: str, delay_s: int) -> None:
    """Ask for a build after a delay; requests that come before are not needed, and not considered.

    A delay beyond what SQS allows is cut: whoever asks too early is told to ask again.
    The message comes before the note of it, so that a crash in between repeats it rather than loses it.
    """
    delay_s = min(delay_s, BUILD_REQUEST_DELAY_MAX_S)
    at = to_iso(from_iso(cloud.now()) + timedelta(seconds=delay_s))
    cloud.build_requests.send(pipeline, delay_s, at)
    cloud.catalog.update(keys.pipeline_key(pipeline), {"asks_at": at})


def taken_up(cloud: Cloud, pipeline: str, manifest: DatasetManifest) -> list[Item]:
    """The arrivals that the version took up, and none that an earlier one did."""
    return [
        item
        for item in arrival_items(cloud, pipeline)
        if item["status"] == "included" and item["dataset_version"] == manifest.version
    ]


def quarantine(cloud: Cloud, pipeline: str, manifest: DatasetManifest, report: Report) -> None:
    """Set aside what a rejected version was rejected for; what else was new in it waits for the next one.

    A quarantined object stays where it is, under a tag. The manifest files that the version took up are open
    again, and so show what their batches wait for. What it took up and does not hold, as it was replaced
    before, is the next version's to take up.
    """
    held = taken_up(cloud, pipeline, manifest)
    versions = {(obj.key, obj.version_id) for obj in manifest.objects}
    new = [item for item in held if (item["key"], item["version_id"]) in versions]
    offenders = report.offenders([item["key"] for item in new])
    # Who repeats this after a crash tells the offenders by what is left: they come last.
    on_each([item for item in held if item.get("is_control")], partial(_reopen, cloud))
    on_each([item for item in new if item["key"] not in offenders], partial(_put_back, cloud))
    at = to_iso(from_iso(cloud.now()).replace(microsecond=0))
    on_each(
        [item for item in new if item["key"] in offenders],
        lambda item: _set_aside(
            cloud, item, failures.cut("; ".join(offenders[item["key"]][:_REASONS_MAX])), at
        ),
    )


def put_back(cloud: Cloud, pipeline: str, run_id: str) -> None:
    """What a run took up that then failed waits again, for the next build.

    The mark of the run keeps it from being that build's cause: what failed once would fail again and again.
    """
    taken = [item for item in arrival_items(cloud, pipeline) if item.get("taken_up_by") == run_id]
    waits = {"dataset_version": None, "taken_up_by": None, "failed_run": run_id}
    on_each(
        [item for item in taken if item["status"] == "included"],
        lambda item: _change(
            cloud, item, {**waits, "status": CONTROL if item.get("is_control") else "pending"}
        ),
    )


def on_each(items: Iterable[_Each], act: Callable[[_Each], None]) -> None:
    """Act on each of many things in the catalog, several at a time."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(act, items))


def _reopen(cloud: Cloud, item: Item) -> None:
    _change(cloud, item, {"status": CONTROL})


def _put_back(cloud: Cloud, item: Item) -> None:
    _change(cloud, item, {"status": "pending", "dataset_version": None})


def _set_aside(cloud: Cloud, item: Item, reason: str, at: str) -> None:
    _change(cloud, item, {"status": "quarantined", "reason": reason, "set_aside_at": at})
    if (cloud.catalog.get({"pk": item["pk"], "sk": item["sk"]}) or {}).get("status") == "quarantined":
        tags = {"sluice:status": "quarantined"}
        cloud.objects.tag(cloud.data_bucket, item["key"], item["version_id"], tags)


def _change(cloud: Cloud, item: Item, changes: Item) -> None:
    """Change an arrival if the version still holds it that was rejected."""
    when = {"status": "included", "dataset_version": item["dataset_version"]}
    cloud.catalog.update({"pk": item["pk"], "sk": item["sk"]}, changes, when=when)
