"""Reuse the outputs of a step that did the same before, and remember those that completed.

Correctness first: only completed jobs are remembered, and what they wrote is digested at their end and again
before it is used. Anything unknown, gone, changed or too old is computed anew, and the step says why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.catalog.records.builds import CachedStep, Run, Step
from sluice.domain import names
from sluice.domain.build import jobs, step_cache
from sluice.domain.build.step_cache import UnknownContentError
from sluice.domain.times import from_iso
from sluice.lazy import dataclass
from sluice.services import building
from sluice.services.build import contents
from sluice.services.building import COMPLETED
from sluice.services.timeline import note

if TYPE_CHECKING:
    from sluice.catalog.changes import Change
    from sluice.catalog.records.builds import JobTask
    from sluice.domain.build.jobs import Build, Request
    from sluice.domain.config.models import Cache
    from sluice.events import StartJobTask
    from sluice.ports import Cloud
    from sluice.services.build.requesting import WantedJob

_KEPT = timedelta(days=365)
# Where register_model puts archives by their digest, and no job can write.
_PINNED = r"s3://(?P<bucket>[^/]+)/(?P<key>models/[^/]+/(?P<sha256>[0-9a-f]{64})/(?P<name>[^/]+))"
_KEY_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Found:
    """What a step depends on, and the step whose outputs it can use, or why there is none."""

    parts: Mapping[str, str] | None
    key: str | None
    source: Step | None
    miss: str | None


def find(
    cloud: Cloud,
    wanted: WantedJob,
    request: Request,
    environment: str | None = None,
    known: Mapping[str, str] | None = None,
) -> Found:
    """Look for a completed step of the same key; `environment` is the digest of the job's packages.

    `known` are digests of content by URI, besides those of the run's own steps.
    """
    try:
        parts = _parts(cloud, wanted, request, environment, known or {})
    except UnknownContentError as error:
        return Found(None, None, None, str(error))
    key = step_cache.key(parts)
    source, miss = _usable(cloud, wanted.task, wanted.build, wanted.run, key)
    return Found(parts, key, source, miss)


def reuse(cloud: Cloud, task: StartJobTask, found: Found, detail: Mapping[str, str]) -> bool:
    """Record the step with the other's outputs, and answer the task that waits; False if there is none."""
    source = found.source
    if source is None:
        return False
    now = cloud.now()
    step = replace(
        source,
        run_id=task.run_id,
        step=task.step,
        job_name=None,
        job_arn=None,
        role=None,
        log_tail=(),
        left_behind=None,
        started_at=now,
        ended_at=now,
        detail=dict(detail),
        usage=None,
        lambda_usage=None,
        packages_usage=None,
        backend_reason=None,
        cache_key=found.key,
        cache_parts=found.parts,
        cache_miss=None,
        cached={"run_id": source.run_id, "step": source.step, "job_name": source.job_name or ""},
    )
    cloud.catalog.apply(builds.record_step(step))
    said = f"{source.step} of {source.run_id} did the same (key {str(found.key)[:_KEY_SHOWN]})"
    note(cloud, task.pipeline, now, task.run_id, f"{task.step} reused", said)
    done = {"step": task.step, "job_name": source.job_name, "status": source.status}
    cloud.workflows.succeed(task.task_token, done)
    return True


def depending(step: Step, found: Found) -> Step:
    """Return a step that is computed with what it depends on, and why nothing was reused."""
    return replace(step, cache_key=found.key, cache_parts=found.parts, cache_miss=found.miss)


def digests(
    cloud: Cloud, result: Mapping[str, Any], written: contents.Written = contents.NOTHING
) -> dict[str, str]:
    """Return the digests of a completed job's outputs, by name; of nothing there is none.

    `written` says what is known of objects that the job itself wrote.
    """
    outputs = {name: uri for name, uri in (result.get("outputs") or {}).items() if uri}
    found = contents.digests(cloud, list(outputs.values()), written)
    return {name: digest for name, digest in zip(outputs, found, strict=True) if digest}


def remembering(cloud: Cloud, task: JobTask, step: Step) -> list[Change]:
    """Return what lets later runs find a job's step, if it completed and wrote all that it should."""
    if step.cache_key is None or step.status != COMPLETED or not _is_whole(step):
        return []
    return [
        builds.remember_step(
            CachedStep(
                pipeline=task.pipeline,
                key=step.cache_key,
                run_id=task.run_id,
                step=task.step,
                at=str(step.ended_at),
                expires_at=int((from_iso(cloud.now()) + _KEPT).timestamp()),
            )
        )
    ]


def _is_whole(step: Step) -> bool:
    # The list of packages is about the job: no step reads it.
    wanted = set(step.outputs or ()) - {jobs.PACKAGES}
    return bool(wanted) and wanted <= set(step.contents or ())


# ------------------------------------------------------------------------------------ what a step depends on


def _parts(
    cloud: Cloud, wanted: WantedJob, request: Request, environment: str | None, given: Mapping[str, str]
) -> dict[str, str]:
    task, build = wanted.task, wanted.build
    locations = build.locations
    # Copies of the versions that a data set has are laid out as the objects are.
    files_uri = build.files_uri or locations.dataset_files(task.dataset_version)
    known = {**given, files_uri: f"data set {task.dataset_version}"}
    prepared = wanted.prepared if task.step != names.PREPARE else None
    for split in jobs.SPLITS:
        if prepared and (digest := (prepared.contents or {}).get(split)):
            known[build.prepared_uri(split)] = digest
    if task.model_uri and task.model_uri not in known and (model := _model(cloud, wanted, task.model_uri)):
        known[task.model_uri] = model
    named = step_cache.image_of(request, task.image) if task.image else request
    return step_cache.parts(named, known, _code(wanted), environment)


