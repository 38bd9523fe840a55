"""Compare live state with the catalog, and send lost events again.

It changes nothing but its own progress, and the places of arrivals that an older stack recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from zlib import crc32

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.records.builds import JobTask, Pipeline, Project, Run
from sluice.catalog.records.releases import EndpointTask, Package, Release, Stage
from sluice.domain import lost_events
from sluice.domain.locations import parse_bundle_key
from sluice.domain.lost_events import LostEvent
from sluice.domain.release import deviations, life_cycles, packages, serving
from sluice.domain.times import from_iso, to_iso
from sluice.observability import logger
from sluice.services import backends, hearing, untold
from sluice.services.data import arrivals, sweeping
from sluice.services.release import comparing, releasing, scaling

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from sluice.ports import Cloud, Item

_LAST_MS = 10_000
# Each pass looks at so many packages of a group.
_NEWEST = 100

# A build request for a pipeline, an event, or nothing: after each, check whether time is left.
Finding = LostEvent | str | None


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    sent: Counter[str] = Counter()
    finished = True
    for finding in _findings(cloud):
        if isinstance(finding, LostEvent):
            cloud.bus.put(finding.detail_type, finding.detail)
            sent[finding.detail_type] += 1
        elif finding is not None:
            cloud.build_requests.send(finding)
            sent["build request"] += 1
        if context.get_remaining_time_in_millis() < _LAST_MS:
            finished = False
            break
    logger.info("reconciled", extra={"sent": dict(sent), "finished": finished})
    return {"sent": dict(sent), "finished": finished}


def _findings(cloud: Cloud) -> Iterator[Finding]:
    """Yield first what holds something up; start checks that may take long at another pipeline each time."""
    pipelines = cloud.catalog.listing(keys.PIPELINES)
    checks: list[Callable[[Cloud, list[Item]], Iterator[Finding]]] = [
        _ended_tasks,
        _ended_builds,
        _ended_releases,
        _unheard_events,
        _firing_alarms,
        _untold_alarms,
        _altered_stages,
        _unseen_decisions,
        _unseen_projects,
        _older_arrivals,
        _waiting_builds,
        _waiting_batches,
        _unseen_objects,
        _unseen_deletions,
    ]
    for check in checks:
        yield from check(cloud, _rotated(cloud, pipelines))


def _rotated(cloud: Cloud, pipelines: list[Item]) -> list[Item]:
    if not pipelines:
        return []
    # Hash the time: if the period is a multiple of their number, the time would always start at the same one.
    start = crc32(cloud.now().encode()) % len(pipelines)
    return pipelines[start:] + pipelines[:start]


def _ended_tasks(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    for item in cloud.catalog.listing(keys.TASKS):
        if item["kind"] == "endpoint":
            task = EndpointTask.of(item)
            resource = task.endpoint_name
            endpoint = cloud.endpoints.describe_endpoint(resource)
            outcome = serving.outcome(endpoint, resource, task.endpoint_config_name)
            # Before the change is requested, an endpoint can only show that it already serves the config.
            is_over = isinstance(outcome, serving.NotDeployed) and task.requested
            is_over = is_over or isinstance(outcome, serving.Deployed)
            yield lost_events.endpoint_changed(resource) if is_over else None
        elif item["kind"] == "transform_job":
            name = keys.resource_of(item)
            yield lost_events.job_ended(item["kind"], name, cloud.jobs.describe("transform_job", name))
        else:
            job = JobTask.of(item)
            described = backends.jobs_on(cloud, job.backend).describe(job.kind, job.job_name)
            ended = lost_events.job_ended(job.kind, job.job_name, described)
            yield ended or _outlived_run(cloud, job)


def _outlived_run(cloud: Cloud, task: JobTask) -> LostEvent | None:
    """Return the lost event of the end of a run whose job still runs: its receiver stops the job."""
    run = _find_run(cloud, task.pipeline, task.run_id)
    return _ended_build(cloud, run) if run and run.has_ended else None


def _find_run(cloud: Cloud, pipeline: str, run_id: str) -> Run | None:
    item = cloud.catalog.get(keys.run_key(pipeline, run_id))
    return Run.of(item) if item else None


def _ended_builds(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    for item in pipelines:
        pipeline, run_id = keys.pipeline_of(item), item.get("in_flight")
        if run_id is None:
            continue
        run = _find_run(cloud, pipeline, run_id)
        yield _ended_build(cloud, run) if run and run.execution_arn else pipeline


def _ended_build(cloud: Cloud, run: Run) -> LostEvent | None:
    if run.execution_arn is None:
        return None
    payload = {"pipeline": run.pipeline, "run_id": run.run_id, "project_version": run.project_version}
    return _ended_execution(cloud, run.execution_arn, payload)


def _ended_releases(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    """Check releases that are recorded as running or hold a stage."""
    running = [Release.of(item) for item in cloud.catalog.listing(keys.RUNNING_RELEASES)]
    found = {release.release_id: release for release in (*running, *_holders(cloud, pipelines))}
    for release_id, release in found.items():
        payload = {"pipeline": release.pipeline, "release_id": release_id, "cause": release.cause}
        yield _ended_execution(cloud, release.execution_arn, payload)


def _holders(cloud: Cloud, pipelines: list[Item]) -> Iterator[Release]:
    for item in pipelines:
        for stage in releasing.find_stages(cloud, keys.pipeline_of(item)):
            release_id = stage.releasing
            release = releasing.find_release(cloud, stage.pipeline, release_id) if release_id else None
            if release is not None:
                yield release


def _ended_execution(cloud: Cloud, arn: str, payload: Item) -> LostEvent | None:
    return lost_events.execution_ended(arn, cloud.workflows.describe(arn), payload)


def _firing_alarms(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    for alarm in cloud.alarms.firing(f"{cloud.stack_name}--"):
        yield lost_events.alarm_fires(alarm["AlarmName"])


def _unheard_events(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    yield from hearing.find_unheard(cloud)


def _untold_alarms(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    """Find alarms of the stack itself that began or ceased to fire, and that nobody was told of."""
    yield from untold.find_alarms(cloud)


def _altered_stages(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    """Find endpoints and alarms that differ from what the live release made, and rejected ones that serve."""
    for item in pipelines:
        for stage in releasing.find_stages(cloud, keys.pipeline_of(item)):
            yield _deviating(cloud, stage)
            # Alarms may be deleted or edited by hand, or left by a failed release.
            config = releasing.find_settled_config(cloud, stage)
            _, faults = releasing.find_guard_faults(cloud, stage, config)
            for name in faults:
                yield lost_events.guard_is_off(name)
            if scaling.find_faults(cloud, stage, config):
                yield lost_events.scaling_due(cloud.stack_name, stage.pipeline, stage.name)
            rejected = comparing.find_rejected(cloud, stage)
            yield lost_events.rejected_serves(rejected.arn) if rejected else None


def _deviating(cloud: Cloud, stage: Stage) -> LostEvent | None:
    """Return the lost event of an endpoint that changed, by hand or by itself, or is as released again."""
    found = comparing.find_faults(cloud, stage)
    if found is None or not deviations.is_news(stage, found.faults):
        return None
    return lost_events.endpoint_is_off(stage.endpoint_name, deviations.status_of_hint(found.endpoint))


def _unseen_decisions(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    """Find missed decisions about the newest packages of each group; once a day about all."""
    known, there = [Pipeline.of(item) for item in pipelines], set[str]()
    with sweeping.daily(cloud, "packages") as is_full:
        # Pipelines may share a group.
        for group in dict.fromkeys(group for each in known for group in packages.groups_of(each)):
            listed = cloud.registry.packages(group)
            yield from _undecided(cloud, listed if is_full else islice(listed, _NEWEST), there)
    for each in known:
        yield from _deleted_packages(cloud, each, there)


def _deleted_packages(cloud: Cloud, pipeline: Pipeline, there: Collection[str]) -> Iterator[Finding]:
    """Find versions that may be shown as waiting for a person, and that somebody deleted."""
    for arn in packages.newest(pipeline):
        item = cloud.catalog.get(keys.package_key(arn)) if arn not in there else None
        is_shown = item is not None and Package.of(item).deleted_at is None
        yield lost_events.package_deleted(arn) if is_shown else None


def _undecided(cloud: Cloud, listed: Iterable[Mapping[str, Any]], there: set[str]) -> Iterator[Finding]:
    """Yield what was missed of these packages, which are noted as being there."""
    for package in listed:
        arn = package["ModelPackageArn"]
        there.add(arn)
        item = cloud.catalog.get(keys.package_key(arn))
        seen = Package.of(item) if item else Package(arn)
        yield lost_events.package_decided(seen, package["ModelApprovalStatus"])
        said = life_cycles.of_package(package)
        yield lost_events.life_cycle_changed(seen, said.text if said else None)


def _unseen_projects(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    """Find missed projects that were pushed within a day; once a day among all."""
    yesterday = to_iso(from_iso(cloud.now()) - timedelta(days=1))
    with sweeping.daily(cloud, "projects") as is_full:
        yield from _unregistered(cloud, "" if is_full else yesterday)


def _unregistered(cloud: Cloud, since: str) -> Iterator[Finding]:
    bucket = cloud.artifact_bucket
    for folder in cloud.objects.folders(bucket, "projects/"):
        heads = cloud.objects.listing(bucket, folder, shallow=True)
        for head in (head for head in heads if head.last_modified >= since):
            is_due = _is_unregistered(cloud, head.key)
            yield lost_events.object_created(bucket, head.key, head.version_id) if is_due else None


def _is_unregistered(cloud: Cloud, key: str) -> bool:
    """Tell whether a bundle's registration is missing, under way, or died."""
    bundle = parse_bundle_key(key)
    if bundle is None:
        return False
    item = cloud.catalog.get(keys.project_key(*bundle))
    return item is None or Project.of(item).status == "registering"


