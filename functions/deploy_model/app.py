"""Change a stage's endpoint; `finish_deployment` answers the task.

The tasks are DeployModel, MirrorRequests, RemoveShadow and RestoreEndpoint.
"""

from __future__ import annotations

from datetime import timedelta

from aws_lambda_powertools.utilities.typing import LambdaContext

import sluice.domain.config  # noqa: F401 - each event needs it, and it loads faster before the first one
from sluice import wiring
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Deployment, EndpointTask
from sluice.domain import quotas, roles, tags
from sluice.domain.config.models import ServeCompute
from sluice.domain.quotas import QuotaError
from sluice.domain.release import alarms, serving
from sluice.domain.release import scaling as scales
from sluice.domain.release.errors import AlarmFiringError, ReleaseRefusedError
from sluice.domain.release.releases import RollbackOptions
from sluice.domain.roles import RoleNotReadyError
from sluice.domain.times import from_iso
from sluice.events import event_parser
from sluice.observability import logger
from sluice.ports import Cloud, EndpointBusyError, Item, RequestRefusedError
from sluice.release_events import DeployModelTask
from sluice.services.release import claiming, deploying, guarding, model_packages, releasing, scaling
from sluice.services.release.model_packages import Package
from sluice.services.timeline import note
from sluice.tasks import machine_task

_TOKEN_VALID_FOR = timedelta(days=7)
# In any other state an endpoint is already changing, and cannot be changed.
_CHANGEABLE = {"inservice", "outofservice", "updaterollbackfailed"}


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=DeployModelTask)
def lambda_handler(task: DeployModelTask, context: LambdaContext) -> dict[str, str]:
    cloud = wiring.cloud()
    stage = task.stage
    logger.append_keys(release_id=task.release_id, endpoint_name=stage.endpoint_name)
    if stage.is_batch:
        return {"transform_job": _prove(cloud, task)}
    config = _wanted_config(cloud, task)
    # Store the token first: the event may come before the answer to the request.
    _await(cloud, task, config)
    endpoint = claiming.find_own_endpoint(cloud, task.pipeline, stage.stage, stage.endpoint_name)
    if endpoint is None or serving.target_config(endpoint) != config:
        if task.mirror:
            _prepare_shadow(cloud, task, endpoint)
        is_at_once = task.restore or task.mirror
        deployment_config = serving.immediate_deployment_config() if is_at_once else _prepare(cloud, task)
        try:
            _change(cloud, task, endpoint, config, deployment_config)
        except QuotaError as refusal:
            raise _wait(cloud, task, quotas.read(str(refusal)), is_update=endpoint is not None) from None
    _confirm(cloud, task, config)
    return {"endpoint_name": stage.endpoint_name, "endpoint_config_name": config}


def _wait(cloud: Cloud, task: DeployModelTask, refusal: quotas.Refusal, *, is_update: bool) -> Exception:
    """Note at once why the endpoint is not changed; returns the error to raise."""
    error = quotas.of_endpoint(refusal, is_update=is_update)
    at = releasing.started_at(cloud, task.pipeline, task.release_id)
    note(cloud, task.pipeline, at, task.release_id, f"{task.stage.stage} waits for a quota", str(error))
    return error


def _prove(cloud: Cloud, task: DeployModelTask) -> str:
    """Make the model of a stage without an endpoint, and have a job answer the sample; returns its name."""
    from sluice.services.build import proving  # most stages have an endpoint

    package = _approved(cloud, task)
    _create_model(cloud, task, package)
    _put_alarms(cloud, task, package)
    try:
        return proving.start(cloud, task, package)
    except QuotaError as refusal:
        raise _wait(cloud, task, quotas.read(str(refusal)), is_update=False) from None


def _wanted_config(cloud: Cloud, task: DeployModelTask) -> str:
    if task.mirror:
        return task.stage.require_shadow().config_name
    if not task.restore:
        return task.stage.endpoint_config_name
    if task.stage.previous_config_name is None:
        raise ReleaseRefusedError(f"{task.stage.endpoint_name} served nothing before that could be restored")
    stage = releasing.find_stage(cloud, task.pipeline, task.stage.stage)
    if stage is not None and stage.live == task.release_id:
        # It was promoted; only the record of that failed.
        raise ReleaseRefusedError(f"{task.release_id} is live on {task.stage.stage}")
    return task.stage.previous_config_name


