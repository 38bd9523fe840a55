"""Carry out deployments of created and updated endpoints, or roll them back.

Each runs in its own thread, in AWS's order: the new fleet starts while the old one serves; traffic moves in
the policy's steps, watched by the alarms; if anything fails, all traffic returns to the old fleet, and the
endpoint is silently InService again with its old config.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from sluice_local.sagemaker.api.core import Scope
from sluice_local.sagemaker.containers.channels import JobStorage
from sluice_local.sagemaker.hosting import fleets, traffic
from sluice_local.sagemaker.hosting.capture_files import Capture
from sluice_local.sagemaker.hosting.deployment_plans import Plan
from sluice_local.sagemaker.hosting.fleets import Fleet, Route, Variant
from sluice_local.sagemaker.hosting.launcher import HostingError, Launcher
from sluice_local.sagemaker.hosting.live_endpoints import EndpointDeletedError, LiveEndpoint

_ALARMS_EVERY_S = 0.25
_REASON_LENGTH = 1024
_INTERNAL_ERROR = "InternalServerError: We encountered an internal error.  Please try again."
_logger = logging.getLogger(__name__)


class AlarmRaisedError(Exception):
    """An alarm of the deployment's AutoRollbackConfiguration is in ALARM."""


class Deployer:
    """Carries deployments out in the background."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def create(self, live: LiveEndpoint, plan: Plan) -> None:
        """Bring a new endpoint into service, or make it Failed."""
        _in_background(live, lambda: self._create(live, plan))

    def update(self, live: LiveEndpoint, old: Fleet, plan: Plan) -> None:
        """Replace an endpoint's fleet."""
        _in_background(live, lambda: self._update(live, old, plan))

    def reweigh(self, live: LiveEndpoint, fleet: Fleet, variants: Sequence[Variant]) -> None:
        """Change the weights and instances of the serving fleet's variants."""
        _in_background(live, lambda: _reweigh(live, fleet, variants))

    def _create(self, live: LiveEndpoint, plan: Plan) -> None:
        try:
            fleet = self._launched(live, plan)
        except HostingError as error:
            live.enter("Failed", FailureReason=_shortened(error))
            return
        try:
            _serve(live, fleet)
        except EndpointDeletedError:
            fleet.stop()

    def _update(self, live: LiveEndpoint, old: Fleet, plan: Plan) -> None:
        live.announce(plan.pending("Creating"))
        try:
            new = self._launched(live, plan)
        except HostingError as error:
            live.enter("RollingBack")
            _serve(live, old, FailureReason=_shortened(error))
            return
        try:
            replaced = self._shift_traffic(live, plan, old, new)
        except EndpointDeletedError:
            replaced = new
        replaced.stop()

    def _launched(self, live: LiveEndpoint, plan: Plan) -> Fleet:
        variants = [*plan.variants, *([plan.shadow] if plan.shadow else [])]
        servers = fleets.launch(self._launcher, live.scope, live.name, variants, live.deleted)
        capture = None
        if plan.capture:
            storage = JobStorage(
                live.scope, next(iter(servers.values())).spec.role_arn, self._launcher.endpoint_url
            )
            capture = Capture(plan.capture, live.name, storage)
        return Fleet(plan.config_name, plan.variants, servers, capture, plan.shadow)

    def _shift_traffic(self, live: LiveEndpoint, plan: Plan, old: Fleet, new: Fleet) -> Fleet:
        """Move traffic to the new fleet, and back if an alarm fires; returns the fleet without traffic.

        Raises EndpointDeletedError.
        """
        try:
            for shift in traffic.shifts(plan.policy, plan.instances):
                routes = [Route(old, 1 - shift.share), Route(new, shift.share)]
                live.announce(plan.pending("ActivatingTraffic", active=shift.share), routes)
                if shift.bake_s:
                    live.announce(plan.pending("Baking", shift.message, shift.share))
                _bake(live, plan.alarms, shift.bake_s)
        except AlarmRaisedError:
            live.enter("RollingBack", [Route(old)])
            _serve(live, old)
            return new
        _serve(live, new)
        return old


def _serve(live: LiveEndpoint, fleet: Fleet, **changes: Any) -> None:
    live.enter(
        "InService",
        [Route(fleet)],
        EndpointConfigName=fleet.config_name,
        ProductionVariants=fleet.describe(),
        ShadowProductionVariants=fleet.describe_shadows(),
        DataCaptureConfig=fleet.capture and fleet.capture.config.describe(),
        PendingDeploymentSummary=None,
        **changes,
    )


def _reweigh(live: LiveEndpoint, fleet: Fleet, variants: Sequence[Variant]) -> None:
    fleet.reweigh(variants)
    _serve(live, fleet)


def _bake(live: LiveEndpoint, alarms: Sequence[str], seconds: float) -> None:
    """Watch the alarms for a time; raises AlarmRaisedError or EndpointDeletedError."""
    deadline = time.monotonic() + seconds
    while True:
        if any(alarm_state(live.scope, name) == "ALARM" for name in alarms):
            raise AlarmRaisedError
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return
        live.deleted.wait(min(remaining, _ALARMS_EVERY_S))
        live.require_existing()


def alarm_state(scope: Scope, name: str) -> str | None:
    """Return the state of a metric or composite alarm; None if there is no such alarm."""
    with request_scope(scope.account, scope.region):
        alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    return alarm["StateValue"] if alarm else None


def _in_background(live: LiveEndpoint, deploy: Callable[[], None]) -> None:
    def run() -> None:
        try:
            deploy()
        except EndpointDeletedError:
            _logger.info("endpoint %s was deleted while it was deployed", live.name)
        except Exception:
            _logger.exception("the deployment of endpoint %s broke", live.name)
            with suppress(EndpointDeletedError):
                status = "InService" if live.router.routes else "Failed"
                live.enter(status, FailureReason=_INTERNAL_ERROR, PendingDeploymentSummary=None)

    threading.Thread(target=run, name=f"deploy-{live.name}", daemon=True).start()


def _shortened(error: Exception) -> str:
    return str(error)[:_REASON_LENGTH]
