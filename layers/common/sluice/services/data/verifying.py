"""Read again all that a run manifest names, and say of each thing what has become of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from sluice.domain import digests
from sluice.domain.build import projects
from sluice.domain.build.projects import ProjectError
from sluice.domain.locations import bucket_and_key, environment_archive
from sluice.domain.release.approvals import Provenance
from sluice.lazy import dataclass
from sluice.services.building import locations
from sluice.services.data import datasets

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Run
    from sluice.ports import Cloud

# `unhashed` is there, with its size, under its version, but its manifest has no digest of it.
Condition = Literal["intact", "unhashed", "differs", "gone"]
_SOUND = ("intact", "unhashed")
# The first digits of two digests that differ tell them apart, unless just these are alike.
_DIGITS = 12
_READERS = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one thing: a manifest, an artifact, an environment, an object of the data set."""

    kind: Literal["manifest", "package", "artifact", "project", "environment", "dataset", "object"]
    name: str
    condition: Condition
    size_bytes: int = 0
    detail: str = ""

    @property
    def is_sound(self) -> bool:
        return self.condition in _SOUND


Check = Callable[[], Finding]


def plan(cloud: Cloud, arn: str, run: Run, *, with_data: bool = True) -> tuple[list[Finding], list[Check]]:
    """Return what is known at once, and the checks that read objects.

    Of a run manifest that is not the one that was written, nothing is followed: it may name anything.
    """
    manifest, stored = _manifest(cloud, run)
    known = [manifest, *_package(cloud, arn, run)]
    if not manifest.is_sound:
        return known, []
    document = json.loads(stored)
    checks: list[Check] = [partial(_artifact, cloud, each) for each in document["artifacts"]]
    checks.append(partial(_project, cloud, document))
    used = {each["environment"] for each in document.get("environments") or [] if each["environment"]}
    checks += [partial(_environment, cloud, digest) for digest in sorted(used)]
    if with_data:
        found, more = _data(cloud, document)
        return [*known, *found], [*checks, *more]
    return known, checks


def plan_inputs(cloud: Cloud, document: Mapping[str, Any]) -> tuple[list[Finding], list[Check]]:
    """Return what is known of what a run read, and the checks that read it: code, data and environments."""
    read = [each for each in document["artifacts"] if each["name"] in ("bundle", "code")]
    checks: list[Check] = [partial(_artifact, cloud, each) for each in read]
    found, more = _data(cloud, document)
    return found, [*checks, partial(_project, cloud, document), *more]


