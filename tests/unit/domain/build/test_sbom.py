"""The bill of materials is CycloneDX 1.6 by CycloneDX's own validator, and says what it does not know."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from sluice.domain.build import sbom

SHA256 = "0" * 64
ENVIRONMENTS = [
    {
        "image": "registry/sklearn:1",
        "image_digest": None,
        "environment": "e" * 64,
        "python": "3.12.1",
        "packages": {"Foo_Bar": "1.0+cpu", "numpy": "2.0"},
        "steps": ["prepare", "train-0"],
    },
    {
        "image": "registry/sklearn@sha256:" + "a" * 64,
        "image_digest": "sha256:" + "a" * 64,
        "environment": None,
        "python": "3.12.1",
        "packages": {"numpy": "2.0"},
        "steps": ["evaluate-candidate"],
    },
    {
        "image": "registry/sklearn:1",
        "image_digest": None,
        "environment": None,
        "python": None,
        "packages": None,
        "steps": ["evaluate-champion"],
    },
]
MANIFEST: dict[str, Any] = {
    "pipeline": "reviews",
    "run_id": "reviews-00001",
    "created_at": "2026-01-01T00:00:00.000Z",
    "artifacts": [{"name": "model", "uri": "s3://b/model.tar.gz", "sha256": SHA256}],
    "serving": {"container": {"Image": "host:5000/serving"}},
    "environments": ENVIRONMENTS,
}


def problems(document: Any) -> Any:
    # The validator is slow to import, and each worker collects all tests.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))


@pytest.fixture
def bill() -> dict[str, Any]:
    return sbom.document(MANIFEST, SHA256)


def test_it_is_valid_by_cyclonedx(bill: dict[str, Any]) -> None:
    assert problems(bill) is None
    assert problems({**bill, "serialNumber": "1"}) is not None, "the validator refuses what is wrong"
    late = {**bill["metadata"], "timestamp": "yesterday"}
    assert problems({**bill, "metadata": late}) is not None, "it knows the formats of what the bill says"


def test_a_manifest_without_environments_makes_a_valid_bill_too() -> None:
    former = {name: value for name, value in MANIFEST.items() if name != "environments"}
    bill = sbom.document(former, SHA256)
    assert problems(bill) is None
    assert [each["bom-ref"] for each in bill["components"]] == ["serving"]


def test_each_package_is_there_once_under_its_url(bill: dict[str, Any]) -> None:
    libraries = [each for each in bill["components"] if each["type"] == "library"]
    assert [each["purl"] for each in libraries] == ["pkg:pypi/foo-bar@1.0%2Bcpu", "pkg:pypi/numpy@2.0"]
    needs = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert needs["environment:0"] == ["pkg:pypi/foo-bar@1.0%2Bcpu", "pkg:pypi/numpy@2.0"]
    assert needs["environment:1"] == ["pkg:pypi/numpy@2.0"]
    assert needs["model"] == ["environment:0", "environment:1", "environment:2", "serving"]


def test_what_no_job_listed_is_unknown_and_not_empty(bill: dict[str, Any]) -> None:
    known = {each["aggregate"]: each["dependencies"] for each in bill["compositions"]}
    assert known == {
        "incomplete": ["environment:0", "environment:1"],
        "unknown": ["environment:2", "serving"],
    }
    assert sbom.unlisted(MANIFEST) == ["evaluate-champion"]


def test_an_image_has_the_version_that_its_uri_has(bill: dict[str, Any]) -> None:
    versions = {each["bom-ref"]: each.get("version") for each in bill["components"]}
    assert versions["environment:0"] == "1"
    assert versions["environment:1"] == "sha256:" + "a" * 64
    assert versions["serving"] is None, "a port is no tag"


def test_the_same_manifest_makes_the_same_bill(bill: dict[str, Any]) -> None:
    assert sbom.document(copy.deepcopy(MANIFEST), SHA256) == bill
    assert sbom.document(MANIFEST, "1" * 64)["serialNumber"] != bill["serialNumber"]
