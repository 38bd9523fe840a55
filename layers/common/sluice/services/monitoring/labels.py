"""Take labels whenever they come: record an upload, and join it to the windows that predicted its rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta

from sluice.catalog import keys
from sluice.catalog.changes import monitoring as changes
from sluice.catalog.records.monitoring import TruthUpload, Window
from sluice.domain import failures, wording
from sluice.domain.config.monitor import span
from sluice.domain.locations import bucket_and_key
from sluice.domain.monitor import tables, truth
from sluice.domain.monitor.truth import TruthError
from sluice.domain.times import from_iso, to_iso
from sluice.ports import Cloud, ObjectHead
from sluice.services.monitoring.requests import INDEX
from sluice.services.monitoring.watched import Watched
from sluice.services.timeline import note

# Labels that come later than this after they were complete find no predictions.
_LATER = timedelta(days=30)


def receive(cloud: Cloud, pipeline: str, head: ObjectHead, label: str) -> Mapping[str, str]:
    """Record an upload, once, and return its labels by row; none if it cannot be used."""
    problems: list[str] = []
    labels: Mapping[str, str] = {}
    try:
        found = _read(cloud, head, label)
        labels, problems = found.labels, [failures.cut(each) for each in found.problems]
    except TruthError as error:
        problems = [failures.cut(str(error))]
    upload = TruthUpload(
        pipeline, to_iso(from_iso(head.last_modified)), head.key, head.version_id, len(labels), problems
    )
    if cloud.catalog.apply(changes.add_truth(upload)):
        event = "labels received" if labels else "labels refused"
        detail = "; ".join([wording.count(len(labels), "label"), *problems] if labels else problems)
        note(cloud, pipeline, upload.received_at, head.key, event, detail)
    return labels


def _read(cloud: Cloud, head: ObjectHead, label: str) -> truth.Truth:
    if head.size_bytes > truth.MAX_BYTES:
        raise TruthError(f"has {head.size_bytes:,} bytes, at most {truth.MAX_BYTES:,}: upload several files")
    return truth.read(b"".join(cloud.objects.chunks(head.bucket, head.key, head.version_id)), label)


def join(watched: Watched, head: ObjectHead, labels: Mapping[str, str]) -> set[str]:
    """Keep labels with the windows that predicted their rows; return these windows of labels."""
    left, touched = dict(labels), set[str]()
    for window in _windows(watched, from_iso(head.last_modified)):
        if not left:
            break
        if mine := _found(watched, window, left):
            _keep(watched, window, head, mine)
            touched.add(window.label_window)
            left = {identity: label for identity, label in left.items() if identity not in mine}
    return touched


def join_earlier(watched: Watched, window: Window) -> None:
    """Give a new window the labels that came before it was judged."""
    cloud = watched.cloud
    between = keys.truths_between(window.start, cloud.now())
    uploads = map(TruthUpload.of, cloud.catalog.query(keys.partition(watched.pipeline), between=between))
    for upload in uploads:
        head = cloud.objects.head(cloud.data_bucket, upload.key, upload.version_id) if upload.labels else None
        if head is not None:
            labels = _read(cloud, head, watched.config.data.label).labels
            if mine := _found(watched, window, labels):
                _keep(watched, window, head, mine)


def _windows(watched: Watched, received_at: object) -> Iterable[Window]:
    """Return the windows whose labels may have come, newest first."""
    cloud, prefix = watched.cloud, keys.windows_of(watched.stage)
    delay = span(watched.monitor.label_delay) + span(watched.monitor.quality.window)
    since = to_iso(from_iso(cloud.now()) - delay - _LATER)
    items = cloud.catalog.query(
        keys.partition(watched.pipeline), between=(f"{prefix}{since}", f"{prefix}~"), newest_first=True
    )
    return (window for window in map(Window.of, items) if window.rows)


def _found(watched: Watched, window: Window, labels: Mapping[str, str]) -> dict[str, str]:
    try:
        indexed = watched.cloud.objects.read(f"{window.folder_uri}{INDEX}")
    except FileNotFoundError:
        return {}
    return {identity: labels[identity] for identity in tables.found_in(indexed, labels)}


def _keep(watched: Watched, window: Window, head: ObjectHead, labels: Mapping[str, str]) -> None:
    """Write the labels of one upload beside a window's predictions; again changes nothing."""
    name = hashlib.sha256(f"{head.key}#{head.version_id}".encode()).hexdigest()[:20]
    document = {"received_at": to_iso(from_iso(head.last_modified)), "key": head.key, "labels": labels}
    watched.cloud.objects.write(f"{window.folder_uri}labels/{name}.json", json.dumps(document).encode())


def of_window(watched: Watched, window: Window) -> dict[str, str]:
    """Return the labels of a window's rows: of a row labelled twice, the latest."""
    cloud = watched.cloud
    bucket, prefix = bucket_and_key(f"{window.folder_uri}labels/")
    uploads = []
    for head in cloud.objects.listing(bucket, prefix):
        document = json.loads(cloud.objects.read(f"s3://{bucket}/{head.key}"))
        uploads.append((document["received_at"], document["labels"]))
    return tables.merged(uploads)