def run_all(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run the checks, several at a time; yield each finding as it comes, in order."""
    with ThreadPoolExecutor(_READERS) as pool:
        yield from pool.map(lambda check: check(), checks)


def _manifest(cloud: Cloud, run: Run) -> tuple[Finding, bytes]:
    uri = str(run.manifest_uri)
    try:
        stored = cloud.objects.read(uri)
    except FileNotFoundError:
        return Finding("manifest", uri, "gone", detail="what it named was not read"), b""
    found = _compared("manifest", uri, hashlib.sha256(stored).hexdigest(), run.manifest_sha256, len(stored))
    if not found.is_sound:
        found = replace(found, detail=f"{found.detail}, so what it names was not read")
    return found, stored


def _package(cloud: Cloud, arn: str, run: Run) -> list[Finding]:
    """Compare the package in the registry with its run: it must name this manifest."""
    described = cloud.registry.describe_package(arn)
    if described is None:
        return [Finding("package", arn, "gone", detail="the registry has no such version any more")]
    provenance = Provenance.of(described)
    named = provenance.manifest_sha256 if provenance else None
    return [_compared("package", arn, named or "nothing", run.manifest_sha256, 0)]


def _artifact(cloud: Cloud, artifact: Mapping[str, Any]) -> Finding:
    name, size_bytes, version_id = artifact["name"], artifact["size_bytes"], artifact.get("version_id")
    bucket, key = bucket_and_key(artifact["uri"])
    if artifact["sha256"] is None:
        head = cloud.objects.head(bucket, key, version_id)
        if head is None:
            return Finding("artifact", name, "gone", detail=artifact["uri"])
        same = head.size_bytes == size_bytes
        told = "" if same else f"it has {head.size_bytes:,} bytes, not {size_bytes:,}"
        return Finding("artifact", name, "unhashed" if same else "differs", size_bytes, told)
    # What is pinned under its digest has the plain one, however large it is.
    found = _sha256(cloud, bucket, key, version_id, size_bytes if version_id else 0)
    if found is None:
        return Finding("artifact", name, "gone", detail=artifact["uri"])
    return _compared("artifact", name, found, artifact["sha256"], size_bytes)


def _project(cloud: Cloud, document: Mapping[str, Any]) -> Finding:
    """Unpack the bundle: the project version is the digest of its files."""
    inputs = document["inputs"]
    version, uri = inputs["project_version"], inputs["bundle_uri"]
    try:
        bundle = cloud.objects.read(uri)
        found = projects.version(projects.unpack(bundle))
    except FileNotFoundError:
        return Finding("project", version, "gone", detail=uri)
    except ProjectError as error:
        return Finding("project", version, "differs", detail=str(error))
    return _compared("project", version, found, version, len(bundle))


def _environment(cloud: Cloud, digest: str) -> Finding:
    uri = environment_archive(cloud.artifact_bucket, digest)
    bucket, key = bucket_and_key(uri)
    head = cloud.objects.head(bucket, key)
    found = _sha256(cloud, bucket, key, None, 0) if head else None
    if head is None or found is None:
        return Finding("environment", digest, "gone", detail=uri)
    return _compared("environment", digest, found, digest, head.size_bytes)


def _data(cloud: Cloud, document: Mapping[str, Any]) -> tuple[list[Finding], list[Check]]:
    """Check the list of objects against the version's name, and plan to read each object by its version."""
    pipeline, version = document["pipeline"], document["inputs"]["dataset_version"]
    try:
        manifest = datasets.find_manifest(cloud, pipeline, version)
    except FileNotFoundError:
        uri = locations(cloud, pipeline).dataset_manifest(version)
        return [Finding("dataset", version, "gone", detail=f"{uri}, or one of its segments")], []
    except datasets.DAMAGED:
        return [Finding("dataset", version, "differs", detail="its list of objects cannot be read")], []
    listed: Condition = "intact" if manifest.is_version(version) else "differs"
    told = "" if listed == "intact" else "its list of objects is another's"
    found = Finding("dataset", version, listed, detail=told)
    return [found], [
        partial(_object, cloud, obj.key, obj.version_id, obj.sha256, obj.size_bytes)
        for obj in manifest.objects
    ]


def _object(cloud: Cloud, key: str, version_id: str, sha256: str, size_bytes: int) -> Finding:
    found = _sha256(cloud, cloud.data_bucket, key, version_id, size_bytes)
    if found is None:
        return Finding("object", key, "gone", detail=f"version {version_id} was deleted")
    return _compared("object", key, found, sha256, size_bytes)


def _sha256(cloud: Cloud, bucket: str, key: str, version_id: str | None, size_bytes: int) -> str | None:
    try:
        return digests.of_content(size_bytes, cloud.objects.chunks(bucket, key, version_id))
    except FileNotFoundError:
        return None


def _compared(kind: Any, name: str, found: str, wanted: str | None, size_bytes: int) -> Finding:
    if found == wanted:
        return Finding(kind, name, "intact", size_bytes)
    wanted = wanted or "none"
    digits = _DIGITS if found[:_DIGITS] != wanted[:_DIGITS] else len(found)
    told = f"its sha256 is {found[:digits]}, not {wanted[:digits]}"
    return Finding(kind, name, "differs", size_bytes, told)
