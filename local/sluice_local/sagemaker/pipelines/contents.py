"""What lies at S3 URIs: documents that property files name, and digests of content for the cache."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

from sluice.containers.data import DataError, S3Location
from sluice_local.sagemaker.containers.channels import JobStorage
from sluice_local.sagemaker.pipelines.definition.errors import ResolutionError


def read_json(storage: JobStorage, uri: str) -> Any:
    """Return the document at a URI; raises ResolutionError if there is none that is JSON."""
    try:
        return json.loads(storage.read(S3Location.of(uri)))
    except (DataError, ValueError, RecursionError) as error:
        raise ResolutionError(f"{uri} cannot be read as JSON: {error}") from error


def digest(storage: JobStorage, uri: str) -> str | None:
    """Digest the object, or all objects below a folder, at a URI; None if there are none, or one went away.

    Archives count by what is in them: the SDK writes the time of each upload into theirs.
    """
    try:
        location = S3Location.of(uri)
        keys = [key for key in storage.keys(location) if _is_within(key, location.key)]
        found = [(key, _digest_of(key, storage.read(S3Location(location.bucket, key)))) for key in keys]
    except (DataError, ValueError):
        return None
    lines = "".join(f"{key.removeprefix(location.key)} {each}\n" for key, each in found)
    return hashlib.sha256(lines.encode()).hexdigest() if found else None


def _is_within(key: str, prefix: str) -> bool:
    """Tell whether a key is the object itself or below the folder, not one whose name merely begins so."""
    return key == prefix or key.startswith(prefix if not prefix or prefix.endswith("/") else f"{prefix}/")


def _digest_of(key: str, content: bytes) -> str:
    if not key.endswith(".tar.gz"):
        return hashlib.sha256(content).hexdigest()
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            return "\n".join(sorted(_members(archive)))
    except tarfile.TarError:
        return hashlib.sha256(content).hexdigest()


def _members(archive: tarfile.TarFile) -> Iterator[str]:
    for member in archive:
        file = archive.extractfile(member) if member.isfile() else None
        content = file.read() if file else member.linkname.encode()
        yield f"{member.name} {member.mode} {hashlib.sha256(content).hexdigest()}"
