"""Digest what jobs wrote, unless they told it: each object by its bytes, a very large one by S3's digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from sluice.domain.build import step_cache
from sluice.domain.locations import bucket_and_key
from sluice.services.side_by_side import on_each

if TYPE_CHECKING:
    from sluice.ports import Cloud, ObjectHead

# Of an output so much is read; what is larger is known by its ETag, which S3 makes of the bytes unless a KMS
# key encrypts them: then the same content written again looks new, and nothing wrong is reused.
READ_MAX_BYTES = 64 * 1024 * 1024
# An output of more objects has no digest.
OBJECTS_MAX = 10_000
# By URI the version that somebody wrote, and the sha256 of its bytes.
Written = Mapping[str, Sequence[str]]
NOTHING: Written = {}


def digests(cloud: Cloud, uris: Sequence[str], written: Written = NOTHING) -> list[str | None]:
    """Return the digest of each; folders that lie side by side are listed by one request.

    What still is as it was written is not read.
    """
    listed = side_by_side(cloud, uris, OBJECTS_MAX)
    return on_each(uris, lambda uri: digest(cloud, uri, listed.get(uri), written))


def digest(
    cloud: Cloud, uri: str, listed: Sequence[ObjectHead] | None = None, written: Written = NOTHING
) -> str | None:
    """Return the digest of an object, or of a folder with the paths in it; None if nothing is there.

    A folder of empty files holds nothing.

    `listed` are the folder's objects, if they are known.
    """
    bucket, key = bucket_and_key(uri)
    name = key.rpartition("/")[2]
    if uri in written and (head := cloud.objects.head(bucket, key)) and (said := _as_written(head, written)):
        return step_cache.content([(name, head.size_bytes, said)])
    if "." in name and (found := cloud.objects.open(bucket, key)):
        head, chunks = found
        read = chunks if head.size_bytes <= READ_MAX_BYTES else None
        return step_cache.content([(name, head.size_bytes, _digested(head, read))])
    folder = f"{key.rstrip('/')}/"
    if listed is None:
        listed = [*islice(cloud.objects.listing(bucket, folder), OBJECTS_MAX + 1)]
    heads = list(listed)
    if len(heads) > OBJECTS_MAX or not any(each.size_bytes for each in heads):
        return None
    reads = sum(each.size_bytes for each in heads) <= READ_MAX_BYTES
    return step_cache.content(
        on_each(heads, lambda each: _described(cloud, each, folder, written, reads=reads))
    )


def empty_files(cloud: Cloud, uri: str) -> list[str] | None:
    """Return the names of a folder's files if all are empty; None if there is anything in it."""
    bucket, key = bucket_and_key(f"{uri.rstrip('/')}/")
    files = []
    for head in cloud.objects.listing(bucket, key):
        if head.size_bytes:
            return None
        files.append(head.key.removeprefix(key))
    return files


def side_by_side(cloud: Cloud, uris: Sequence[str], most: int) -> dict[str, list[ObjectHead]]:
    """Return the objects of folders that lie side by side; of none if there are too many."""
    places = {uri: bucket_and_key(uri.rstrip("/")) for uri in uris}
    above = {(bucket, key.rpartition("/")[0]) for bucket, key in places.values()}
    if len(uris) < 2 or len(above) > 1:
        return {}
    ((bucket, folder),) = above
    if not folder:
        return {}
    found = [*islice(cloud.objects.listing(bucket, f"{folder}/"), most + 1)]
    if len(found) > most:
        return {}
    return {
        uri: [head for head in found if head.key.startswith(f"{key}/")] for uri, (_, key) in places.items()
    }


def of_pinned(head: ObjectHead, name: str, sha256: str) -> str | None:
    """Return the digest of an object of known sha256: what `digest` says where a job wrote it."""
    said = f"sha256 {sha256}" if head.size_bytes <= READ_MAX_BYTES else _digested(head, None)
    return step_cache.content([(name, head.size_bytes, said)])


def _described(
    cloud: Cloud, head: ObjectHead, folder: str, written: Written, *, reads: bool
) -> tuple[str, int, str]:
    path = head.key.removeprefix(folder)
    if reads and (said := _as_written(head, written)):
        return path, head.size_bytes, said
    # The listing names versions, so what is read is what is digested.
    chunks = cloud.objects.chunks(head.bucket, head.key, head.version_id) if reads else None
    return path, head.size_bytes, _digested(head, chunks)


def _as_written(head: ObjectHead, written: Written) -> str | None:
    """Return the digest of an object that is the one that was written."""
    version_id, sha256 = written.get(f"s3://{head.bucket}/{head.key}", (None, ""))
    return f"sha256 {sha256}" if head.version_id == version_id else None


def _digested(head: ObjectHead, chunks: Iterable[bytes] | None) -> str:
    """Return the digest of an object by its bytes, or of one that is not read by what S3 says of it."""
    if chunks is None:
        return f"etag {head.etag}"
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
    return f"sha256 {found.hexdigest()}"
