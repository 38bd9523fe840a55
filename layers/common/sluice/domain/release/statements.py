"""Write and verify statements.json: what each file of an evidence folder says, where it is from, its sha256.

The run manifest ties the folder to the model: its digest is what approvals are bound to.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from sluice.lazy import dataclass

FORMAT = "sluice-evidence/1"
FILE = "statements.json"
MANIFEST = "run-manifest.json"
# A file of the folder itself: a path could lead out of it.
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")
Condition = Literal["intact", "differs", "gone", "unlisted"]


class StatementsError(ValueError):
    """It is no statements.json that can be verified."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A file of the folder: what it says, and what it was made from (URIs, or the catalog)."""

    file: str
    says: str
    source: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that the folder lacks, and why."""

    file: str
    says: str
    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a file."""

    file: str
    condition: Condition
    detail: str = ""


def digest(content: bytes) -> str:
    """Return the sha256 of a file, in hex."""
    return hashlib.sha256(content).hexdigest()


def document(
    about: Mapping[str, Any], made: Iterable[Statement], missing: Iterable[Missing]
) -> dict[str, Any]:
    """Return the content of statements.json; `about` names the model."""
    return {
        "format": FORMAT,
        **about,
        "statements": [
            {
                "file": each.file,
                "says": each.says,
                "source": each.source,
                "sha256": digest(each.content),
                "size_bytes": len(each.content),
            }
            for each in made
        ],
        "missing": [{"file": each.file, "says": each.says, "why": each.why} for each in missing],
    }


def verify(stated: Any, names: Sequence[str], read: Callable[[str], bytes | None]) -> list[Finding]:
    """Compare a folder with its statements; `names` are its files, `read` returns one, None if it is gone.

    Raises StatementsError if these are no statements.
    """
    listed = _listed(stated)
    found = [_compare(name, sha256, read(name)) for name, sha256 in listed.items()]
    named = str(stated.get("manifest_sha256"))
    if listed.get(MANIFEST) != named:
        told = f"{FILE} names the run manifest {named[:12]}, and lists {str(listed.get(MANIFEST))[:12]}"
        found.append(Finding(FILE, "differs", told))
    extra = sorted({*names} - {*listed, FILE})
    return [*found, *(Finding(name, "unlisted", f"{FILE} does not name it") for name in extra)]


def _listed(stated: Any) -> dict[str, str]:
    """Return the digests by file; raises StatementsError."""
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        raise StatementsError(f"{FILE} has not the format {FORMAT}")
    try:
        listed = {str(each["file"]): str(each["sha256"]) for each in stated["statements"]}
    except (KeyError, TypeError):
        raise StatementsError(f"{FILE} does not list files with their sha256") from None
    for name in listed:
        if not _NAME.fullmatch(name):
            raise StatementsError(f"{FILE} names {name!r}, which is no file of this folder")
    return listed


def _compare(name: str, sha256: str, content: bytes | None) -> Finding:
    if content is None:
        return Finding(name, "gone", "the folder does not have it")
    if (found := digest(content)) != sha256:
        return Finding(name, "differs", f"its sha256 is {found[:12]}, not {sha256[:12]}")
    return Finding(name, "intact")
