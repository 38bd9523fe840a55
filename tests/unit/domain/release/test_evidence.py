"""What serves is what a run wrote down, and a package that says otherwise is not released."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from sluice.catalog.records.builds import Run
from sluice.domain.build.run_manifest import FORMAT, FORMATS
from sluice.domain.release import evidence
from sluice.domain.release.approvals import Provenance
from sluice.domain.release.evidence import EvidenceError

ARN = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/reviews/1"
CONTAINER = {
    "Image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/own:1",
    "ModelDataUrl": "s3://artifacts/models/reviews/b/model.tar.gz",
    "Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://artifacts/models/reviews/c/sourcedir.tar.gz"},
}
DIGEST = f"sha256:{'d' * 64}"
DOCUMENT = {
    "format": FORMAT,
    "pipeline": "reviews",
    "run_id": "reviews-00001",
    "inputs": {"project_version": "a" * 64},
    "artifacts": [
        {"name": "model", "uri": CONTAINER["ModelDataUrl"], "sha256": "b" * 64},
        {"name": "code", "uri": "s3://artifacts/models/reviews/c/sourcedir.tar.gz", "sha256": "c" * 64},
        {"name": "evaluation", "uri": "s3://artifacts/runs/e.json", "sha256": "e" * 64},
    ],
    "serving": {"container": CONTAINER, "config_sha256": "8" * 64},
}
MANIFEST = json.dumps(DOCUMENT).encode()
PROVENANCE = Provenance(
    pipeline="reviews",
    run_id="reviews-00001",
    project_version="a" * 64,
    manifest_uri="s3://artifacts/evidence/reviews/reviews-00001/manifest.json",
    manifest_sha256=hashlib.sha256(MANIFEST).hexdigest(),
    model_sha256="b" * 64,
)
RUN = Run(
    pipeline="reviews",
    run_id="reviews-00001",
    status="registered",
    model_package_arn=ARN,
    manifest_uri=PROVENANCE.manifest_uri,
    manifest_sha256=PROVENANCE.manifest_sha256,
    image_digest=DIGEST,
)
PACKAGE = {
    "InferenceSpecification": {"Containers": [{**CONTAINER, "ImageDigest": DIGEST, "ModelDataETag": "x"}]}
}
READ = evidence.read(ARN, PROVENANCE, RUN, MANIFEST)
SOUND: dict[str, str | None] = {archive.uri: archive.sha256 for archive in READ.archives}


def test_evidence_that_is_as_it_was_has_no_faults() -> None:
    assert evidence.package_faults(READ, PACKAGE, "8" * 64) == []
    assert evidence.archive_faults(READ, SOUND) == []


def test_what_serves_is_the_manifests_container_with_its_image_by_digest() -> None:
    image = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/own@{DIGEST}"
    assert READ.container == {**CONTAINER, "Image": image}


@pytest.mark.parametrize("version", FORMATS)
def test_a_manifest_of_a_former_format_still_releases(version: str) -> None:
    former = json.dumps({**DOCUMENT, "format": version}).encode()
    sha256 = hashlib.sha256(former).hexdigest()
    run, provenance = replace(RUN, manifest_sha256=sha256), replace(PROVENANCE, manifest_sha256=sha256)
    assert evidence.read(ARN, provenance, run, former).archives == READ.archives


def test_a_manifest_of_a_format_that_is_not_known_is_refused_however_true_it_is() -> None:
    later = json.dumps({**DOCUMENT, "format": "sluice-run-manifest/9"}).encode()
    sha256 = hashlib.sha256(later).hexdigest()
    run, provenance = replace(RUN, manifest_sha256=sha256), replace(PROVENANCE, manifest_sha256=sha256)
    with pytest.raises(EvidenceError, match="has the format sluice-run-manifest/9"):
        evidence.read(ARN, provenance, run, later)


@pytest.mark.parametrize(
    ("image", "digest", "pinned"),
    [
        ("localhost:5000/own:1", DIGEST, f"localhost:5000/own@{DIGEST}"),
        ("own", DIGEST, f"own@{DIGEST}"),
        (f"own@{DIGEST}", f"sha256:{'1' * 64}", f"own@{DIGEST}"),
        ("own:1", None, "own:1"),
    ],
)
def test_an_image_is_pinned_where_a_digest_is_known(image: str, digest: str | None, pinned: str) -> None:
    assert evidence.pinned_image(image, digest) == pinned


@pytest.mark.parametrize(
    ("run", "manifest", "said"),
    [
        ({"model_package_arn": f"{ARN}0"}, MANIFEST, f"which registered {ARN}0"),
        ({"model_package_arn": None}, MANIFEST, "which registered nothing"),
        ({"manifest_sha256": None}, MANIFEST, "covers neither the code nor the environment"),
        ({}, None, f"the run manifest is gone: {PROVENANCE.manifest_uri}"),
        ({}, MANIFEST + b" ", f"the run manifest {PROVENANCE.manifest_uri} has changed since"),
    ],
)
def test_what_a_run_did_not_write_or_register_is_refused(
    run: Mapping[str, Any], manifest: bytes | None, said: str
) -> None:
    with pytest.raises(EvidenceError, match=said):
        evidence.read(ARN, PROVENANCE, replace(RUN, **run), manifest)


def test_a_package_whose_run_never_was_is_refused() -> None:
    with pytest.raises(EvidenceError, match="which registered nothing"):
        evidence.read(ARN, PROVENANCE, None, MANIFEST)


@pytest.mark.parametrize(
    "change",
    [
        {"pipeline": "other"},
        {"project_version": "0" * 64},
        {"manifest_uri": "s3://elsewhere/manifest.json"},
        {"manifest_sha256": "0" * 64},
        {"model_sha256": "0" * 64},
    ],
)
def test_metadata_that_was_changed_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(EvidenceError, match="its metadata: the ") as refusal:
        evidence.read(ARN, replace(PROVENANCE, **change), RUN, MANIFEST)
    assert len(refusal.value.reasons) == 1


def test_a_package_of_several_containers_is_none_of_ours() -> None:
    package = {"InferenceSpecification": {"Containers": [CONTAINER, CONTAINER]}}
    (fault,) = evidence.package_faults(READ, package, "8" * 64)
    assert "its number of containers is 2, not 1" in fault


def test_other_rules_of_release_are_a_fault() -> None:
    (fault,) = evidence.package_faults(READ, PACKAGE, "9" * 64)
    assert "its project's rules: the config's sha256 is 9999" in fault


@pytest.mark.parametrize("name", ["model", "code"])
@pytest.mark.parametrize(
    ("sha256", "said"), [(None, "is gone"), ("0" * 64, "its sha256 is 000000000000, not ")]
)
def test_an_archive_that_is_gone_or_changed_is_named(name: str, sha256: str | None, said: str) -> None:
    (uri,) = [archive.uri for archive in READ.archives if archive.name == name]
    (fault,) = evidence.archive_faults(READ, {**SOUND, uri: sha256})
    assert fault.startswith(f"the {name} ")
    assert uri in fault
    assert said in fault
