"""Look up model packages that runs registered, their evidence, and what a release makes of them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Project, Run
from sluice.domain import roles, tags
from sluice.domain.locations import Locations, bucket_and_key
from sluice.domain.release import packages, serving
from sluice.domain.release.approvals import Provenance
from sluice.domain.release.errors import NotRegisteredYetError, ReleaseRefusedError, SmokeTestFailedError
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig
    from sluice.domain.release.evidence import Evidence
    from sluice.ports import Cloud
    from sluice.release_events import ReleaseStageTask


@dataclass(frozen=True, slots=True)
class Package:
    """A model package that a run of the pipeline registered."""

    arn: str
    described: dict[str, Any]
    provenance: Provenance
    config: PipelineConfig
    config_sha256: str

    @property
    def version(self) -> int:
        return int(self.described["ModelPackageVersion"])

    @property
    def name(self) -> str:
        """How the registry calls the version."""
        return f"{self.described['ModelPackageGroupName']}/{self.version}"

    def called(self, stack: str) -> str:
        """Name the version for people and commands."""
        group = self.described["ModelPackageGroupName"]
        return packages.version_name(stack, self.provenance.pipeline, group, self.version)


def find_package(cloud: Cloud, pipeline: str, arn: str, run_id: str | None = None) -> Package:
    """Look a package up; raises ReleaseRefusedError unless it is the pipeline's own, of the run if given."""
    from sluice.domain import config
    from sluice.domain.build import run_manifest

    described = cloud.registry.describe_package(arn)
    if described is None:
        raise ReleaseRefusedError(f"the model package is gone from the registry: {arn}")
    provenance = Provenance.of(described)
    if provenance is None or provenance.pipeline != pipeline or not provenance.is_of(cloud.stack_name):
        raise ReleaseRefusedError(f"{arn} was not registered by a run of {pipeline}")
    if run_id not in (None, provenance.run_id):
        raise ReleaseRefusedError(f"{arn} is what {provenance.run_id} registered: that of {run_id} is gone")
    # The approval covers the rules of release: use the project that trained the package.
    item = cloud.catalog.get(keys.project_key(pipeline, provenance.project_version))
    if item is None:
        raise ReleaseRefusedError(
            f"the project that trained the package is not in the catalog: {provenance.project_version[:12]}"
        )
    stored = Project.of(item).config
    return Package(arn, described, provenance, config.restore(stored), run_manifest.config_sha256(stored))


def find_evidence(cloud: Cloud, package: Package) -> Evidence:
    """Return the verified evidence; raises ReleaseRefusedError, or NotRegisteredYetError for a while."""
    from sluice.domain.release import evidence

    provenance = package.provenance
    item = cloud.catalog.get(keys.run_key(provenance.pipeline, provenance.run_id))
    run = Run.of(item) if item else None
    if run is not None and run.status == "running" and run.model_package_arn is None:
        raise NotRegisteredYetError(f"{provenance.run_id} has not ended registering its model")
    try:
        found = evidence.read(package.arn, provenance, run, _read(cloud, run.manifest_uri if run else None))
    except evidence.EvidenceError as error:
        raise ReleaseRefusedError(*error.reasons) from None
    if faults := evidence.package_faults(found, package.described, package.config_sha256):
        raise ReleaseRefusedError(*faults)
    return found


def evidence_faults(cloud: Cloud, package: Package) -> list[str]:
    """Return what is wrong with a package's evidence, the bytes of what serves, or its signature."""
    from sluice.domain.release import evidence
    from sluice.services.release import signing

    try:
        found = find_evidence(cloud, package)
    except ReleaseRefusedError as refusal:
        return list(refusal.reasons)
    digests = {each.uri: _sha256(cloud, each.uri) for each in found.archives}
    return [
        *evidence.archive_faults(found, digests),
        *signing.faults(cloud, package.provenance, package.called(cloud.stack_name), found),
    ]


def _read(cloud: Cloud, uri: str | None) -> bytes | None:
    try:
        return cloud.objects.read(uri) if uri else None
    except FileNotFoundError:
        return None


def _sha256(cloud: Cloud, uri: str) -> str | None:
    bucket, key = bucket_and_key(uri)
    digest = hashlib.sha256()
    try:
        for chunk in cloud.objects.chunks(bucket, key):
            digest.update(chunk)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def owner(cloud: Cloud, task: ReleaseStageTask) -> tags.Tags:
    """Return the tags of the resources that a release makes."""
    return {**tags.of_pipeline(cloud.stack_name, task.pipeline), tags.RELEASE: task.release_id}


def serving_role(cloud: Cloud, package: Package) -> roles.Role:
    """Return the role of what serves a package: an endpoint, or transform jobs."""
    is_batch = package.config.serve.compute.batch is not None
    return roles.serving_role(cloud.account, package.provenance.pipeline, is_batch=is_batch)


def sample(cloud: Cloud, package: Package) -> bytes:
    """Return the project's request that tests a release; raises SmokeTestFailedError."""
    of = package.provenance
    return project_sample(cloud, of.pipeline, of.project_version, package.config)


def project_sample(cloud: Cloud, pipeline: str, version: str, config: PipelineConfig) -> bytes:
    """Return the sample request of a project's version; raises SmokeTestFailedError."""
    from sluice.domain.build import projects

    locations = Locations(cloud.artifact_bucket, pipeline)
    files = projects.unpack(cloud.objects.read(locations.bundle(version)))
    if projects.version(files) != version:
        raise SmokeTestFailedError(
            f"{locations.bundle(version)} has changed since it was pushed: restore its earlier version"
        )
    return files[config.serve.sample]


def model_request(cloud: Cloud, task: ReleaseStageTask, package: Package, found: Evidence) -> dict[str, Any]:
    """Make a CreateModel request from the evidence, whatever else the package says."""
    role = serving_role(cloud, package)
    name, capturing = task.stage.model_name, dict[str, str]()
    if (monitor := package.config.monitor) and serving.captures_itself(package.config):
        destination = Locations(cloud.artifact_bucket, task.pipeline).capture
        capturing = serving.script_capture(monitor, destination, task.stage.endpoint_name)
    made_for = owner(cloud, task)
    return serving.model_request(found.container, package.version, name, role.arn, made_for, capturing)


def capture(cloud: Cloud, package: Package) -> dict[str, Any] | None:
    """Return the DataCaptureConfig that the package's project wants; None if SageMaker captures nothing."""
    monitor = package.config.monitor
    if monitor is None or serving.captures_itself(package.config):
        return None
    destination = Locations(cloud.artifact_bucket, package.provenance.pipeline).capture
    return serving.data_capture(monitor, package.config.serve, destination)
