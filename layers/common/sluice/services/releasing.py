"""Share code between the functions of a release: packages with evidence, and stages with locks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.builds import Project, Run
from sluice.catalog.records.releases import Approval, Deployment, Release, Stage
from sluice.domain import names, roles, tags
from sluice.domain.locations import Locations
from sluice.domain.release import alarms, packages, serving
from sluice.domain.release.alarms import Guarded
from sluice.domain.release.approvals import Provenance
from sluice.domain.release.releases import (
    NotRegisteredYetError,
    ReleaseRefusedError,
    Request,
    SmokeTestFailedError,
    StageBusyError,
)
from sluice.lazy import dataclass
from sluice.ports import Cloud, Item
from sluice.services import deploying, vouching

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig
    from sluice.domain.release.evidence import Evidence
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
        return packages.version_name(self.described["ModelPackageGroupName"], self.version)


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
    from sluice.services import signing

    try:
        found = find_evidence(cloud, package)
    except ReleaseRefusedError as refusal:
        return list(refusal.reasons)
    digests = {each.uri: _sha256(cloud, each.uri) for each in found.archives}
    return [
        *evidence.archive_faults(found, digests),
        *signing.faults(cloud, package.provenance, package.name, found),
    ]


def _read(cloud: Cloud, uri: str | None) -> bytes | None:
    try:
        return cloud.objects.read(uri) if uri else None
    except FileNotFoundError:
        return None


def _sha256(cloud: Cloud, uri: str) -> str | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
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
    from sluice.domain.build import projects

    locations = Locations(cloud.artifact_bucket, package.provenance.pipeline)
    version = package.provenance.project_version
    files = projects.unpack(cloud.objects.read(locations.bundle(version)))
    if projects.version(files) != version:
        raise SmokeTestFailedError(
            f"{locations.bundle(version)} has changed since it was pushed: restore its earlier version"
        )
    return files[package.config.serve.sample]


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


def lock_stages(cloud: Cloud, pipeline: str, release_id: str, positions: Mapping[str, int | None]) -> None:
    """Lock all stages for this release, or none; raises StageBusyError.

    Makes missing stages; `positions` are their places in the project.
    """
    for name, position in positions.items():
        endpoint_name = names.endpoint_name(cloud.stack_name, pipeline, name)
        holder = _lock(cloud, Stage(pipeline, name, endpoint_name, position), release_id)
        if holder != release_id:
            unlock_stages(cloud, pipeline, release_id)
            raise StageBusyError(f"{pipeline}/{name} is taken by {holder or 'another release'}")


def _lock(cloud: Cloud, stage: Stage, release_id: str) -> str | None:
    """Lock a stage; returns who holds it now."""
    cloud.catalog.apply(changes.make_stage(stage))
    if cloud.catalog.apply(changes.lock_stage(stage.pipeline, stage.name, release_id)):
        return release_id
    found = find_stage(cloud, stage.pipeline, stage.name)
    return found.releasing if found else None


def find_stage(cloud: Cloud, pipeline: str, stage: str) -> Stage | None:
    item = cloud.catalog.get(keys.stage_key(pipeline, stage))
    return Stage.of(item) if item else None


def require_stage(cloud: Cloud, pipeline: str, stage: str) -> Stage:
    """Return a stage that a release has locked."""
    found = find_stage(cloud, pipeline, stage)
    if found is None:
        raise ReleaseRefusedError(f"the stage {stage} of {pipeline} is gone from the catalog")
    return found


def find_stages(cloud: Cloud, pipeline: str) -> list[Stage]:
    return [Stage.of(item) for item in cloud.catalog.query(keys.partition(pipeline), keys.STAGES)]


def find_endpoint_name(cloud: Cloud, pipeline: str, stage: str) -> str:
    """Return the name of the stage's endpoint: a stage keeps its first, which may follow an older rule."""
    found = find_stage(cloud, pipeline, stage)
    return found.endpoint_name if found else names.endpoint_name(cloud.stack_name, pipeline, stage)


def find_own_endpoint(cloud: Cloud, pipeline: str, stage: str, name: str) -> Item | None:
    """Describe a stage's endpoint, if it exists; raises ReleaseRefusedError if it is not ours."""
    described = cloud.endpoints.describe_endpoint(name)
    if described is not None:
        owner = tags.of_stage(cloud.stack_name, pipeline, stage)
        require_own(cloud, "endpoint", name, described["EndpointArn"], owner)
    return described


def require_own(cloud: Cloud, what: str, name: str, arn: str, owner: Mapping[str, str]) -> None:
    """Raise ReleaseRefusedError for a resource with a name of ours but without our tags."""
    if reason := serving.foreign(what, name, arn, owner, cloud.endpoints.tags(arn)):
        raise ReleaseRefusedError(reason)


