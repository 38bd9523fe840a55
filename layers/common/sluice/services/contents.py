"""Digest what jobs wrote: each object by its bytes, a very large one by S3's own digest of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from sluice.domain.build import step_cache
from sluice.domain.locations import bucket_and_key
from sluice.services.arrivals import on_each

if TYPE_CHECKING:
    from sluice.ports import Cloud, ObjectHead

# Of an output so much is read; what is larger is known by its ETag, which S3 makes of the bytes unless a KMS
# key encrypts them: then the same content written again looks new, and nothing wrong is reused.
READ_MAX_BYTES = 64 * 1024 * 1024
# An output of more objects has no digest.
OBJECTS_MAX = 10_000


def digest(cloud: Cloud, uri: str) -> str | None:
    """Return the digest of an object, or of a folder with the paths in it; None if nothing is there."""
    bucket, key = bucket_and_key(uri)
    if "." in key.rpartition("/")[2] and (found := cloud.objects.open(bucket, key)):
        head, chunks = found
        read = chunks if head.size_bytes <= READ_MAX_BYTES else None
        return step_cache.content([(key.rpartition("/")[2], head.size_bytes, _digested(head, read))])
    folder = f"{key.rstrip('/')}/"
    heads = [*islice(cloud.objects.listing(bucket, folder), OBJECTS_MAX + 1)]
    if len(heads) > OBJECTS_MAX:
        return None
    reads = sum(each.size_bytes for each in heads) <= READ_MAX_BYTES
    return step_cache.content(on_each(heads, lambda each: _described(cloud, each, folder, reads=reads)))


def of_pinned(head: ObjectHead, name: str, sha256: str) -> str | None:
    """Return the digest of an object of known sha256: what `digest` says where a job wrote it."""
    said = f"sha256 {sha256}" if head.size_bytes <= READ_MAX_BYTES else _digested(head, None)
    return step_cache.content([(name, head.size_bytes, said)])


def _described(cloud: Cloud, head: ObjectHead, folder: str, *, reads: bool) -> tuple[str, int, str]:
    # The listing names versions, so what is read is what is digested.
    chunks = cloud.objects.chunks(head.bucket, head.key, head.version_id) if reads else None
    return head.key.removeprefix(folder), head.size_bytes, _digested(head, chunks)


def _digested(head: ObjectHead, chunks: Iterable[bytes] | None) -> str:
    """Return the digest of an object by its bytes, or of one that is not read by what S3 says of it."""
    if chunks is None:
        return f"etag {head.etag}"
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
    return f"sha256 {found.hexdigest()}"
