"""Run a pipeline of SageMaker for a build: give it what it needs, and keep what it did."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Step, StepKind
from sluice.domain import names, tags
from sluice.domain.build import jobs, log_tails
from sluice.domain.build.errors import CodeChangedError
from sluice.domain.build.projects import ProjectError
from sluice.domain.build.sdk import binding, definitions, ends, placing
from sluice.domain.build.sdk.placing import Place
from sluice.domain.locations import bucket_and_key
from sluice.domain.roles import pipeline_role
from sluice.domain.times import to_iso
from sluice.ports import PUSHED, RequestRefusedError
from sluice.services import building

if TYPE_CHECKING:
    from sluice.catalog.records.builds import JobTask
    from sluice.domain.build.projects import Project
    from sluice.domain.config import PipelineConfig
    from sluice.domain.config.build import Fact
    from sluice.events import StartJobTask
    from sluice.ports import Cloud

# The steps whose jobs are those that we know to describe, with their fields in a step's Metadata.
_JOBS: Mapping[str, jobs.JobKind] = {
    "TrainingJob": "training_job",
    "ProcessingJob": "processing_job",
}
# What a step of the run has of a described job.
_TAKEN = ("outputs", "model_uri", "metrics", "image", "usage")
_PAID = (*_JOBS, "TransformJob", "TuningJob")


def place(cloud: Cloud, pipeline: str) -> Place:
    """Return what the stack gives a pipeline of SageMaker."""
    locations = building.locations(cloud, pipeline)
    return Place(
        role_arn=pipeline_role(cloud.account, pipeline).arn,
        writable=(locations.built("*").partition("*")[0], f"{locations.sdk}/"),
        group=names.built_group(cloud.stack_name, pipeline),
    )


def require_placed(cloud: Cloud, project: Project) -> None:
    """Raise ProjectError for a pipeline that names what the stack does not allow."""
    build = project.config.build
    if build is None:
        return
    if project.definition is None:
        raise ProjectError(f"{build.pipeline} has no {build.definition}, which `sluice push` makes of it")
    demanded = cloud.safeguards
    if demanded.kms_key_arn or demanded.subnets or demanded.isolates_jobs or demanded.encrypts_job_traffic:
        raise ProjectError(
            "the account demands a key, a network or isolation of every job, which nobody adds to those that "
            "a pipeline of SageMaker starts: name scripts (prepare, train, evaluate)"
        )
    if found := [*placing.problems(project.definition, build, place(cloud, project.config.name))]:
        raise ProjectError(*(f"{build.definition}: {each}" for each in found))


def publish(cloud: Cloud, project: Project) -> None:
    """Store a project's definition, make the group that it fills, and put the pipeline into SageMaker.

    While a run is in flight the pipeline stays that run's: the next run's start puts its own. Raises
    ProjectError.
    """
    require_placed(cloud, project)
    pipeline = project.config.name
    uri = building.locations(cloud, pipeline).definition(project.version)
    pushed = project.definition_bytes or b""
    cloud.objects.write(uri, pushed, "application/json")
    cloud.registry.ensure_group(
        names.built_group(cloud.stack_name, pipeline),
        f"What the pipeline of SageMaker of {pipeline} registers: nothing here is released",
        tags.listed(tags.of_pipeline(cloud.stack_name, pipeline)),
    )
    state = building.find_pipeline(cloud, pipeline)
    if state is None or not state.in_flight:
        try:
            digest = hashlib.sha256(pushed).hexdigest()
            cloud.pipelines.put(pipeline_request(cloud, pipeline, project.version, digest))
        except RequestRefusedError as error:
            raise ProjectError(f"SageMaker refuses the pipeline: {error}") from None


def pipeline_request(
    cloud: Cloud, pipeline: str, project_version: str, sha256: str | None, *, uses_cache: bool = True
) -> dict[str, Any]:
    """Make what `Pipelines.put` takes: the pipeline with the definition of a project version.

    Raises CodeChangedError if the definition is not the one that was pushed. `sha256` is None for projects
    older than its record. Without the cache no step's CacheConfig is in the definition.
    """
    uri = building.locations(cloud, pipeline).definition(project_version)
    bucket, key = bucket_and_key(uri)
    head = cloud.objects.head(bucket, key)
    if head is None:
        raise CodeChangedError(f"{uri} is gone: restore it, or push the project again")
    pushed = b"".join(cloud.objects.chunks(bucket, key, head.version_id))
    found = hashlib.sha256(pushed).hexdigest()
    if found != (sha256 or found):
        raise CodeChangedError(
            f"{uri} has changed since the project was pushed: its sha256 is {found[:12]}, not "
            f"{str(sha256)[:12]}; restore the object's earlier version, or push the project again"
        )
    place = {"Bucket": bucket, "ObjectKey": key, "VersionId": head.version_id}
    text = pushed.decode()
    wanted = text if uses_cache else definitions.without_cache(text)
    at_its_place = {"PipelineDefinitionS3Location": {name: value for name, value in place.items() if value}}
    name = names.sagemaker_pipeline(cloud.stack_name, pipeline)
    return {
        "PipelineName": name,
        "PipelineDescription": f"builds of {pipeline} ({cloud.stack_name}), version {project_version}",
        **(at_its_place if wanted == text else {"PipelineDefinition": wanted}),
        "ClientRequestToken": _token(name, project_version),
        "Tags": tags.listed(tags.of_pipeline(cloud.stack_name, pipeline)),
        PUSHED: wanted,
    }


def execution_request(
    cloud: Cloud, task: StartJobTask, sha256: str | None, values: Mapping[str, str]
) -> jobs.Request:
    """Make what starts a run's execution; one token makes one execution, however often it is asked for."""
    name = names.pipeline_execution(cloud.stack_name, task.run_id)
    pipeline = names.sagemaker_pipeline(cloud.stack_name, task.pipeline)
    run = building.find_run(cloud, task.pipeline, task.run_id)
    uses_cache = run is None or not run.is_uncached
    put = pipeline_request(cloud, task.pipeline, task.project_version, sha256, uses_cache=uses_cache)
    return {
        "PipelineName": pipeline,
        "PipelineExecutionDisplayName": name,
        "PipelineExecutionDescription": f"run {task.run_id} on the data set {task.dataset_version}",
        "PipelineParameters": [{"Name": each, "Value": value} for each, value in values.items()],
        "ClientRequestToken": _token(name, task.project_version),
        "Pipeline": put,
    }


