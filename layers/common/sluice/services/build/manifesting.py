"""Write a run's manifest once: what its model was made from, each archive and evaluation as it was judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sluice.catalog.changes import builds
from sluice.domain import names
from sluice.domain.build import evaluations, run_manifest
from sluice.domain.build.errors import BuildError, CodeChangedError
from sluice.domain.build.jobs import EVALUATION_FILE
from sluice.domain.build.run_manifest import Artifact, Inputs, RunManifest, Serving
from sluice.domain.locations import bucket_and_key
from sluice.lazy import dataclass
from sluice.services import building
from sluice.services.build import artifacts
from sluice.services.side_by_side import on_each, together

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Project, Run
    from sluice.domain.config import PipelineConfig
    from sluice.events import RegisterModelTask
    from sluice.ports import Cloud, ObjectHead
    from sluice.services.building import Begun


class ForeignManifestError(BuildError):
    """A manifest that the run did not write is in the place of the run's own."""


class EvaluationChangedError(BuildError):
    """The candidate's evaluation changed since the gates judged it."""


class ModelChangedError(BuildError):
    """The candidate's archive changed since it was chosen and evaluated."""


def write(
    cloud: Cloud,
    task: RegisterModelTask,
    begun: Begun,
    config: PipelineConfig,
    recorded: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], str]:
    """Write the run's manifest, or keep an earlier attempt's, which a package may name; with its sha256.

    The run's item identifies it: it holds the digest before the object exists. Raises ForeignManifestError if
    the object is another's, and ModelChangedError, EvaluationChangedError or CodeChangedError if what was
    chosen and judged was written again since.
    """
    uri = building.locations(cloud, task.pipeline).run_manifest(task.run_id)
    claimed = begun.run.manifest_sha256
    data = _found(cloud, uri) if claimed is not None else None
    if data is None:
        made = _new_manifest(cloud, task, begun, config, recorded)
        data, claimed = _claimed(cloud, task, begun.run, made)
        if not cloud.objects.create(uri, data, "application/json"):
            data = cloud.objects.read(uri)
    if hashlib.sha256(data).hexdigest() != claimed:
        raise ForeignManifestError(f"{uri} was not written by this run: nothing is registered by it")
    return json.loads(data), claimed


def _claimed(cloud: Cloud, task: RegisterModelTask, run: Run, made: RunManifest) -> tuple[bytes, str]:
    """Claim a manifest that is made now; returns it and its sha256.

    It has a fixed time, so that parallel attempts write the same bytes: a package may name them already.
    """
    if run.registered_at is None:
        data = made.to_json()
        sha256 = hashlib.sha256(data).hexdigest()
        if cloud.catalog.apply(builds.claim_manifest(run.pipeline, run.run_id, sha256, made.created_at)):
            return data, sha256
    data = replace(made, created_at=building.first_time(cloud, task, "registered")).to_json()
    sha256 = hashlib.sha256(data).hexdigest()
    cloud.catalog.apply(builds.claim_manifest(run.pipeline, run.run_id, sha256))
    return data, sha256


def _found(cloud: Cloud, uri: str) -> bytes | None:
    try:
        return cloud.objects.read(uri)
    except FileNotFoundError:
        return None


def _new_manifest(
    cloud: Cloud,
    task: RegisterModelTask,
    begun: Begun,
    config: PipelineConfig,
    recorded: Sequence[Mapping[str, Any]],
) -> RunManifest:
    run, project, chosen = begun.run, begun.project, task.candidate
    (judged, evaluation), described, model, code, bundle, written, (cause, actor) = together(
        partial(_judged, cloud, task, recorded),
        partial(artifacts.described, cloud, recorded, chosen.step),
        partial(_hashed, cloud, task, "model", chosen.step, chosen.model_uri, chosen.model_version_id),
        partial(_code, cloud, task, project),
        partial(_bundle, cloud, project),
        partial(artifacts.of_steps, cloud, recorded),
        partial(_why, cloud, task, run),
    )
    # After all that may refuse the model: nothing is left of one that is not registered.
    on_each((model, code), lambda each: cloud.objects.copy(each.head, each.pinned.uri))
    steps = {each["step"]: each for each in described}
    return RunManifest(
        pipeline=task.pipeline,
        run_id=task.run_id,
        created_at=cloud.now(),
        inputs=_inputs(task, begun),
        parameters=run_manifest.parameters(config, steps[chosen.step]["detail"]),
        steps=described,
        candidate=chosen.step,
        champion=task.champion,
        artifacts=[
            artifacts.produced(model.pinned, steps),
            code.pinned,
            artifacts.produced(judged, steps),
            bundle,
            *written,
        ],
        serving=Serving(
            run_manifest.container(config, cloud.region, model.pinned.uri, code.pinned.uri),
            run_manifest.config_sha256(project.config),
        ),
        evaluation=evaluation.finite,
        gates=steps[names.GATES]["detail"],
        cause=cause,
        actor=actor,
        overrides=run.overrides or {},
        framework=config.framework.model_dump(exclude_none=True) if config.framework else None,
    )


