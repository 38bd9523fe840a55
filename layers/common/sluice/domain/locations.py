"""The keys of the artifact bucket, and the data bucket's folders: only this module spells them."""

from __future__ import annotations

from sluice.lazy import dataclass


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Split an S3 URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def job_records(artifact_bucket: str, job_name: str) -> str:
    """Return the folder of what is recorded about a job on Lambda."""
    return f"s3://{artifact_bucket}/jobs/{job_name}"


# Tells a serving script that captures requests itself where it writes them.
CAPTURE_URI_VARIABLE = "SLUICE_CAPTURE_URI"
# The folder of the data bucket for labels of predictions: what is uploaded there is no data.
GROUND_TRUTH = "ground-truth"
# The folder of the data bucket for what transform jobs answer: no data either.
BATCH = "batch"
# The folder of a run's copies of objects.
RESTORED = "data"


def environment_archive(artifact_bucket: str, digest: str) -> str:
    """Return the URI of packages for jobs on Lambda, by the archive's sha256."""
    return f"s3://{artifact_bucket}/environments/{digest}.tar.zst"


def environment_document(artifact_bucket: str, digest: str) -> str:
    """Return the URI of what is in the archive: names and versions, sizes, Python, the lock."""
    return f"s3://{artifact_bucket}/environments/{digest}.json"


@dataclass(frozen=True, slots=True)
class Locations:
    """S3 URIs of a pipeline's artifacts.

    A URI that a job writes to has no slash at its end, as SageMaker adds one. A URI that a job reads has one,
    so that the prefix matches only its folder.
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

    def definition(self, project_version: str) -> str:
        """Return the URI of the definition of the pipeline of SageMaker that builds run."""
        return self._uri(f"projects/{self.pipeline}/{project_version}/pipeline.json")

    def built(self, run_id: str) -> str:
        """Return where the jobs of such a pipeline may write in a run."""
        return self._uri(f"runs/{self.pipeline}/{run_id}/build")

    @property
    def sdk_prefix(self) -> str:
        """Return the prefix of the artifact bucket that SageMaker's SDK may use as it likes."""
        return f"pipelines/{self.pipeline}"

    @property
    def sdk(self) -> str:
        """Return the URI of what SageMaker's SDK may use."""
        return self._uri(self.sdk_prefix)

    def dataset_manifest(self, dataset_version: str) -> str:
        return self._uri(f"datasets/{self.pipeline}/{dataset_version}/manifest.json")

    def dataset_files(self, dataset_version: str) -> str:
        """Return the URI of the data set as SageMaker's ManifestFile."""
        return self._uri(f"datasets/{self.pipeline}/{dataset_version}/files.manifest")

    def dataset_report(self, dataset_version: str) -> str:
        return self.dataset_document(dataset_version, "report.json")

    def dataset_document(self, dataset_version: str, name: str) -> str:
        """Return the URI of a file about the data set, such as its profile."""
        return self._uri(f"datasets/{self.pipeline}/{dataset_version}/{name}")

    @property
    def arrival_times(self) -> str:
        """Return the URI of when the objects of a window came."""
        return self._uri(f"datasets/{self.pipeline}/arrival-times.json")

    def segment(self, digest: str) -> str:
        """Return the URI of a file of objects that data set versions share, by its sha256."""
        return self._uri(f"datasets/{self.pipeline}/segments/{digest}.json")

    def segment_rows(self, digest: str) -> str:
        """Return the URI of the rows of a segment's objects."""
        return self._uri(f"datasets/{self.pipeline}/segments/{digest}.rows.json")

    def segment_part(self, digest: str, contract: str) -> str:
        """Return the URI of what was found in a segment by a contract, both by their sha256."""
        return self._uri(f"datasets/{self.pipeline}/segments/{digest}.part-{contract[:16]}.json")

    def leaf_part(self, digest: str, contract: str) -> str:
        """Return the URI of what was found in a leaf of segments by a contract, both by their sha256."""
        return self._uri(f"datasets/{self.pipeline}/segments/{digest}.leaf-{contract[:16]}.json.gz")

    def restored(self, run_id: str) -> str:
        """Return the folder of a reproduction's copies of objects."""
        return self._uri(f"runs/{self.pipeline}/{run_id}/{RESTORED}/")

    def prepared(self, run_id: str, name: str) -> str:
        """Return the URI of prepare's train, validation or test data."""
        return self._uri(f"runs/{self.pipeline}/{run_id}/prepare/{name}")

    def training_output(self, run_id: str) -> str:
        """Return the S3OutputPath of the run's training jobs; each job adds its name."""
        return self._uri(f"runs/{self.pipeline}/{run_id}/train")

    def checkpoints(self, run_id: str, step: str) -> str:
        """Return the folder where a candidate's training job keeps its checkpoints.

        It ends with a slash: of `train-1` alone S3 would list those of `train-10` too.
        """
        return self._uri(f"runs/{self.pipeline}/{run_id}/train/checkpoints/{step}/")

    def evaluation(self, run_id: str, role: str) -> str:
        return self._uri(f"runs/{self.pipeline}/{run_id}/evaluate/{role}")

    def gates(self, run_id: str) -> str:
        """Return the URI of how the run's gates were judged, where no job can write."""
        return self._uri(f"runs/{self.pipeline}/{run_id}/gates/gates.json")

    def run_manifest(self, run_id: str) -> str:
        """Return the URI of the run's manifest, where no job can write."""
        return self._uri(f"evidence/{self.pipeline}/{run_id}/manifest.json")

    def signature(self, run_id: str) -> str:
        """Return the URI of the signature of a run's model; it proves itself, whoever may write it."""
        return self._uri(f"signatures/{self.pipeline}/{run_id}/model.sig")

    @property
    def capture(self) -> str:
        """Return where SageMaker captures requests; it adds the endpoint, the variant and the hour."""
        return self._uri(f"capture/{self.pipeline}")

    def monitoring(self, stage: str, window: str, name: str) -> str:
        """Return the URI of a file about a window of a stage's requests."""
        return self._uri(f"monitoring/{self.pipeline}/{stage}/{window}/{name}")

    def transform(self, transform_id: str) -> str:
        """Return the folder of a transform: its list of inputs, and `output` with its results."""
        return self._uri(f"transforms/{self.pipeline}/{transform_id}")

    def pinned(self, sha256: str, name: str) -> str:
        """Return the URI of an archive that serves, named by its digest, where no job can write."""
        return self._uri(f"models/{self.pipeline}/{sha256}/{name}")


def parse_bundle_key(key: str) -> tuple[str, str] | None:
    """Return the pipeline and project version of a pushed bundle's key; None for any other object."""
    parts = key.split("/")
    if len(parts) != 3 or parts[0] != "projects" or not parts[2].endswith(".tar.gz"):
        return None
    return parts[1], parts[2].removesuffix(".tar.gz")


def parse_key(key: str) -> tuple[str | None, str]:
    """Split an object's key into its pipeline (None without a prefix) and the rest."""
    prefix, slash, rest = key.partition("/")
    return (prefix, rest) if slash and prefix else (None, key)