def _model(cloud: Cloud, wanted: WantedJob, uri: str) -> str | None:
    """Return the content of a model: of a candidate as its step recorded it, of the champion by its place.

    The same archive has the same content in both places, so that a champion is scored as the candidate that
    it was.
    """
    if pinned := re.fullmatch(_PINNED, uri):
        head = cloud.objects.head(pinned["bucket"], pinned["key"])
        return None if head is None else contents.of_pinned(head, pinned["name"], pinned["sha256"])
    known = [wanted.modelled] if wanted.modelled and wanted.modelled.model_uri == uri else None
    for step in known or building.find_steps(cloud, wanted.task.run_id):
        if step.model_uri == uri and step.contents:
            return step.contents.get("model")
    return None


def _code(wanted: WantedJob) -> dict[str, str]:
    """Return the digests of the files that the step reads, by path; of many files that of the folder."""
    project = wanted.project
    if project.code_files is not None:
        left_out = (project.code_unread or {}).get(section(wanted.task.step), ())
        return {path: digest for path, digest in project.code_files.items() if path not in left_out}
    if project.sourcedir_sha256 is None:
        raise UnknownContentError(f"the digests of the scripts of {project.version[:12]} are not known")
    return {"*": project.sourcedir_sha256}


def section(step: str) -> str:
    """Return the field of pipeline.yaml that describes a step."""
    if step == names.PREPARE:
        return "prepare"
    return "train" if jobs.kind_of(step) == "training_job" else "evaluate"


# --------------------------------------------------------------------------------------- whose outputs to use


def _usable(
    cloud: Cloud, task: StartJobTask, build: Build, run: Run | None, key: str
) -> tuple[Step | None, str | None]:
    """Return the step whose outputs can be used, or None and why."""
    if run is not None and run.reproduces:
        return None, f"a reproduction of {run.reproduces} computes everything anew"
    if run is not None and run.is_uncached:
        return None, "the run was started with --no-cache"
    if run is not None and run.retry_of:
        # What the failed run did is used whatever pipeline.yaml says of the cache: it is the same run.
        source = _origin(cloud, run.retry_of, task.step)
        if source is not None and source.cache_key == key and _problem(cloud, source) is None:
            return source, None
    cache: bool | Cache = getattr(build.config, section(task.step)).cache
    if cache is False:
        return None, f"{section(task.step)}.cache is false"
    item = cloud.catalog.get(keys.cache_key(task.pipeline, key))
    if item is None:
        return None, None
    cached = CachedStep.of(item)
    source = building.find_step(cloud, cached.run_id, cached.step)
    if source is None or source.cache_key != key:
        return None, f"{cached.step} of {cached.run_id} is gone"
    if problem := _too_old(cloud, cache, cached) or _unsure(cloud, run, source) or _problem(cloud, source):
        return None, problem
    return source, None


def _unsure(cloud: Cloud, run: Run | None, source: Step) -> str | None:
    """Say that a step may have read other objects than those of its data set.

    Jobs read by key, and only once all candidates are trained is it seen whether the objects had changed. A
    run that reads by key sees that itself; one that reads copies needs a source that was seen not to.
    """
    if source.step != names.PREPARE or run is None or run.restored_uri is None:
        return None
    origin = building.find_run(cloud, run.pipeline, source.run_id)
    if origin is not None and origin.restored_uri is not None:
        return None
    if building.find_step(cloud, source.run_id, names.SELECT) is not None:
        return None
    return f"{source.step} of {source.run_id} may have read objects that had changed"


def _origin(cloud: Cloud, run_id: str, name: str) -> Step | None:
    """Return a run's step, or the one whose outputs it used."""
    step = building.find_step(cloud, run_id, name)
    if step is not None and step.cached:
        return building.find_step(cloud, step.cached["run_id"], step.cached["step"])
    return step


def _too_old(cloud: Cloud, cache: bool | Cache, cached: CachedStep) -> str | None:
    if isinstance(cache, bool) or cache.max_age_s is None:
        return None
    age = from_iso(cloud.now()) - from_iso(cached.at)
    if age <= timedelta(seconds=cache.max_age_s):
        return None
    return f"{cached.step} of {cached.run_id} is older than max_age_s, {cache.max_age_s} s"


def _problem(cloud: Cloud, source: Step) -> str | None:
    """Say why a step's outputs cannot be used: digest them again."""
    named = f"{source.step} of {source.run_id}"
    if source.status != COMPLETED or not _is_whole(source):
        return f"{named} did not complete"
    now = digests(cloud, {"outputs": source.outputs})
    for name, digest in (source.contents or {}).items():
        if name not in now:
            return f"the output {name} of {named} is gone"
        if now[name] != digest:
            return f"the output {name} of {named} has changed since"
    return None


def missing_outputs(cloud: Cloud, run_id: str) -> list[str]:
    """Say which outputs of a run's completed jobs are gone or changed."""
    done = [step.step for step in building.find_steps(cloud, run_id) if step.contents]
    steps = [_origin(cloud, run_id, name) for name in done]
    problems = [_problem(cloud, step) for step in steps if step is not None]
    return [problem for problem in problems if problem]
