"""Where things lie in the artifact bucket: the one place that knows how their keys are spelt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Locations:
    """S3 URIs of a pipeline's artifacts.

    Where a job writes has no slash at its end, as SageMaker adds one; where one reads has, so that a prefix
    matches its folder alone.
    """

    artifact_bucket: str
    pipeline: str

    def _uri(self, key: str) -> str:
        return f"s3://{self.artifact_bucket}/{key}"

    def bundle(self, project_version: str) -> str:
        return self._uri(f"projects/{self.pipeline}/{project_version}.tar.gz")

    def code(self, project_version: str) -> str:
        return self._uri(f"projects/{self.pipeline}/{project_version}/code/")

    def sourcedir(self, project_version: str) -> str:
        return self._uri(f"projects/{self.pipeline}/{project_version}/sourcedir.tar.gz")

    def dataset_manifest(self, dataset_version: str) -> str:
        return self._uri(f"datasets/{self.pipeline}/{dataset_version}/manifest.json")

    def dataset_files(self, dataset_version: str) -> str:
        """The data set as SageMaker's ManifestFile."""
        return self._uri(f"datasets/{self.pipeline}/{dataset_version}/files.manifest")

    def dataset_report(self, dataset_version: str) -> str:
        return self.dataset_document(dataset_version, "report.json")

    def dataset_document(self, dataset_version: str, name: str) -> str:
        """A file about the data set, such as its profile."""
        return self._uri(f"datasets/{self.pipeline}/{dataset_version}/{name}")

    def prepared(self, run_id: str, name: str) -> str:
        """Where prepare's train, validation or test data go."""
        return self._uri(f"runs/{self.pipeline}/{run_id}/prepare/{name}")

    def training_output(self, run_id: str) -> str:
        """S3OutputPath of the run's training jobs; each adds its own name."""
        return self._uri(f"runs/{self.pipeline}/{run_id}/train")

    def evaluation(self, run_id: str, role: str) -> str:
        return self._uri(f"runs/{self.pipeline}/{run_id}/evaluate/{role}")

    def run_manifest(self, run_id: str) -> str:
        """Where no job can write."""
        return self._uri(f"evidence/{self.pipeline}/{run_id}/manifest.json")

    def pinned(self, sha256: str, name: str) -> str:
        """An archive that serves, under its digest, where no job can write."""
        return self._uri(f"models/{self.pipeline}/{sha256}/{name}")


def parse_bundle_key(key: str) -> tuple[str, str] | None:
    """The pipeline and project version of a pushed bundle's key; None for any other object."""
    parts = key.split("/")
    if len(parts) != 3 or parts[0] != "projects" or not parts[2].endswith(".tar.gz"):
        return None
    return parts[1], parts[2].removesuffix(".tar.gz")