def _await(cloud: Cloud, task: DeployModelTask, config: str) -> None:
    """Store the token of this attempt."""
    waiting = EndpointTask(
        endpoint_name=task.stage.endpoint_name,
        task_token=task.task_token,
        pipeline=task.pipeline,
        release_id=task.release_id,
        step=task.stage.stage,
        status="open",
        expires_at=int((from_iso(cloud.now()) + _TOKEN_VALID_FOR).timestamp()),
        endpoint_config_name=config,
        requested=False,
    )
    cloud.catalog.apply(changes.await_endpoint(waiting))


def _confirm(cloud: Cloud, task: DeployModelTask, config: str) -> None:
    """Note that the change is under way; if it already ended, its event came too early: send it again."""
    name = task.stage.endpoint_name
    cloud.catalog.apply(changes.confirm_request(name, task.task_token))
    endpoint = cloud.endpoints.describe_endpoint(name)
    if not isinstance(serving.outcome(endpoint, name, config), serving.Pending):
        cloud.bus.put("SageMaker Endpoint State Change", {"EndpointName": name})


def _prepare(cloud: Cloud, task: DeployModelTask) -> Item:
    """Make the model, the config and the alarms; returns the deployment config."""
    package = _approved(cloud, task)
    _create_model(cloud, task, package)
    _create_config(cloud, task, package)
    watching = _put_alarms(cloud, task, package)
    if package.config.serve.compute.serverless:
        _note_unguarded_change(cloud, task)
    if task.is_rollback:
        return serving.immediate_deployment_config()
    watching += guarding.find_named(cloud, task, package)
    if firing := _firing(cloud, watching):
        _require_hopeless(cloud, task, firing)
        watching = []
    traffic = next(each.traffic for each in package.config.release.stages if each.name == task.stage.stage)
    return serving.deployment_config(traffic, watching)


def _prepare_shadow(cloud: Cloud, task: DeployModelTask, endpoint: Item | None) -> None:
    """Make the model, and the config by which it is the shadow of what serves."""
    name, wanted = task.stage.endpoint_name, task.stage.require_shadow()
    served = cloud.endpoints.describe_config(task.stage.previous_config_name or "")
    if endpoint is None or served is None:
        raise ReleaseRefusedError(f"{name} serves nothing that {task.release_id} could be a shadow of")
    package = _approved(cloud, task)
    _create_model(cloud, task, package)
    request = serving.shadow_config_request(
        wanted.config_name,
        serving.shadow_variant(task.release_id),
        endpoint,
        served,
        task.stage.model_name,
        _compute(cloud, task, package),
        wanted.percent,
        model_packages.owner(cloud, task),
        model_packages.capture(cloud, package),
    )
    _create_own_config(cloud, task, request)


def _approved(cloud: Cloud, task: DeployModelTask) -> Package:
    package = model_packages.find_package(cloud, task.pipeline, task.package_arn)
    approval = package.described.get("ModelApprovalStatus")
    if not task.is_rollback and approval != "Approved":
        raise ReleaseRefusedError(f"the package is {approval} now: its approval was taken back meanwhile")
    return package


def _create_model(cloud: Cloud, task: DeployModelTask, package: Package) -> None:
    name = task.stage.model_name
    request = model_packages.model_request(cloud, task, package, model_packages.find_evidence(cloud, package))
    role = model_packages.serving_role(cloud, package)
    made_at = cloud.roles.ensure(role)
    try:
        is_new = cloud.endpoints.create_model(request)
    except RequestRefusedError as refusal:
        if roles.is_settling(made_at, cloud.now(), str(refusal)):
            raise RoleNotReadyError(str(refusal)) from refusal
        raise
    if not is_new:
        found = cloud.endpoints.describe_model(name) or {}
        claiming.require_own(cloud, "model", name, found["ModelArn"], model_packages.owner(cloud, task))


def _create_config(cloud: Cloud, task: DeployModelTask, package: Package) -> None:
    name, owner = task.stage.endpoint_config_name, model_packages.owner(cloud, task)
    compute = _compute(cloud, task, package)
    capture = model_packages.capture(cloud, package)
    request = serving.endpoint_config_request(name, task.stage.model_name, compute, owner, capture)
    _create_own_config(cloud, task, request)


def _create_own_config(cloud: Cloud, task: DeployModelTask, request: Item) -> None:
    name = request["EndpointConfigName"]
    if not cloud.endpoints.create_config(request):
        found = cloud.endpoints.describe_config(name) or {}
        owner = model_packages.owner(cloud, task)
        claiming.require_own(cloud, "endpoint config", name, found["EndpointConfigArn"], owner)


def _compute(cloud: Cloud, task: DeployModelTask, package: Package) -> ServeCompute:
    """Return what the project wants the endpoint to run on, as a person may have scaled it."""
    stage = releasing.find_stage(cloud, task.pipeline, task.stage.stage)
    return scales.effective(package.config.serve.compute, stage.scaled if stage else None)


