"""Verify a model package by the evidence that its run wrote down.

Anyone who may write to the registry can change a package's fields or copy them to another package. So what
serves is made from the run's manifest. The run's item in the catalog holds the manifest's digest, the one
package that the run registered, and the digest that its image had then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.catalog.records.builds import Run
from sluice.domain import names
from sluice.domain.build.run_manifest import FORMATS
from sluice.domain.release.approvals import Provenance
from sluice.lazy import dataclass

_RESTORE = "restore the object's earlier version or train again"


class EvidenceError(ValueError):
    """The evidence does not allow a release of the package; `reasons` says why, a line each."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__("\n".join(reasons))


@dataclass(frozen=True, slots=True)
class Archive:
    """The model or the code that serves it, identified by content."""

    name: str
    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shall serve, by a run's manifest, and the champion that it was compared with.

    `image_digest` is None if it is not known, `champion` if nothing served or the manifest does not say.
    """

    packaged: Mapping[str, Any]
    image_digest: str | None
    archives: Sequence[Archive]
    config_sha256: str
    champion: Mapping[str, Any] | None = None

    @property
    def container(self) -> dict[str, Any]:
        """The container for CreateModel: its image by digest if that is known."""
        return {**self.packaged, "Image": pinned_image(self.packaged["Image"], self.image_digest)}


def pinned_image(image: str, digest: str | None) -> str:
    """Return the image as `repository@sha256:...`, since a tag can move."""
    if digest is None or "@" in image:
        return image
    return names.image_by_digest(f"{image}@{digest}")


def read(arn: str, provenance: Provenance, run: Run | None, manifest: bytes | None) -> Evidence:
    """Verify a package's manifest by its run; raises EvidenceError."""
    if run is None or run.model_package_arn != arn:
        registered = (run.model_package_arn if run else None) or "nothing"
        raise EvidenceError(
            f"no run registered {arn}: its metadata names {provenance.run_id}, which registered "
            f"{registered}; approve that one, or train again"
        )
    if run.manifest_uri is None or run.manifest_sha256 is None:
        raise EvidenceError(
            f"{provenance.run_id} ran under a version of Sluice whose evidence covers neither the code nor "
            "the environment that serve: train again"
        )
    if manifest is None:
        raise EvidenceError(
            f"the run manifest is gone: {run.manifest_uri}; restore the object or train again"
        )
    digest = hashlib.sha256(manifest).hexdigest()
    if digest != run.manifest_sha256:
        raise EvidenceError(_changed("run manifest", run.manifest_uri, digest, run.manifest_sha256))
    document = json.loads(manifest)
    if document["format"] not in FORMATS:
        raise EvidenceError(
            f"the run manifest has the format {document['format']}, not {' or '.join(FORMATS)}: train again"
        )
    if faults := _metadata_faults(provenance, run, document):
        raise EvidenceError(*faults)
    return Evidence(
        packaged=document["serving"]["container"],
        image_digest=run.image_digest,
        archives=[
            Archive(each["name"], each["uri"], each["sha256"])
            for each in document["artifacts"]
            if each["name"] in ("model", "code")
        ],
        config_sha256=document["serving"]["config_sha256"],
        champion=document.get("champion"),
    )


def _metadata_faults(provenance: Provenance, run: Run, document: Mapping[str, Any]) -> list[str]:
    models = [each["sha256"] for each in document["artifacts"] if each["name"] == "model"]
    pairs = [
        ("pipeline", provenance.pipeline, document["pipeline"]),
        ("run", provenance.run_id, document["run_id"]),
        ("project version", provenance.project_version, document["inputs"]["project_version"]),
        ("manifest", provenance.manifest_uri, run.manifest_uri),
        ("manifest's sha256", provenance.manifest_sha256, run.manifest_sha256),
        ("model's sha256", provenance.model_sha256, *models),
    ]
    return [
        _differs(f"metadata: the {what}", found, wanted) for what, found, wanted in pairs if found != wanted
    ]


def package_faults(evidence: Evidence, package: Mapping[str, Any], config_sha256: str) -> list[str]:
    """Return where a described package or its project's config differs from the manifest."""
    containers = package.get("InferenceSpecification", {}).get("Containers", [])
    if len(containers) != 1:
        return [_differs("number of containers", len(containers), 1)]
    found = {"Environment": {}, **containers[0]}
    faults = [
        _differs(name, found.get(name), wanted)
        for name, wanted in evidence.packaged.items()
        if found.get(name) != wanted
    ]
    if evidence.image_digest and found.get("ImageDigest") != evidence.image_digest:
        faults.append(_differs("ImageDigest", found.get("ImageDigest"), evidence.image_digest))
    if config_sha256 != evidence.config_sha256:
        faults.append(_differs("project's rules: the config's sha256", config_sha256, evidence.config_sha256))
    return faults


def archive_faults(evidence: Evidence, found: Mapping[str, str | None]) -> list[str]:
    """Return how archives that serve have changed; `found` is the sha256 at each URI, None if it is gone."""
    faults = []
    for archive in evidence.archives:
        sha256 = found[archive.uri]
        if sha256 is None:
            faults.append(f"the {archive.name} is gone: {archive.uri}; restore the object or train again")
        elif sha256 != archive.sha256:
            faults.append(_changed(archive.name, archive.uri, sha256, archive.sha256))
    return faults


def _differs(what: str, found: Any, wanted: Any) -> str:
    return f"the package is not as its run registered it: its {what} is {found}, not {wanted}"


def _changed(what: str, uri: str, found: str, wanted: str) -> str:
    return (
        f"the {what} {uri} has changed since it was registered: "
        f"its sha256 is {found[:12]}, not {wanted[:12]}; {_RESTORE}"
    )
