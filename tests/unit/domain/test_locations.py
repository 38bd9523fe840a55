"""Artifacts lie where the architecture says."""

import pytest

from sluice.domain.locations import Locations, job_records, parse_bundle_key


def test_keys_are_as_documented() -> None:
    at = Locations("artifacts", "ab")
    assert at.bundle("v") == "s3://artifacts/projects/ab/v.tar.gz"
    assert at.code("v") == "s3://artifacts/projects/ab/v/code/"
    assert at.sourcedir("v") == "s3://artifacts/projects/ab/v/sourcedir.tar.gz"
    assert at.dataset_manifest("d") == "s3://artifacts/datasets/ab/d/manifest.json"
    assert at.dataset_files("d") == "s3://artifacts/datasets/ab/d/files.manifest"
    assert at.dataset_report("d") == "s3://artifacts/datasets/ab/d/report.json"
    assert at.prepared("r", "train") == "s3://artifacts/runs/ab/r/prepare/train"
    assert at.training_output("r") == "s3://artifacts/runs/ab/r/train"
    assert at.evaluation("r", "champion") == "s3://artifacts/runs/ab/r/evaluate/champion"
    assert at.run_manifest("r") == "s3://artifacts/evidence/ab/r/manifest.json"
    assert at.pinned("d", "model.tar.gz") == "s3://artifacts/models/ab/d/model.tar.gz"


def test_a_job_on_lambda_has_a_folder_of_its_own() -> None:
    assert job_records("artifacts", "ab-00001-train-0") == "s3://artifacts/jobs/ab-00001-train-0"


def test_a_bundles_key_names_its_pipeline_and_version() -> None:
    assert parse_bundle_key("projects/ab/0123.tar.gz") == ("ab", "0123")


@pytest.mark.parametrize(
    "key",
    ["", "projects/ab/v/sourcedir.tar.gz", "datasets/ab/v.tar.gz", "projects/ab/v.zip", "projects/v.tar.gz"],
)
def test_no_other_key_is_a_bundles(key: str) -> None:
    assert parse_bundle_key(key) is None
