"""Classify uploaded objects: a pipeline's data, a folder marker, nobody's, or unusable."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Literal, Protocol

from sluice.domain.locations import parse_key
from sluice.domain.nearest import hint
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival

Status = Literal["accepted", "control", "ignored", "unclaimed", "quarantined"]
# The catalog's sort key has 1,024 bytes for the object's key, its version id and a prefix.
MAX_KEY_BYTES = 900
# Linux limits a file's name (NAME_MAX); its limit of a path is 4,096, more than a key has.
MAX_NAME_BYTES = 255
ZERO_BYTES = "zero bytes"
_CONTROL = r"[\x00-\x1f\x7f]"


class Head(Protocol):
    """What a decision needs of an object."""

    @property
    def key(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Classification:
    """What an object is, whose it is, and why."""

    status: Status
    pipeline: str | None
    reason: str


def is_path(rest: str) -> bool:
    """Tell whether a key below a folder is a valid path of a file there."""
    return all(part not in {"", ".", ".."} for part in rest.split("/"))


def obstructed(keys: Iterable[str]) -> dict[str, str]:
    """Return the keys that cannot be files beside earlier ones, each with the reason.

    S3 can hold both `a` and `a/b.csv`; in a file system `a` is either a file or a folder.
    """
    files: set[str] = set()
    folders: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for key in keys:
        above = [key[:end] for end, character in enumerate(key) if character == "/"]
        if other := next((folder for folder in above if folder in files), None):
            reasons[key] = f"{other} is a file, so there can be no file below it: delete one of them"
        elif key in folders:
            reasons[key] = f"{folders[key]} lies below it, so it can be no file: delete one of them"
        else:
            files.add(key)
            folders.update(dict.fromkeys(above, key))
    return reasons


def classify(head: Head, known_pipelines: Collection[str], control_name: str | None = None) -> Classification:
    """Classify an uploaded object; only folder markers are dropped silently.

    An object with the pipeline's `control_name` completes a batch and is not data, even if it is empty.
    """
    if head.key.endswith("/") and head.size_bytes == 0:
        return Classification("ignored", None, "a folder marker")
    pipeline, rest = parse_key(head.key)
    if pipeline is None:
        return Classification("unclaimed", None, "no folder: upload to <pipeline>/<file>")
    if pipeline not in known_pipelines:
        reason = f"no pipeline {pipeline!r}{hint(pipeline, known_pipelines)}"
        return Classification("unclaimed", None, reason)
    if problem := _unaddressable(rest, head):
        return Classification("quarantined", pipeline, problem)
    if rest.rpartition("/")[2] == control_name:
        return Classification("control", pipeline, "completes a batch")
    if head.size_bytes == 0:
        return Classification("quarantined", pipeline, ZERO_BYTES)
    return Classification("accepted", pipeline, f"data of {pipeline}")


def unusable(rest: str, head: Head) -> str | None:
    """Say why no job could read the object: it is empty, or no file can be at its key's path."""
    return _unaddressable(rest, head) or (ZERO_BYTES if head.size_bytes == 0 else None)


def _unaddressable(rest: str, head: Head) -> str | None:
    """Say why no job could have the object as a file at its key's path."""
    if len(head.key.encode(errors="replace")) > MAX_KEY_BYTES:
        return f"a key of more than {MAX_KEY_BYTES} bytes"
    if not is_path(rest):
        return "a key whose path has an empty, '.' or '..' part"
    if any(len(part.encode(errors="replace")) > MAX_NAME_BYTES for part in rest.split("/")):
        return f"a key with a part of more than {MAX_NAME_BYTES} bytes, which no file's name may have"
    return "a key with a control character" if re.search(_CONTROL, rest) else None


def release_objection(arrival: Arrival | None, current_version: str | None) -> str | None:
    """Say why an arrival cannot be released, as a predicate of its key.

    `current_version` is the version id that the bucket has now; None if the object is gone.
    """
    if arrival is None:
        return "did not arrive"
    if arrival.status != "quarantined":
        return f"is {arrival.status}, not quarantined"
    if not arrival.sha256:
        return f"is of no use to any job: {arrival.reason}"
    if current_version != arrival.version_id:
        return f"was {'overwritten' if current_version else 'deleted'} since: there is nothing to release"
    return None