def _put_alarms(cloud: Cloud, task: DeployModelTask, package: Package) -> list[str]:
    """Put the alarms that the package's project wants, delete all others; returns those that roll back."""
    guarded = releasing.find_guarded(cloud, task.pipeline, task.stage.stage, task.stage.endpoint_name)
    limits, errors = package.config.release.alarms, package.config.serve.errors
    wanted = [] if task.stage.is_batch else alarms.requests(guarded, limits, errors)
    told = releasing.watch_alarms(cloud, guarded, package.config)
    for request in (*wanted, *told):
        cloud.alarms.put(request)
    watching = [request["AlarmName"] for request in wanted]
    kept = {*watching, *(request["AlarmName"] for request in told)}
    known = (*guarded.alarm_names, *releasing.watch_alarm_names(guarded))
    if unwanted := [name for name in known if name not in kept]:
        cloud.alarms.delete(unwanted)
    return watching


def _firing(cloud: Cloud, names: list[str]) -> list[str]:
    described = cloud.alarms.describe(names)
    return [name for name, alarm in described.items() if alarm["StateValue"] == "ALARM"]


def _require_hopeless(cloud: Cloud, task: DeployModelTask, firing: list[str]) -> None:
    """Refuse a release under firing alarms, which cannot watch it, if the stage can be rolled back.

    If there is nothing to go back to, only a release can end the alarm: it continues unwatched.
    """
    live = releasing.find_live(cloud, task.pipeline, task.stage.stage)
    if live is None or _can_go_back(cloud, live):
        raise AlarmFiringError(
            f"{', '.join(firing)} is in ALARM and could not watch the release: "
            "roll the stage back, or wait until the alarm is OK, then approve again"
        )
    detail = f"{', '.join(firing)} is in ALARM and nothing can be put back: released without their guard"
    at = releasing.started_at(cloud, task.pipeline, task.release_id)
    note(cloud, task.pipeline, at, task.release_id, "unguarded", detail)


def _note_unguarded_change(cloud: Cloud, task: DeployModelTask) -> None:
    """Note that nothing watches while traffic moves: SageMaker has no guardrails for serverless endpoints."""
    detail = (
        f"{task.stage.endpoint_name} is serverless: it changes at once, and its alarms guard it afterwards"
    )
    at = releasing.started_at(cloud, task.pipeline, task.release_id)
    note(cloud, task.pipeline, at, task.release_id, "all at once", detail)


def _can_go_back(cloud: Cloud, live: Deployment) -> bool:
    """Tell whether there is a known good that nobody rejected since."""
    options = RollbackOptions(deploying.find_history(cloud, live), live, cloud.now())
    packages = (cloud.registry.describe_package(each.package_arn) for each in options.known_good())
    return any(package and package.get("ModelApprovalStatus") != "Rejected" for package in packages)


def _change(
    cloud: Cloud, task: DeployModelTask, endpoint: Item | None, config: str, deployment_config: Item
) -> None:
    endpoints, name = cloud.endpoints, task.stage.endpoint_name
    if endpoint is None:
        owner = tags.of_stage(cloud.stack_name, task.pipeline, task.stage.stage)
        request = {"EndpointName": name, "EndpointConfigName": config, "Tags": tags.listed(owner)}
        endpoints.create_endpoint(request)
        return
    status = serving.status(endpoint["EndpointStatus"])
    if status == "failed":
        # It serves nothing and can only be deleted: the retry creates it.
        endpoints.delete_endpoint(name)
        raise EndpointBusyError(f"{name} had failed and is being deleted")
    if status not in _CHANGEABLE or endpoint.get("PendingDeploymentSummary"):
        raise EndpointBusyError(f"{name} is {endpoint['EndpointStatus']}")
    # AWS says of no guardrails beside a shadow: without any, all traffic moves at once too.
    is_unguarded = serving.is_serverless(endpoint) or task.mirror or serving.has_shadow(endpoint)
    watched = {} if is_unguarded else {"DeploymentConfig": deployment_config}
    if task.stage.is_scaled:
        scaling.pause(cloud, name, endpoint["EndpointConfigName"], config)
    kept = scales.retained() if _keeps_instances(task, endpoint) else {}
    endpoints.update_endpoint({"EndpointName": name, "EndpointConfigName": config, **watched, **kept})


def _keeps_instances(task: DeployModelTask, endpoint: Item) -> bool:
    """Tell whether as many instances stay: what serves keeps its own beside a shadow and after it."""
    if task.mirror:
        # The config itself says how many there are.
        return False
    return task.stage.keeps_instances or (task.restore and serving.has_shadow(endpoint))