def find_guarded(cloud: Cloud, pipeline: str, stage: str, endpoint_name: str) -> Guarded:
    return Guarded(cloud.stack_name, pipeline, stage, endpoint_name)


def find_settled_config(cloud: Cloud, stage: Stage) -> PipelineConfig | None:
    """Return the config of the stage's live release; None while another release is under way."""
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    return live_config(cloud, live) if live and not stage.releasing else None


def find_guard_faults(
    cloud: Cloud, stage: Stage, config: PipelineConfig | None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the alarms that the stage's live release wants, and what is wrong with the existing ones.

    Without a settled config there is nothing to want: while a release is under way, the alarms belong to it.
    """
    if config is None:
        return [], {}
    guarded = find_guarded(cloud, stage.pipeline, stage.name, stage.endpoint_name)
    limits, errors = config.release.alarms, config.serve.errors
    wanted = [] if config.serve.compute.batch else [*alarms.requests(guarded, limits, errors)]
    wanted += watch_alarms(cloud, guarded, config)
    found = cloud.alarms.describe((*guarded.alarm_names, *watch_alarm_names(guarded)))
    return wanted, alarms.faults(wanted, found)


def watch_alarms(cloud: Cloud, guarded: Guarded, config: PipelineConfig) -> list[dict[str, Any]]:
    """Return the alarms that tell of drift and decay, if the project is watched."""
    from sluice.domain.monitor import alarms as watching

    if config.monitor is None:
        return []
    return watching.requests(guarded.stack, guarded.pipeline, guarded.stage)


def watch_alarm_names(guarded: Guarded) -> tuple[str, ...]:
    """Return the names of all alarms that tell of drift and decay on a stage: they roll nothing back."""
    from sluice.domain.monitor import alarms as watching

    return watching.alarm_names(guarded.stack, guarded.pipeline, guarded.stage)


def live_config(cloud: Cloud, live: Deployment) -> PipelineConfig | None:
    """Return the config of the live model's project, from the catalog: the package may be gone."""
    from sluice.domain import config

    catalog = cloud.catalog
    run = catalog.get(keys.run_key(live.pipeline, live.run_id)) if live.run_id else None
    version = Run.of(run).project_version if run else None
    project = catalog.get(keys.project_key(live.pipeline, version)) if version else None
    return config.restore(Project.of(project).config) if project else None


def find_guarded_stage(cloud: Cloud, alarm_name: str, *, or_watched: bool = False) -> Stage | None:
    """Return the stage that an alarm guards, or perhaps only watches; None if it is not our alarm."""
    for item in cloud.catalog.listing(keys.PIPELINES):
        for stage in find_stages(cloud, keys.pipeline_of(item)):
            guarded = find_guarded(cloud, stage.pipeline, stage.name, stage.endpoint_name)
            if alarm_name in guarded.alarm_names or (or_watched and alarm_name in watch_alarm_names(guarded)):
                return stage
    return None


def unlock_stages(cloud: Cloud, pipeline: str, release_id: str) -> None:
    """Unlock every stage that this release holds."""
    for stage in find_stages(cloud, pipeline):
        if stage.releasing == release_id:
            tried_at = None if stage.live == release_id else cloud.now()
            cloud.catalog.apply(changes.unlock_stage(pipeline, stage.name, release_id, tried_at))


def started_at(cloud: Cloud, pipeline: str, release_id: str) -> str:
    """Return when the release began: a time for notes that a retry does not repeat."""
    release = find_release(cloud, pipeline, release_id)
    return release.started_at if release else cloud.now()


def find_live(cloud: Cloud, pipeline: str, stage: str) -> Deployment | None:
    """Return the deployment that serves on a stage, by the catalog."""
    found = find_stage(cloud, pipeline, stage)
    return deploying.find_deployment(cloud, pipeline, stage, found.live) if found else None


def begin(cloud: Cloud, request: Request, execution_arn: str) -> tuple[Release, bool]:
    """Record that a release runs; returns it, and whether it was not known before."""
    release = Release(
        pipeline=request.pipeline,
        release_id=request.release_id,
        cause=request.cause,
        status="running",
        actor=vouching.actor(cloud, request),
        execution_arn=execution_arn,
        started_at=cloud.now(),
        is_rollback=request.is_rollback,
    )
    is_new = cloud.catalog.apply(changes.start_release(release))
    if is_new:
        cloud.catalog.apply(changes.note_release(request.pipeline, request.release_id))
    return release, is_new


def find_release(cloud: Cloud, pipeline: str, release_id: str) -> Release | None:
    item = cloud.catalog.get(keys.release_key(pipeline, release_id))
    return Release.of(item) if item else None


def find_approval(cloud: Cloud, arn: str) -> Approval | None:
    """Return the newest decision about a package."""
    newest = cloud.catalog.query(keys.package_partition(arn), keys.APPROVALS, newest_first=True, limit=1)
    return Approval.of(newest[0]) if newest else None
