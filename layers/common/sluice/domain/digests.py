"""Compute the sha256 that identifies an object's content.

Up to the size that S3 takes in one request, it is the sha256 of the bytes. Above, it is the sha256 of the
concatenated digests of its parts of 1 GiB, which S3 itself computes for an upload in such parts, and which
can be computed one part at a time. Either way it depends only on the content, not on how it was uploaded.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

from sluice.lazy import dataclass

# S3's largest object has some 5,000 such parts; S3 allows 10,000.
PART_BYTES = 1 << 30
WHOLE_MAX_BYTES = 5 << 30


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart upload, with the checksum that S3 stores (base64)."""

    size_bytes: int
    sha256: str


def is_by_parts(size_bytes: int) -> bool:
    return size_bytes > WHOLE_MAX_BYTES


def spans(size_bytes: int) -> list[tuple[int, int]]:
    """Return the first and the last byte of each part."""
    return [(start, min(start + PART_BYTES, size_bytes) - 1) for start in range(0, size_bytes, PART_BYTES)]


def combined(parts: Iterable[bytes]) -> str:
    """Combine the digests of an object's parts."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def of_upload(size_bytes: int, parts: Sequence[Part]) -> str | None:
    """Compute the digest from S3's checksums if the object was uploaded in exactly our parts; else None."""
    wanted = [last - first + 1 for first, last in spans(size_bytes)]
    if not is_by_parts(size_bytes) or [part.size_bytes for part in parts] != wanted:
        return None
    return combined(base64.b64decode(part.sha256) for part in parts)


def of_content(size_bytes: int, chunks: Iterable[bytes]) -> str:
    """Compute the digest from the whole content."""
    if not is_by_parts(size_bytes):
        return of_bytes(chunks).hex()
    parts, left, digest = [], PART_BYTES, hashlib.sha256()
    for chunk in chunks:
        while len(chunk) > left:
            digest.update(chunk[:left])
            parts.append(digest.digest())
            chunk, left, digest = chunk[left:], PART_BYTES, hashlib.sha256()
        digest.update(chunk)
        left -= len(chunk)
    return combined([*parts, digest.digest()])


def of_bytes(chunks: Iterable[bytes]) -> bytes:
    """Compute the plain sha256."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()
