"""Check a pushed project and make it the pipeline's active one, or refuse it with reasons."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Sequence
from dataclasses import replace

from aws_lambda_powertools.utilities.typing import LambdaContext

import sluice.domain.config.loading  # noqa: F401 - each event needs it, and it loads faster before the first one
from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.catalog.records import builds as records
from sluice.domain import actors, config, failures
from sluice.domain.build import code, projects, sources
from sluice.domain.build.projects import PUSHED_BY, REPLACE_CHAMPION, Project, ProjectError
from sluice.domain.build.sources import Source
from sluice.domain.config import ConfigError
from sluice.domain.config.images import UnknownImageError
from sluice.domain.failures import ConflictError
from sluice.domain.locations import Locations, parse_bundle_key
from sluice.domain.release import packages
from sluice.domain.times import from_iso, to_iso
from sluice.events import ObjectCreated, event_parser
from sluice.observability import logger
from sluice.ports import Cloud, ObjectHead
from sluice.services import building
from sluice.services.build import environments
from sluice.services.timeline import note

_PUSHERS_MAX = 20


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=ObjectCreated)
def lambda_handler(event: ObjectCreated, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    named = parse_bundle_key(event.key)
    head = cloud.objects.head(event.bucket, event.key, event.version_id)
    if named is None or head is None:
        # The rule's wildcard also matches what this function publishes beside a bundle.
        return {"status": "ignored"}
    pipeline, version = named
    logger.append_keys(pipeline=pipeline, project_version=version)
    pushed_at = to_iso(from_iso(head.last_modified))
    try:
        projects.check_bundle_size(head.size_bytes)
        project = _load(cloud, event, pipeline, version)
    except (ConfigError, ProjectError) as error:
        _refuse(cloud, pipeline, version, head, error.reasons)
        return {"status": "refused"}
    _publish(cloud, project, pushed_at)
    activated = _activate(cloud, project, pushed_at)
    _replace_champion(cloud, project, head)
    _finish(cloud, project, head)
    return {"status": "active" if activated else "superseded"}


def _load(cloud: Cloud, event: ObjectCreated, pipeline: str, version: str) -> Project:
    bundle = b"".join(cloud.objects.chunks(event.bucket, event.key, event.version_id))
    project = projects.load_project(projects.unpack(bundle))
    if project.config.name != pipeline:
        raise ProjectError(f"pipeline.yaml names {project.config.name!r}, but was pushed to {pipeline!r}")
    if project.version != version:
        raise ProjectError(f"the bundle's content is version {project.version}, but its key says {version}")
    _require_allowed(cloud, project)
    if project.config.build is not None:
        from sluice.services.build import sdk_pipelines  # few projects name one

        sdk_pipelines.publish(cloud, project)
    return project


def _require_allowed(cloud: Cloud, project: Project) -> None:
    """Refuse automatic approval, unless the stack allows it: people who push must not approve."""
    if project.config.register_.approval == "automatic" and not cloud.allows_automatic_approval:
        raise ProjectError(
            "register.approval is automatic, which this stack does not allow: set it to manual, "
            "or deploy the stack with AutomaticApproval=true"
        )
    try:
        project.config.image_uris(cloud.region)
    except UnknownImageError as error:
        raise ProjectError(str(error)) from None
    if project.config.serve.compute.serverless and cloud.safeguards.subnets:
        raise ProjectError(
            "serve.compute is serverless, which SageMaker does not put into a network of the account's "
            "(SubnetIds): name instance_type and instance_count instead"
        )
    if project.has_requirements and cloud.safeguards.isolates_jobs:
        raise ProjectError(
            "requirements.txt cannot be installed where jobs have no network (JobNetworkIsolation): "
            "take it out and name an image that holds what the scripts need"
        )


def _refuse(cloud: Cloud, pipeline: str, version: str, head: ObjectHead, reasons: tuple[str, ...]) -> None:
    """Record a refusal; the same push may later be refused for another reason, or accepted: stacks change."""
    pushed_at = to_iso(from_iso(head.last_modified))
    refused = records.Project(
        pipeline=pipeline,
        version=version,
        status="refused",
        pushed_at=pushed_at,
        # Identify the push by its version: S3's times are whole seconds.
        bundle_version_id=head.version_id,
        reasons=failures.bounded(reasons),
    )
    any(cloud.catalog.apply(change) for change in builds.refuse_project(refused))
    note(cloud, pipeline, pushed_at, version, "project refused", "; ".join(reasons))


def _publish(cloud: Cloud, project: Project, pushed_at: str) -> None:
    """Store the scripts for jobs; the item becomes active last, when everything it names exists."""
    objects, locations = cloud.objects, building.locations(cloud, project.config.name)
    known = _find(cloud, project)
    if known and known.status == "active":
        return
    cloud.catalog.apply(builds.describe_project(_described(project, locations, pushed_at)))
    code_prefix = locations.code(project.version)
    for path, data in project.source_files.items():
        content_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
        objects.write(f"{code_prefix}{path}", data, content_type)
    objects.write(locations.sourcedir(project.version), projects.sourcedir(project), "application/gzip")
    building.ensure_group(cloud, project.config)


def _find(cloud: Cloud, project: Project) -> records.Project | None:
    item = cloud.catalog.get(keys.project_key(project.config.name, project.version))
    return records.Project.of(item) if item else None


def _described(project: Project, locations: Locations, pushed_at: str) -> records.Project:
    return records.Project(
        pipeline=project.config.name,
        version=project.version,
        status="registering",
        config=config.dump(project.config),
        has_requirements=project.has_requirements,
        bundle_uri=locations.bundle(project.version),
        code_prefix=locations.code(project.version),
        sourcedir_uri=locations.sourcedir(project.version),
        sourcedir_sha256=hashlib.sha256(projects.sourcedir(project)).hexdigest(),
        train_program=project.train_program,
        definition_sha256=hashlib.sha256(made).hexdigest() if (made := project.definition_bytes) else None,
        code_files=code.digests(project.source_files),
        code_unread=code.unread(project.source_files, project.script_names),
        pushed_at=pushed_at,
    )


def _activate(cloud: Cloud, project: Project, pushed_at: str) -> bool:
    """Make it the pipeline's project, unless a later push already is; True if it is now."""
    pipeline, group = project.config.name, project.config.model_package_group(cloud.stack_name)
    active = records.Pipeline(
        name=pipeline,
        project_version=project.version,
        project_content=project.content,
        project_pushed_at=pushed_at,
        group=group,
        groups=[group],
        ask_delay_s=project.config.data.complete_when.ask_delay_s,
        control_name=project.config.data.complete_when.control_name,
        stage_names=sorted(each.name for each in project.config.release.stages),
    )
    if cloud.catalog.apply(builds.make_pipeline(active)):
        return True
    current = building.find_pipeline(cloud, pipeline)
    if current is None:
        raise ConflictError(f"{pipeline} was deleted while a project of it was registered")
    since = current.project_pushed_at
    if (since or "") > pushed_at:
        return False
    active = replace(
        active,
        groups=packages.with_group(current, group),
        stage_names=_with_former_stages(cloud, current, active.stage_names or ()),
    )
    if not cloud.catalog.apply(builds.activate_project(active, since)):
        raise ConflictError(f"{pipeline} was changed while a project of it was registered")
    return True