def _waiting_builds(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    """Find pipelines that wait for a build: for data, a recall, a project, or what monitoring found."""
    for item in pipelines:
        pipeline = Pipeline.of(item)
        yield pipeline.name if pipeline.in_flight is None and _waits(cloud, pipeline) else None


def _waits(cloud: Cloud, pipeline: Pipeline) -> bool:
    if pipeline.recalled_key is not None:
        return True
    if pipeline.has_data and (pipeline.retrain_cause is not None or pipeline.is_project_new):
        return True
    return any(arrival.status == "pending" for arrival in arrivals.waiting(cloud, pipeline.name))


def _waiting_batches(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    """Find pipelines with uploads that no transform took: an event was lost, or one is due by now."""
    for pipeline in dict.fromkeys(map(keys.pipeline_of, cloud.catalog.listing(keys.AWAITED_INPUTS))):
        yield lost_events.batch_due(cloud.stack_name, pipeline)


def _older_arrivals(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    for pipeline in map(keys.pipeline_of, pipelines):
        if cloud.catalog.query(keys.partition(pipeline), keys.ARRIVALS, limit=1):
            from sluice.services.data import upgrading  # most stacks have no such arrivals

            yield from upgrading.move_arrivals(cloud, pipeline)


def _unseen_objects(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    yield from sweeping.unseen(cloud, {item["gsi1sk"] for item in pipelines})


def _unseen_deletions(cloud: Cloud, pipelines: list[Item]) -> Iterator[Finding]:
    for item in pipelines:
        yield from sweeping.deleted(cloud, item["gsi1sk"])
