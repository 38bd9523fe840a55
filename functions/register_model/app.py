"""RegisterModel task: write the run's manifest and register the candidate with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import builds, releases
from sluice.catalog.records.builds import Project, Run, Step
from sluice.catalog.records.releases import PENDING, Package
from sluice.domain import names
from sluice.domain.build import evaluations, run_manifest
from sluice.domain.build.errors import BuildError, CodeChangedError
from sluice.domain.build.jobs import EVALUATION_FILE
from sluice.domain.build.run_manifest import Artifact, Inputs, RunManifest, Serving
from sluice.domain.config import PipelineConfig
from sluice.domain.locations import bucket_and_key
from sluice.domain.release import approvals, automatic, packages, serving
from sluice.domain.release.approvals import Provenance
from sluice.events import RegisterModelTask, event_parser
from sluice.lazy import dataclass
from sluice.observability import logger
from sluice.ports import Cloud, ObjectHead
from sluice.services import announcing, building
from sluice.services.build import artifacts
from sluice.services.building import Begun
from sluice.services.data import recalling
from sluice.services.side_by_side import on_each, together
from sluice.services.timeline import noting
from sluice.tasks import machine_task


class PackageGoneError(BuildError):
    """The package was deleted while it was being registered."""


class ForeignManifestError(BuildError):
    """A manifest that the run did not write is in the place of the run's own."""


class ReproductionError(BuildError):
    """The run repeats another, to be compared with it: it registers nothing."""


class EvaluationChangedError(BuildError):
    """The candidate's evaluation changed since the gates judged it."""


class ModelChangedError(BuildError):
    """The candidate's archive changed since it was chosen and evaluated."""


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=RegisterModelTask)
def lambda_handler(task: RegisterModelTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(run_id=task.run_id)
    begun, recorded, recalls = together(
        partial(building.find_begun, cloud, task, keys.dataset_key(task.pipeline, task.dataset_version)),
        partial(_steps, cloud, task.run_id),
        partial(recalling.find, cloud, task.pipeline),
    )
    if begun.run.reproduces:
        raise ReproductionError(f"{task.run_id} reproduces {begun.run.reproduces}: it registers nothing")
    config = begun.config()
    (document, sha256), _ = together(
        partial(_manifest, cloud, task, begun, config, recorded),
        # A clean-up of the registry may have deleted the group.
        partial(building.ensure_group, cloud, config),
    )
    manifest_uri = building.locations(cloud, task.pipeline).run_manifest(task.run_id)
    reasons = _reasons_for_a_person(cloud, task, config, document)
    request = run_manifest.package_request(
        config,
        document,
        stack=cloud.stack_name,
        manifest_uri=manifest_uri,
        manifest_sha256=sha256,
        may_approve=not reasons,
    )
    arn = cloud.registry.create_package(request)
    package = cloud.registry.describe_package(arn)
    if package is None:
        raise PackageGoneError(arn)
    registered = {
        "model_package_arn": arn,
        "package_version": package["ModelPackageVersion"],
        "manifest_uri": manifest_uri,
        "manifest_sha256": sha256,
    }
    recalling.note_rebuilt(cloud, recalls, task.pipeline, task.run_id, begun.run.started_at, arn)
    # The time of the first attempt.
    _record(cloud, task, begun, package, registered, document["created_at"], reasons)
    return registered


def _reasons_for_a_person(
    cloud: Cloud, task: RegisterModelTask, config: PipelineConfig, document: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return why a person decides about the version, if the project's approval is automatic."""
    if config.register_.approval != "automatic":
        return ()
    recalled = [each.key for each in recalling.open_recalls(cloud, task.pipeline)]
    return automatic.reasons_for_a_person(
        document["gates"], recalled, is_allowed=cloud.allows_automatic_approval
    )


def _manifest(
    cloud: Cloud,
    task: RegisterModelTask,
    begun: Begun,
    config: PipelineConfig,
    recorded: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], str]:
    """Return the run's manifest and its sha256; keep an earlier attempt's, as a package may name it.

    The run's item identifies it: it holds the digest before the object exists.
    """
    uri = building.locations(cloud, task.pipeline).run_manifest(task.run_id)
    claimed = begun.run.manifest_sha256
    data = _written(cloud, uri) if claimed is not None else None
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


def _written(cloud: Cloud, uri: str) -> bytes | None:
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
        partial(artifacts.described, cloud, recorded),
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


def _steps(cloud: Cloud, run_id: str) -> list[dict[str, Any]]:
    """Return the run's recorded steps without the table's own attributes."""
    items = cloud.catalog.query(keys.steps_partition(run_id), keys.STEPS)
    return [{"step": keys.step_of(item), **keys.without_key(item)} for item in items]


def _record(
    cloud: Cloud,
    task: RegisterModelTask,
    begun: Begun,
    package: Mapping[str, Any],
    registered: dict[str, Any],
    now: str,
    reasons: Sequence[str],
) -> None:
    arn, uri = registered["model_package_arn"], registered["manifest_uri"]
    digest = serving.container(package).get("ImageDigest")
    status = package["ModelApprovalStatus"]
    name = packages.version_name(
        cloud.stack_name, task.pipeline, package["ModelPackageGroupName"], registered["package_version"]
    )
    needs_person = automatic.told(reasons) if reasons and status == PENDING else None
    because = f"; {needs_person}" if needs_person else ""
    step = Step(
        run_id=task.run_id,
        step="register",
        status="Completed",
        kind="model_package",
        started_at=now,
        ended_at=now,
        detail=registered,
    )
    together(
        partial(_record_package, cloud, task, arn, package, now, needs_person),
        partial(
            building.apply_each,
            cloud,
            builds.register_model(task.pipeline, task.run_id, arn, uri, digest),
            builds.note_package(task.pipeline, arn),
            builds.record_step(step),
            noting(task.pipeline, now, task.run_id, "model registered", f"{name}, {status}{because}"),
        ),
    )
    # A push that waives the comparison with the champion does so for one model, which is this one.
    if begun.project.replaces_champion_at:
        cloud.catalog.apply(builds.use_up_replacement(task.pipeline, task.project_version, task.run_id))
    if status == PENDING:
        why = f"{task.run_id} registered it: its gates passed{because}"
        announcing.approval_awaited(cloud, task.pipeline, name, arn, now, run_id=task.run_id, reason=why)


def _record_package(
    cloud: Cloud,
    task: RegisterModelTask,
    arn: str,
    package: Mapping[str, Any],
    now: str,
    needs_person: str | None,
) -> None:
    """Write the package's item, unless the approval already wrote it.

    A group that was deleted and made again numbers its versions from 1 again: decisions about a former
    version with this ARN do not count for this one.
    """
    registered = replace(
        approvals.undecided(arn, package, Provenance.of(package)), created_at=now, needs_person=needs_person
    )
    if cloud.catalog.apply(releases.see_package(registered)):
        return
    item = cloud.catalog.get(keys.package_key(arn))
    if item and (former := Package.of(item)).run_id != task.run_id:
        cloud.catalog.apply(releases.register_again(former, registered))
    elif needs_person:
        cloud.catalog.apply(releases.need_person(arn, task.run_id, needs_person))