def _why(cloud: Cloud, task: RegisterModelTask, run: Run) -> tuple[str, str]:
    """Return why the run was started, and by whom: the stack itself, unless a person asked for it."""
    if run.cause:
        return run.cause, run.actor or "sluice"
    pipeline = building.find_pipeline(cloud, task.pipeline)
    return (pipeline and pipeline.build_cause) or "unknown", "sluice"


def _bundle(cloud: Cloud, project: Project) -> Artifact:
    """Return the project as it was pushed, from which the run can be repeated."""
    data = cloud.objects.read(project.bundle_uri)
    return Artifact("bundle", "push", project.bundle_uri, hashlib.sha256(data).hexdigest(), len(data))


@dataclass(frozen=True, slots=True)
class _Archive:
    """An archive that was hashed, and what it will be at the place of its digest, where no job can write."""

    head: ObjectHead
    pinned: Artifact


def _code(cloud: Cloud, task: RegisterModelTask, project: Project) -> _Archive:
    """Return the archive of the scripts, which is half of what serves."""
    code = _hashed(cloud, task, "code", "register_project", project.sourcedir_uri)
    sha256 = code.pinned.sha256
    pushed = project.sourcedir_sha256 or sha256
    if sha256 != pushed:
        raise CodeChangedError(
            f"{project.sourcedir_uri} has changed since the project was pushed: its sha256 is "
            f"{str(sha256)[:12]}, not {str(pushed)[:12]}; restore the object's earlier version"
        )
    return code


def _hashed(
    cloud: Cloud,
    task: RegisterModelTask,
    name: str,
    step: str,
    uri: str,
    wanted_version_id: str | None = None,
) -> _Archive:
    """Hash the archive at a URI, which has to be the wanted version."""
    bucket, key = bucket_and_key(uri)
    found = cloud.objects.open(bucket, key)
    if found is None:
        raise FileNotFoundError(uri)
    head, chunks = found
    if wanted_version_id not in (None, head.version_id):
        raise ModelChangedError(f"{uri} was written again after it was chosen: what was evaluated is unknown")
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    pinned = building.locations(cloud, task.pipeline).pinned(digest.hexdigest(), key.rpartition("/")[2])
    return _Archive(head, Artifact(name, step, pinned, digest.hexdigest(), head.size_bytes))


def _inputs(task: RegisterModelTask, begun: Begun) -> Inputs:
    project, (item,) = begun.project, begun.others
    dataset = item or {}
    return Inputs(
        project_version=task.project_version,
        bundle_uri=project.bundle_uri,
        dataset_version=task.dataset_version,
        dataset_manifest_uri=dataset["manifest_uri"],
        dataset_objects=dataset["objects"],
        dataset_rows=dataset["rows"],
        dataset_size_bytes=dataset["size_bytes"],
        source=project.source or {},
    )


def _judged(
    cloud: Cloud, task: RegisterModelTask, recorded: Sequence[Mapping[str, Any]]
) -> tuple[Artifact, evaluations.Evaluation]:
    """Return the evaluation that the gates judged: of the run itself, or of another that did the same."""
    steps, step = {each["step"]: each for each in recorded}, names.evaluate_step("candidate")
    own = building.locations(cloud, task.pipeline).evaluation(task.run_id, "candidate")
    outputs = steps.get(step, {}).get("outputs") or {}
    uri = f"{outputs.get('evaluation') or own}/{EVALUATION_FILE}"
    content = cloud.objects.read(uri)
    evaluation = evaluations.read(content)
    # Runs that were under way during an update of the stack have no digest.
    if steps[names.GATES].get("evaluation_sha256") not in (None, evaluation.sha256):
        raise EvaluationChangedError(f"{uri} was written again after the gates judged it")
    return Artifact("evaluation", step, uri, evaluation.sha256, len(content)), evaluation
