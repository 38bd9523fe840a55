"""Share code between the functions that gather data: find batches, request builds, quarantine data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from sluice.catalog.changes import arrivals as changes
from sluice.catalog.changes import builds
from sluice.domain import failures
from sluice.domain.data import batches
from sluice.domain.times import from_iso, to_iso
from sluice.ports import BUILD_REQUEST_DELAY_MAX_S, Cloud
from sluice.services.data import arrivals
from sluice.services.side_by_side import on_each

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival
    from sluice.catalog.records.builds import Pipeline
    from sluice.domain.config.models import CompleteWhen
    from sluice.domain.data.batches import Batch
    from sluice.domain.data.datasets import ObjectVersion
    from sluice.quality.validation import Report

# The clocks of two machines differ by less.
_SKEW_S = 1
# So many reasons are noted on an object; the report has all.
_REASONS_MAX = 5


def find(
    cloud: Cloud,
    pipeline: str,
    complete_when: CompleteWhen,
    waiting: Sequence[Arrival],
    *,
    whole: bool = False,
) -> list[Batch]:
    """Return the batches of what waits; reads open manifest files, and what else the rule needs.

    `whole` adds the settled objects of each batch, for when a batch is the data set.
    """
    read = cache(partial(_read, cloud))
    beside = arrivals.beside(cloud, pipeline, complete_when, waiting, read, whole=whole)
    return batches.assemble(complete_when, [*waiting, *beside], read)


def _read(cloud: Cloud, arrival: Arrival) -> bytes:
    chunks = cloud.objects.chunks(cloud.data_bucket, arrival.key, arrival.version_id)
    return b"".join(chunks)


def ask_once(cloud: Cloud, pipeline: Pipeline) -> None:
    """Request a build after the pipeline's delay, unless its item says that a request is due.

    That request comes after what the caller wrote, so it sees it: a thousand uploads make a few requests.
    """
    soon = to_iso(from_iso(cloud.now()) + timedelta(seconds=_SKEW_S))
    if (pipeline.build_requested_for or "") <= soon:
        ask_later(cloud, pipeline.name, pipeline.ask_delay_s or 0)


def ask_later(cloud: Cloud, pipeline: str, delay_s: int) -> None:
    """Request a build after a delay; requests that come earlier are not needed, and ignored.

    Cuts the delay to SQS's limit: a request that comes too early is sent again. Sends the message before it
    notes that, so that a crash in between repeats the message rather than loses it.
    """
    delay_s = min(delay_s, BUILD_REQUEST_DELAY_MAX_S)
    at = to_iso(from_iso(cloud.now()) + timedelta(seconds=delay_s))
    cloud.build_requests.send(pipeline, delay_s, at)
    cloud.catalog.apply(builds.request_build(pipeline, at))


def taken_up(cloud: Cloud, pipeline: str, version: str) -> list[Arrival]:
    """Return the arrivals that this version took up, without those of earlier ones."""
    return [
        arrival
        for arrival in arrivals.waiting(cloud, pipeline)
        if arrival.is_included and arrival.dataset_version == version
    ]


def quarantine(
    cloud: Cloud, pipeline: str, version: str, judged: Iterable[ObjectVersion], report: Report
) -> None:
    """Quarantine the objects that a version was rejected for; its other new objects wait.

    `judged` are objects of the version, at least those that it took up. A quarantined object stays in its
    place, with a tag. The manifest files that the version took up are open again, and so show what their
    batches wait for. The next version takes up what this one took up but does not hold, as it was replaced.
    """
    held = taken_up(cloud, pipeline, version)
    versions = {(obj.key, obj.version_id) for obj in judged}
    new = [arrival for arrival in held if (arrival.key, arrival.version_id) in versions]
    offenders = report.offenders([arrival.key for arrival in new])
    # Quarantine the offenders last: a retry after a crash recognizes them by what is left.
    _put_back(cloud, (arrival for arrival in held if arrival.is_control))
    _put_back(cloud, (arrival for arrival in new if arrival.key not in offenders))
    at = to_iso(from_iso(cloud.now()).replace(microsecond=0))
    on_each(
        [arrival for arrival in new if arrival.key in offenders],
        lambda arrival: set_aside(
            cloud, arrival, failures.cut("; ".join(offenders[arrival.key][:_REASONS_MAX])), at
        ),
    )


def set_aside(cloud: Cloud, arrival: Arrival, reason: str, at: str | None = None) -> bool:
    """Quarantine an arrival, if it is unchanged since it was read, and tag its object."""
    arrivals.note_aside(cloud, arrival)
    if not cloud.catalog.apply(*changes.quarantine(arrival, reason, cloud.now(), at)):
        return False
    tags = {"sluice:status": "quarantined"}
    cloud.objects.tag(cloud.data_bucket, arrival.key, arrival.version_id, tags)
    return True


def put_back(cloud: Cloud, pipeline: str, run_id: str) -> None:
    """Let what a failed run took up wait again, for the next build.

    Marked with the run it cannot cause that build: what failed once would fail again and again.
    """
    on_each(
        [arrival for arrival in arrivals.waiting(cloud, pipeline) if _is_taken_by(arrival, run_id)],
        lambda arrival: cloud.catalog.apply(changes.put_back_failed(arrival, run_id)),
    )


def take_up_again(cloud: Cloud, pipeline: str, failed_run: str, version: str, run_id: str) -> None:
    """Take up what a failed run had put back, for a run that builds on the same version."""
    on_each(
        [arrival for arrival in arrivals.waiting(cloud, pipeline) if arrival.failed_run == failed_run],
        lambda arrival: cloud.catalog.apply(*changes.take_up_again(arrival, version, run_id)),
    )


def settle(
    cloud: Cloud, pipeline: str, run_id: str, waiting: Sequence[Arrival], *, markers_before: str = ""
) -> str | None:
    """Settle what of that which waits a run took up for a valid version, and the markers that it saw.

    Late arrivals that belong to a settled marker still find it. Returns when its newest upload came.
    """
    uploaded = set[str]()

    def is_done(arrival: Arrival) -> bool:
        is_old_marker = arrival.status == "control" and arrival.recorded_at < markers_before
        if _is_taken_by(arrival, run_id):
            uploaded.add(arrival.arrived_at)
            return True
        return is_old_marker

    arrivals.settle(cloud, pipeline, waiting, is_done)
    return max(uploaded, default=None)


def _is_taken_by(arrival: Arrival, run_id: str) -> bool:
    return arrival.is_included and arrival.taken_up_by == run_id


def _put_back(cloud: Cloud, held: Iterable[Arrival]) -> None:
    """Let arrivals wait again, if the rejected version still holds them."""
    on_each(held, lambda arrival: cloud.catalog.apply(changes.put_back(arrival)))
