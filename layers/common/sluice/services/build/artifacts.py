"""List what a run's processing jobs wrote, each object by the sha256 of the version that was read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from sluice.domain import digests
from sluice.domain.build import jobs, metrics_file, package_lists
from sluice.domain.build.run_manifest import Artifact
from sluice.domain.locations import bucket_and_key
from sluice.services.build import contents
from sluice.services.side_by_side import on_each

if TYPE_CHECKING:
    from sluice.ports import Cloud, ObjectHead

# Objects that a manifest names; what else there is lies beside them.
LISTED_MAX = 1000
# A function has minutes: larger objects are named by their version, without a digest.
HASHED_MAX_BYTES = 512 * 1024 * 1024


def of_steps(cloud: Cloud, steps: Iterable[Mapping[str, Any]]) -> list[Artifact]:
    """Return what processing jobs wrote, by their steps' outputs, up to LISTED_MAX objects.

    The smallest are hashed first, as far as HASHED_MAX_BYTES go; the others have no sha256. The outputs of a
    step may lie in another run's folder, if that did the same before.
    """
    producers = {str(step["step"]): step for step in steps}
    found = _written(cloud, producers.values())[:LISTED_MAX]
    left, hashed = HASHED_MAX_BYTES, set[str]()
    for _, _, head in sorted(found, key=lambda each: (each[2].size_bytes, each[2].key)):
        if (left := left - head.size_bytes) < 0:
            break
        hashed.add(head.key)
    made = on_each(found, lambda each: _artifact(cloud, *each, is_hashed=each[2].key in hashed))
    return [produced(artifact, producers) for artifact in made]


def produced(artifact: Artifact, steps: Mapping[str, Mapping[str, Any]]) -> Artifact:
    """Name the step and the run that produced an artifact, if its step used what another did before."""
    cached = (steps.get(artifact.step) or {}).get("cached")
    return replace(artifact, step=cached["step"], run_id=cached["run_id"]) if cached else artifact


def described(cloud: Cloud, steps: Iterable[Mapping[str, Any]], chosen: str) -> list[dict[str, Any]]:
    """Return steps with their Python and packages: as their jobs listed them, or of their environments.

    Of training jobs on SageMaker the chosen candidate's list is read.
    """
    from sluice.services.build import environments  # what it loads with it is needed here alone

    return environments.with_packages(cloud, [_reported(cloud, step, chosen) for step in steps])


def _reported(cloud: Cloud, step: Mapping[str, Any], chosen: str) -> dict[str, Any]:
    """Return a step with the Python and the packages that its job on SageMaker listed, if it did."""
    uri = (step.get("outputs") or {}).get(jobs.PACKAGES)
    if uri is not None:
        content = _chunks(cloud, f"{uri}/{jobs.PACKAGES_FILE}", package_lists.MAX_BYTES)
        listed = package_lists.read(b"".join(content)) if content is not None else None
    elif step["step"] == chosen and not step.get("environment") and step.get("model_uri"):
        content = _chunks(cloud, f"{str(step['model_uri']).rpartition('/')[0]}/{metrics_file.ARCHIVE}")
        listed = package_lists.read_archive(content) if content is not None else None
    else:
        listed = None
    return {**step, **(listed or {})}


def _chunks(cloud: Cloud, uri: str, most_bytes: float = math.inf) -> Iterator[bytes] | None:
    """Return the content of an object; None if there is none, or a larger one."""
    bucket, key = bucket_and_key(uri)
    head = cloud.objects.head(bucket, key)
    if head is None or head.size_bytes > most_bytes:
        return None
    return cloud.objects.chunks(bucket, key, head.version_id)


def _written(cloud: Cloud, steps: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, ObjectHead]]:
    """Return the step, the name and the head of each object, up to LISTED_MAX of an output."""
    processing = [step for step in steps if step.get("kind") == "processing_job"]
    return [found for each in on_each(processing, partial(_listed, cloud)) for found in each]


def _listed(cloud: Cloud, step: Mapping[str, Any]) -> list[tuple[str, str, ObjectHead]]:
    own = {
        output: uri
        for output, uri in (step.get("outputs") or {}).items()
        if bucket_and_key(str(uri))[0] == cloud.artifact_bucket
    }
    known = contents.side_by_side(cloud, [*own.values()], LISTED_MAX)
    found = []
    for output, uri in own.items():
        bucket, folder = bucket_and_key(f"{str(uri).rstrip('/')}/")
        heads = known[uri] if uri in known else islice(cloud.objects.listing(bucket, folder), LISTED_MAX)
        found += [
            (step["step"], f"{step['step']}/{output}/{head.key.removeprefix(folder)}", head) for head in heads
        ]
    return found


def _artifact(cloud: Cloud, step: str, name: str, head: ObjectHead, *, is_hashed: bool) -> Artifact:
    # The listing names versions, so what is read is what is named, whatever is written meanwhile.
    chunks = cloud.objects.chunks(head.bucket, head.key, head.version_id) if is_hashed else None
    sha256 = digests.of_content(head.size_bytes, chunks) if chunks is not None else None
    return Artifact(name, step, f"s3://{head.bucket}/{head.key}", sha256, head.size_bytes, head.version_id)
