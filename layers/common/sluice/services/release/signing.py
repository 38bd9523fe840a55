"""Tell whether what serves is signed, as a stack with signing keys demands of each release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.domain.locations import Locations
from sluice.domain.release import signatures

if TYPE_CHECKING:
    from sluice.domain.release.approvals import Provenance
    from sluice.domain.release.evidence import Evidence
    from sluice.ports import Cloud


def files(found: Evidence, manifest_sha256: str) -> dict[str, str]:
    """Return the sha256 of the files that a version's signature covers."""
    archives = {archive.name: archive.sha256 for archive in found.archives}
    return {
        signatures.MODEL: archives["model"],
        signatures.CODE: archives["code"],
        signatures.MANIFEST: manifest_sha256,
    }


def find(cloud: Cloud, pipeline: str, run_id: str) -> bytes | None:
    """Return the signature of a run's model, if there is one."""
    try:
        return cloud.objects.read(Locations(cloud.artifact_bucket, pipeline).signature(run_id))
    except FileNotFoundError:
        return None


def faults(cloud: Cloud, provenance: Provenance, version: str, found: Evidence) -> list[str]:
    """Say why a version may not serve by its signature; nothing if the stack demands none."""
    if not cloud.signatures.are_demanded:
        return []
    again = f"sign it with a key of the stack: `sluice sign {version} --key KEY.pem`"
    content = find(cloud, provenance.pipeline, provenance.run_id)
    if content is None:
        return [f"the model is not signed, and the stack demands it; {again}"]
    try:
        signed = signatures.read(content)
        if not cloud.signatures.verify(signed.message, signed.signature):
            return [f"the model's signature is by no key of the stack, or was changed; {again}"]
    except signatures.SignatureError as error:
        return [f"the model's signature cannot be read: {error}; {again}"]
    except signatures.SigningKeyError as error:
        return [f"the stack's parameter SigningPublicKeys cannot be used: {error}"]
    return signatures.faults(signed, files(found, provenance.manifest_sha256))
