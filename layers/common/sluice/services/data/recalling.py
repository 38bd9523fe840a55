"""Recall an object's content: take it out of all later data sets, and have a model built without it.

A recall is by content: it holds for every version of the key, for other keys with the same bytes, and for
whoever uploads them again. What was trained with it stays what it is; what is trained next waits for a
person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.changes import recalls as changes
from sluice.catalog.records.recalls import Recall
from sluice.domain.failures import ConflictError
from sluice.lazy import dataclass
from sluice.services import building
from sluice.services.data import arrivals
from sluice.services.timeline import note

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival
    from sluice.domain.data.datasets import DatasetManifest, ObjectVersion
    from sluice.ports import Cloud

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for; `contents` are sha256 that the key has or had."""

    pipeline: str
    key: str
    contents: Collection[str]
    request_id: str
    actor: str
    reason: str
    at: str


def find(cloud: Cloud, pipeline: str) -> list[Recall]:
    """Return the contents that are recalled, each as long as nobody lifts it."""
    return [Recall.of(item) for item in arrivals.items_of(cloud, pipeline, keys.RECALLS)]


def recall(cloud: Cloud, wanted: Wanted) -> None:
    """Recall contents, set their objects aside, and ask for a build; repeating it changes nothing more.

    First no build takes the contents up any more, whatever happens later.
    """
    if _is_done(cloud, wanted):
        return
    recalled = [_recall(cloud, wanted, sha256) for sha256 in sorted(wanted.contents)]
    for arrival in _held(cloud, wanted):
        _set_aside(cloud, arrival, told(wanted.key, wanted.reason))
    cloud.catalog.apply(changes.ask_rebuild(wanted.pipeline, wanted.key, wanted.actor))
    detail = wanted.reason or "no model may be trained with it"
    note(cloud, wanted.pipeline, wanted.at, wanted.key, "data recalled", detail, wanted.actor)
    cloud.build_requests.send(wanted.pipeline)
    for each in recalled:
        cloud.catalog.apply(changes.finish(each, cloud.now()))


def _is_done(cloud: Cloud, wanted: Wanted) -> bool:
    """Tell whether an earlier delivery of the same request did all of it."""
    items = [cloud.catalog.get(keys.recall_key(wanted.pipeline, sha256)) for sha256 in wanted.contents]
    found = [Recall.of(item) for item in items if item]
    same = [each for each in found if each.request_id == wanted.request_id and each.done_at]
    return bool(same) and len(same) == len(wanted.contents)


def told(key: str, reason: str) -> str:
    """Say why an object is set aside."""
    return f"its content was recalled with {key}" + (f": {reason}" if reason else "")


def _recall(cloud: Cloud, wanted: Wanted, sha256: str) -> Recall:
    recalled = Recall(
        wanted.pipeline,
        sha256,
        wanted.key,
        "open",
        wanted.at,
        wanted.actor,
        wanted.reason,
        wanted.request_id,
    )
    item = cloud.catalog.get(keys.recall_key(wanted.pipeline, sha256))
    if item is None or Recall.of(item).request_id != wanted.request_id:
        cloud.catalog.apply(changes.recall(recalled))
    return recalled


def _held(cloud: Cloud, wanted: Wanted) -> Iterator[Arrival]:
    """Yield the arrivals with a recalled content: of the key, of what waits, and of the last data set."""
    from sluice.services.data import datasets  # who registers a model reads none

    state = building.find_pipeline(cloud, wanted.pipeline)
    version = state.dataset_version if state else None
    held = datasets.find_manifest(cloud, wanted.pipeline, version).objects if version else ()
    same = {obj.key for obj in held if obj.sha256 in wanted.contents} | {wanted.key}
    for arrival in (
        *arrivals.waiting(cloud, wanted.pipeline),
        *arrivals.versions(cloud, wanted.pipeline, same),
    ):
        if arrival.sha256 in wanted.contents and arrival.status != "quarantined" and not arrival.is_control:
            yield arrival


def _set_aside(cloud: Cloud, arrival: Arrival, reason: str) -> None:
    """Quarantine an arrival, and count it no longer, if it was settled."""
    arrivals.note_aside(cloud, arrival)
    for _ in range(_ATTEMPTS):
        found = arrivals.find(cloud, arrival.pipeline, arrival.key, arrival.version_id)
        if found is None or found.status == "quarantined":
            break
        included = arrivals.counted(cloud, arrival.pipeline)
        if cloud.catalog.apply(*changes.set_aside(found, reason, cloud.now(), included)):
            break
    else:
        raise ConflictError(f"the arrival of {arrival.key} changed each time it was to be set aside")
    tags = {"sluice:status": "quarantined"}
    cloud.objects.tag(cloud.data_bucket, arrival.key, arrival.version_id, tags)


def without(manifest: DatasetManifest, recalled: Mapping[str, Recall]) -> DatasetManifest:
    """Return a data set without recalled contents."""
    if not recalled:
        return manifest
    return manifest.of(obj for obj in manifest.objects if obj.sha256 not in recalled)


def set_aside_waiting(cloud: Cloud, found: Iterable[Arrival], recalled: Mapping[str, Recall]) -> int:
    """Quarantine what arrived since with a recalled content; returns how many objects that were."""
    waits = (arrival for arrival in found if arrival.is_waiting and not arrival.is_control)
    again = [arrival for arrival in waits if arrival.sha256 in recalled]
    for arrival in again:
        of = recalled[arrival.sha256]
        _set_aside(cloud, arrival, told(of.key, of.reason))
    return len(again)


def since(found: Iterable[Recall], started_at: str) -> list[Recall]:
    """Return the recalls that were not done when a run began: its data may hold what they recalled."""
    return [each for each in found if each.done_at is None or each.done_at >= started_at]


def held_in(cloud: Cloud, pipeline: str, version: str, found: Iterable[Recall]) -> list[str]:
    """Return the keys of a data set version whose content is recalled, by the recalls that were `found`."""
    recalled = {each.sha256 for each in found}
    if not recalled:
        return []
    from sluice.services.data import datasets  # as above

    manifest = datasets.find_manifest(cloud, pipeline, version)
    return [obj.key for obj in manifest.objects if obj.sha256 in recalled]


def open_recalls(cloud: Cloud, pipeline: str) -> list[Recall]:
    """Return the recalls after which no model was registered: the next one waits for a person."""
    return [each for each in find(cloud, pipeline) if each.status == "open"]


def note_rebuilt(
    cloud: Cloud, found: Iterable[Recall], pipeline: str, run_id: str, started_at: str, package_arn: str
) -> None:
    """Note a registered model with those of recalls that its run knew of: it began after them."""
    for each in found:
        is_known = each.status == "open" and each.at <= started_at
        if is_known and cloud.catalog.apply(changes.rebuild(each, run_id, package_arn)):
            note(cloud, pipeline, cloud.now(), each.key, "rebuilt without recalled data", run_id)


def holders(objects: Iterable[ObjectVersion], key: str, contents: Collection[str]) -> list[dict[str, Any]]:
    """Return the objects of a data set under a key, or with one of its contents."""
    return [
        {"key": obj.key, "version_id": obj.version_id, "sha256": obj.sha256}
        for obj in objects
        if obj.key == key or obj.sha256 in contents
    ]
