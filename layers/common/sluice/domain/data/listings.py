"""Read manifest files: JSON lists of a batch's objects, with keys relative to the file's own folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sluice.domain.data import uploads
from sluice.domain.nearest import hint
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival

# Enough for some hundred thousand keys: with more, functions would run out of memory.
MAX_BYTES = 8 * 2**20
_FIELDS = ("key", "size_bytes", "sha256")
_SHA256 = r"^[0-9a-f]{64}$"


class ManifestError(ValueError):
    """A manifest file is invalid; the message says why."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a manifest file says of one object; None for what it does not say."""

    key: str
    size_bytes: int | None = None
    sha256: str | None = None

    def difference(self, arrival: Arrival) -> str | None:
        """Say how an arrival differs from it; None if it does not."""
        if self.size_bytes not in (None, arrival.size_bytes):
            return f"{self.key} has {arrival.size_bytes} bytes, {self.size_bytes} were expected"
        if self.sha256 not in (None, arrival.sha256):
            return f"{self.key} has sha256 {arrival.sha256[:12]}..., {str(self.sha256)[:12]}... was expected"
        return None


def entries(manifest: Arrival, read: Callable[[Arrival], bytes]) -> list[Expected]:
    """Return what a manifest file lists; `read` returns an arrival's content. Raises ManifestError."""
    if manifest.size_bytes > MAX_BYTES:
        raise ManifestError(f"has more than {MAX_BYTES} bytes")
    try:
        content = read(manifest)
    except FileNotFoundError:
        raise ManifestError("is not in the bucket any more: upload it again") from None
    return parse(content, manifest)


def parse(data: bytes, manifest: Arrival) -> list[Expected]:
    """Parse the content of a manifest file; raises ManifestError."""
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError):
        raise ManifestError("is no JSON") from None
    if not isinstance(entries, list) or not entries:
        raise ManifestError("is no list of objects")
    expected = (_expected(entry, manifest) for entry in entries)
    return list({entry.key: entry for entry in expected}.values())


def _expected(entry: Any, manifest: Arrival) -> Expected:
    described = {"key": entry} if isinstance(entry, str) else entry
    if not isinstance(described, dict) or not isinstance(described.get("key"), str):
        raise ManifestError("has an entry that is neither a key nor an object with one")
    _check_fields(described)
    key, size_bytes, sha256 = described["key"], described.get("size_bytes"), described.get("sha256")
    _check_key(key, manifest)
    if size_bytes is not None and (type(size_bytes) is not int or size_bytes < 0):
        raise ManifestError(f"has a size_bytes of {key} that is no number of bytes")
    if sha256 is not None and not (isinstance(sha256, str) and re.match(_SHA256, sha256.lower())):
        raise ManifestError(f"has a sha256 of {key} that is not 64 hex digits")
    return Expected(f"{manifest.folder}{key}", size_bytes, sha256.lower() if sha256 else None)


def _check_fields(described: Mapping[str, Any]) -> None:
    """Refuse unknown fields: a misspelt `size_bytes` would never be checked."""
    for field in described:
        if field not in _FIELDS:
            known = f"unlike {', '.join(_FIELDS)}"
            raise ManifestError(f"has a field {field!r} of {described['key']}, {known}{hint(field, _FIELDS)}")


def _check_key(key: str, manifest: Arrival) -> None:
    if not uploads.is_path(key):
        raise ManifestError(f"lists {key!r}, which is no path below its folder")
    if key.rpartition("/")[2] == manifest.name:
        raise ManifestError(f"lists {key!r}, which is a manifest file and no data")
