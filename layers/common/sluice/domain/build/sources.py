"""Say which git commit a pushed project was: commit, branch, remote, and whether the files are the commit's.

A push sends it as metadata of the bundle, so it is what the sender claims. S3's metadata are ASCII, 2 KB for
all of an object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from sluice.lazy import dataclass

# Metadata of a bundle.
SOURCE = "source"
# Of a value as it is written; there are four.
_VALUE_MAX = 400
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CLEAN = {True: "yes", False: "no"}


@dataclass(frozen=True, slots=True)
class Source:
    """The commit of a project's folder; `problem` says why there is none.

    `is_clean` tells whether every pushed file is as the commit has it, and none of the commit's is missing.
    """

    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    is_clean: bool | None = None
    problem: str | None = None

    def encode(self) -> str:
        """Write it as the value of an S3 metadata field."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        if self.is_clean is not None:
            said["is_clean"] = _CLEAN[self.is_clean]
        return urlencode({name: _short(value) for name, value in said.items()}, quote_via=quote)

    @classmethod
    def decode(cls, text: str) -> Source:
        """Read what `encode` wrote; ignore what it cannot have written."""
        names = {field.name for field in fields(cls)}
        said: dict[str, Any] = {name: value for name, value in parse_qsl(text) if name in names and value}
        clean = {word: value for value, word in _CLEAN.items()}.get(said.pop("is_clean", ""))
        if not _COMMIT.fullmatch(said.get("commit", "")):
            return cls(problem=said.get("problem") or "the push named no commit")
        if said.get("remote"):
            said["remote"] = without_credentials(said["remote"])
        return cls(**{**said, "problem": None}, is_clean=clean)

    @property
    def attributes(self) -> dict[str, Any]:
        """What is known, as the catalog and the run manifest hold it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def _short(value: str) -> str:
    """Cut a value to what the metadata have room for."""
    while len(quote(value, errors="replace")) > _VALUE_MAX:
        value = value[: len(value) * 4 // 5]
    return value.encode(errors="replace").decode()


def improves(source: Source, recorded: Mapping[str, Any]) -> bool:
    """Tell whether a source names a commit for the same files where the recorded one could not."""
    return bool(source.is_clean) and not recorded.get("is_clean")


def better(said: Source, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of the newer source, unless only the recorded one is a clean commit's."""
    return dict(recorded) if recorded.get("is_clean") and not said.is_clean else said.attributes


def described(source: Mapping[str, Any] | None) -> str:
    """Say a recorded source in a few words."""
    if not source or not source.get("commit"):
        return f"no git commit: {(source or {}).get('problem') or 'an older push recorded none'}"
    state = " with changes that are not committed" if source.get("is_clean") is False else ""
    branch = f" on {source['branch']}" if source.get("branch") else ""
    return f"commit {source['commit'][:12]}{branch}{state}"


def without_credentials(remote: str) -> str:
    """Return a remote's URL without user, password, query and fragment; the user of SSH is no secret."""
    parts = urlsplit(remote)
    if not parts.scheme or not parts.netloc:
        # `git@host:owner/name` and local paths hold no password.
        return remote
    user, at, host = parts.netloc.rpartition("@")
    kept = f"{user.partition(':')[0]}@" if at and parts.scheme in ("ssh", "git+ssh") else ""
    return urlunsplit((parts.scheme, f"{kept}{host}", parts.path, "", ""))
