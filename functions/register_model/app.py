"""RegisterModel task: write the run's manifest and register the candidate with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import building, wiring
from sluice.domain import approvals, manifest
from sluice.domain import catalog as keys
from sluice.domain.approvals import Provenance
from sluice.domain.config import PipelineConfig
from sluice.domain.jobs import EVALUATION_FILE
from sluice.domain.manifest import Artifact, Inputs, RunManifest
from sluice.events import RegisterModelTask
from sluice.observability import logger
from sluice.ports import Item
from sluice.timeline import note


class PackageGoneError(Exception):
    """The package was deleted while it was being registered."""


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=RegisterModelTask)
def lambda_handler(task: RegisterModelTask, context: LambdaContext) -> dict[str, Any]:
    logger.append_keys(run_id=task.run_id)
    project = building.find_project(task.pipeline, task.project_version)
    config = building.find_config(task)
    document, sha256 = _manifest(task, project, config)
    artifacts = {artifact["name"]: Artifact(**artifact) for artifact in document["artifacts"]}
    manifest_uri = building.locations(task.pipeline).run_manifest(task.run_id)
    request = manifest.package_request(
        config,
        run_id=task.run_id,
        region=wiring.region(),
        inputs=Inputs(**document["inputs"]),
        model=artifacts["model"],
        evaluation=artifacts["evaluation"],
        sourcedir_uri=project["sourcedir_uri"],
        manifest_uri=manifest_uri,
        manifest_sha256=sha256,
        may_approve=wiring.allows_automatic_approval(),
    )
    arn = wiring.registry().create_package(request)
    package = wiring.registry().describe_package(arn)
    if package is None:
        raise PackageGoneError(arn)
    registered = {
        "model_package_arn": arn,
        "package_version": package["ModelPackageVersion"],
        "manifest_uri": manifest_uri,
        "manifest_sha256": sha256,
    }
    _record(task, package, registered)
    return registered


def _manifest(task: RegisterModelTask, project: Item, config: PipelineConfig) -> tuple[dict[str, Any], str]:
    """The run's manifest and its sha256; the one an earlier attempt wrote stays, as a package may name it."""
    objects, uri = wiring.objects(), building.locations(task.pipeline).run_manifest(task.run_id)
    try:
        data = objects.read(uri)
    except FileNotFoundError:
        data = _new_manifest(task, project, config).to_json()
        objects.write(uri, data, "application/json")
    return json.loads(data), hashlib.sha256(data).hexdigest()


def _new_manifest(task: RegisterModelTask, project: Item, config: PipelineConfig) -> RunManifest:
    locations = building.locations(task.pipeline)
    evaluation_uri = f"{locations.evaluation(task.run_id, 'candidate')}/{EVALUATION_FILE}"
    step = task.candidate["step"]
    hyperparameters = next(each["detail"] for each in _steps(task.run_id) if each["step"] == step)
    return RunManifest(
        pipeline=task.pipeline,
        run_id=task.run_id,
        # Two attempts at once write the same bytes, which a package may name already.
        created_at=building.first_time(task, "registered"),
        inputs=_inputs(task, project),
        parameters=manifest.parameters(config, hyperparameters),
        steps=_steps(task.run_id),
        candidate=step,
        champion=task.champion,
        artifacts=[
            _artifact("model", step, task.candidate["model_uri"]),
            _artifact("evaluation", "evaluate-candidate", evaluation_uri),
        ],
        evaluation=json.loads(wiring.objects().read(evaluation_uri)),
        gates=task.gates,
    )


def _inputs(task: RegisterModelTask, project: Item) -> Inputs:
    dataset = wiring.catalog().get(keys.dataset_key(task.pipeline, task.dataset_version)) or {}
    return Inputs(
        project_version=task.project_version,
        bundle_uri=project["bundle_uri"],
        dataset_version=task.dataset_version,
        dataset_manifest_uri=dataset["manifest_uri"],
        dataset_objects=dataset["objects"],
        dataset_rows=dataset["rows"],
        dataset_size_bytes=dataset["size_bytes"],
    )


def _steps(run_id: str) -> list[dict[str, Any]]:
    """What the run's steps recorded of themselves, without the table's own attributes."""
    items = wiring.catalog().query(f"RUN#{run_id}", "STEP#")
    return [
        {"step": item["sk"].removeprefix("STEP#"), **{n: v for n, v in item.items() if n not in ("pk", "sk")}}
        for item in items
    ]


def _artifact(name: str, step: str, uri: str) -> Artifact:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    digest, size_bytes = hashlib.sha256(), 0
    for chunk in wiring.objects().chunks(bucket, key):
        digest.update(chunk)
        size_bytes += len(chunk)
    return Artifact(name, step, uri, digest.hexdigest(), size_bytes)


def _record(task: RegisterModelTask, package: Mapping[str, Any], registered: dict[str, Any]) -> None:
    catalog, arn = wiring.catalog(), registered["model_package_arn"]
    now = building.first_time(task, "registered")
    # Its approval may have been quicker, and have made the item.
    catalog.create(approvals.package_item(arn, package, Provenance.of(package)))
    result = {"model_package_arn": arn, "manifest_uri": registered["manifest_uri"]}
    catalog.update(keys.run_key(task.pipeline, task.run_id), result)
    step = {"kind": "model_package", "status": "Completed", "started_at": now, "ended_at": now}
    catalog.update(keys.step_key(task.run_id, "register"), {**step, "detail": registered})
    status = package["ModelApprovalStatus"]
    detail = f"{package['ModelPackageGroupName']}/{registered['package_version']}, {status}"
    note(task.pipeline, now, task.run_id, "model registered", detail)