def parameters(
    cloud: Cloud, task: StartJobTask, config: PipelineConfig, files_uri: str | None
) -> dict[str, str]:
    """Return the values that a run's execution is given."""
    if config.build is None:
        return {}
    locations, given = building.locations(cloud, task.pipeline), place(cloud, task.pipeline)
    facts: dict[Fact, str] = {
        "input_manifest": files_uri or locations.dataset_files(task.dataset_version),
        "code": locations.code(task.project_version),
        "source": locations.sourcedir(task.project_version),
        "output": locations.built(task.run_id),
        "role": given.role_arn,
        "image": config.training_image_uri(cloud.region),
        "model_package_group": given.group,
    }
    return binding.arguments(config.build, facts)


def _token(*what: str) -> str:
    return hashlib.sha256("#".join(what).encode()).hexdigest()


def record_steps(cloud: Cloud, task: JobTask, description: Mapping[str, Any]) -> None:
    """Record each step of an ended execution as a step of the run; a repeated description writes the same."""
    for each in description.get("Steps") or ():
        cloud.catalog.apply(builds.record_step(_step(cloud, task.run_id, each)))


def under_way(cloud: Cloud, run_id: str) -> list[Step]:
    """Return the steps of a run's execution that has not ended yet, as far as SageMaker lists them."""
    found = cloud.pipelines.look(names.pipeline_execution(cloud.stack_name, run_id))
    return [_listed(run_id, each) for each in found]


def failed_job(description: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the log group and the name of the first job that failed, of those that have a log."""
    for each in description.get("Steps") or ():
        if each["StepStatus"] == "Failed":
            for kind, name in _jobs(each):
                return log_tails.SAGEMAKER_GROUPS[kind], name
    return None


def _step(cloud: Cloud, run_id: str, each: Mapping[str, Any]) -> Step:
    step, found = _listed(run_id, each), dict[str, Any]()
    if step.job_name:
        for kind, job_name in _jobs(each):
            described = cloud.jobs.describe(kind, job_name)
            if described is not None:
                found = jobs.job_result(kind, described, step.step)
    return replace(step, **{field: found[field] for field in _TAKEN if found.get(field)})


def _listed(run_id: str, each: Mapping[str, Any]) -> Step:
    """Return a step as a listing of steps has it."""
    metadata = each.get("Metadata") or {}
    # Of a step that SageMaker had cached, another execution's job is told: it cost nothing here.
    hit = (each.get("CacheHitResult") or {}).get("SourcePipelineExecutionArn")
    arn = None if hit else next((metadata[field]["Arn"] for field in _PAID if field in metadata), None)
    kind: StepKind = next((kind for kind, _ in _jobs(each) if not hit), "pipeline_step")
    return Step(
        run_id=run_id,
        step=f"{names.OF_PIPELINE}{each['StepName']}",
        status=ends.STATUSES[each["StepStatus"]],
        kind=kind,
        job_name=arn.rpartition("/")[2] if arn else None,
        job_arn=arn,
        started_at=to_iso(each["StartTime"]) if each.get("StartTime") else None,
        ended_at=to_iso(each["EndTime"]) if each.get("EndTime") else None,
        failure_reason=each.get("FailureReason"),
        remark=f"cached by SageMaker, as {hit} did the same" if hit else None,
        backend="pipelines",
    )


def _jobs(each: Mapping[str, Any]) -> Iterator[tuple[jobs.JobKind, str]]:
    metadata = each.get("Metadata") or {}
    for field, kind in _JOBS.items():
        if field in metadata:
            yield kind, metadata[field]["Arn"].rpartition("/")[2]