def _with_former_stages(cloud: Cloud, current: records.Pipeline, names: Sequence[str]) -> list[str]:
    """Add the stages of former projects; those of a pipeline of an older stack are in the catalog alone."""
    former = current.stage_names
    if former is None:
        items = cloud.catalog.query(keys.partition(current.name), keys.STAGES)
        former = [keys.stage_of(item) for item in items]
    return sorted({*names, *former})


def _replace_champion(cloud: Cloud, project: Project, head: ObjectHead) -> None:
    """Waive the comparison of this version's first model, if the push says so, and have it built anew."""
    said_by, pushed_at = head.metadata.get(REPLACE_CHAMPION), to_iso(from_iso(head.last_modified))
    pipeline, known = project.config.name, _find(cloud, project)
    if said_by is None or (known and known.replaces_champion_at == pushed_at):
        return
    actor = actors.unverified(said_by)
    cloud.catalog.apply(builds.build_anew(pipeline, project.version))
    cloud.catalog.apply(builds.replace_champion(pipeline, project.version, pushed_at, actor))
    detail = "the first model of this project version is not compared with the one that serves"
    note(cloud, pipeline, pushed_at, project.version, "champion to be replaced", detail, actor)


def _finish(cloud: Cloud, project: Project, head: ObjectHead) -> None:
    pipeline, pushed_at = project.config.name, to_iso(from_iso(head.last_modified))
    known, said = _find(cloud, project), Source.decode(head.metadata.get(sources.SOURCE, ""))
    # The same files, once committed, stay what was committed.
    source = sources.better(said, (known.source if known else None) or {})
    pushers = list(known.pushed_by if known else ())
    said_by = head.metadata.get(PUSHED_BY)
    pusher = actors.unverified(said_by) if said_by else None
    if pusher and pusher not in pushers:
        pushers = [pusher, *pushers][:_PUSHERS_MAX]
    cloud.catalog.apply(
        builds.finish_project(pipeline, project.version, pushed_at, head.version_id, source, pushers)
    )
    by = {"actor": pusher} if pusher else {}
    note(cloud, pipeline, pushed_at, project.version, "project registered", sources.described(source), **by)
    _claim(cloud, pipeline)
    cloud.build_requests.send(pipeline)
    if environments.are_wanted(cloud, project.config):
        # The first run need not wait for its packages then; if this is lost, it builds them itself.
        from sluice.services import announcing  # few projects ask for packages

        announcing.announce(cloud, "ProjectRegistered", pipeline, {"project_version": project.version})


def _claim(cloud: Cloud, pipeline: str) -> None:
    """Announce uploads from before the pipeline existed again, now as its data."""
    for item in cloud.catalog.query(keys.UNCLAIMED, keys.unclaimed_of(pipeline)):
        # Few pushes find such uploads.
        from sluice.catalog.changes import arrivals
        from sluice.catalog.records.arrivals import UnclaimedArrival

        arrival = UnclaimedArrival.of(item)
        if arrival.status == "unclaimed":
            from sluice.domain import lost_events

            again = lost_events.object_created(cloud.data_bucket, arrival.key, arrival.version_id)
            cloud.bus.put(again.detail_type, again.detail)
            cloud.catalog.apply(arrivals.claim(arrival))
