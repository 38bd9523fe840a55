"""Deployments: from a created or updated endpoint to one that serves, or to the one it was before.

Each runs in a thread of its own. AWS's order is kept: the new fleet starts while the old one serves; traffic
moves in the policy's steps, watched by the alarms; if anything fails, all traffic returns to the old fleet,
the endpoint is InService again with its old config, and no more is said.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from sluice_local.sagemaker import endpoint_events, fleets, traffic
from sluice_local.sagemaker.capture_files import Capture
from sluice_local.sagemaker.channels import JobStorage
from sluice_local.sagemaker.core import Fault, Item, Scope, Table
from sluice_local.sagemaker.deployment_plans import Plan
from sluice_local.sagemaker.fleets import Fleet, Route, Router, Variant
from sluice_local.sagemaker.hosting import HostingError, Launcher

ENDPOINTS = Table("endpoint", "endpoint", "EndpointName")

_ALARMS_EVERY_S = 0.25
_REASON_LENGTH = 1024
_INTERNAL_ERROR = "InternalServerError: We encountered an internal error.  Please try again."
_logger = logging.getLogger(__name__)


class EndpointDeletedError(Exception):
    """The endpoint was deleted while it was being deployed."""


class AlarmRaisedError(Exception):
    """An alarm of the deployment's AutoRollbackConfiguration is in ALARM."""


class LiveEndpoint:
    """An endpoint that exists, with where its requests go. Nothing changes it once it is deleted."""

    def __init__(self, scope: Scope, name: str) -> None:
        self.scope = scope
        self.name = name
        self.router = Router()
        self.deleted = threading.Event()
        self._lock = threading.RLock()

    def change(self, routes: Sequence[Route] | None = None, **changes: Any) -> Item:
        """Send requests to other fleets, and describe it otherwise. Raises EndpointDeletedError."""
        with self._lock:
            if self.deleted.is_set():
                raise EndpointDeletedError
            if routes is not None:
                self.router.routes = tuple(routes)
            return ENDPOINTS.change(self.scope, self.name, **changes)

    def enter(self, status: str, routes: Sequence[Route] | None = None, **changes: Any) -> None:
        """Change its status, and announce it. Raises EndpointDeletedError."""
        item = self.change(routes, EndpointStatus=status, **changes)
        endpoint_events.publish_state(self.scope, item)

    @contextmanager
    def updating(self, **changes: Any) -> Iterator[Fleet]:
        """Make it Updating after the block, which gets the fleet that serves and may refuse by a Fault.

        Raises Fault if it is not InService, and EndpointDeletedError.
        """
        with self._lock:
            item = self.change()
            if item["EndpointStatus"] != "InService":
                raise Fault("ValidationException", _not_updatable(item))
            yield self.router.routes[0].fleet
            self.enter("Updating", **changes)

    def announce(self, pending: Item, routes: Sequence[Route] | None = None) -> None:
        """Tell how far its deployment is. Raises EndpointDeletedError."""
        item = self.change(routes, PendingDeploymentSummary=pending)
        endpoint_events.publish_deployment(self.scope, item)

    def delete(self) -> list[Fleet]:
        """It is gone when this returns; its fleets are the caller's to stop."""
        with self._lock:
            self.enter("Deleting")
            self.deleted.set()
            ENDPOINTS.delete(self.scope, self.name)
            routes, self.router.routes = self.router.routes, ()
        return [route.fleet for route in routes]


class Deployer:
    """Carries deployments out in the background."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def create(self, live: LiveEndpoint, plan: Plan) -> None:
        """Bring a new endpoint into service; it is Failed if that cannot be done."""
        _in_background(live, lambda: self._create(live, plan))

    def update(self, live: LiveEndpoint, plan: Plan) -> None:
        """Replace an endpoint's fleet."""
        _in_background(live, lambda: self._update(live, plan))

    def reweigh(self, live: LiveEndpoint, variants: Sequence[Variant]) -> None:
        """Give the variants of the fleet that serves other weights and instances."""
        _in_background(live, lambda: _reweigh(live, variants))

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

    def _update(self, live: LiveEndpoint, plan: Plan) -> None:
        live.announce(plan.pending("Creating"))
        old = live.router.routes[0].fleet
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
        servers = fleets.launch(self._launcher, live.scope, live.name, plan.variants, live.deleted)
        capture = None
        if plan.capture:
            storage = JobStorage(
                live.scope, next(iter(servers.values())).spec.role_arn, self._launcher.endpoint_url
            )
            capture = Capture(plan.capture, live.name, storage)
        return Fleet(plan.config_name, plan.variants, servers, capture)

    def _shift_traffic(self, live: LiveEndpoint, plan: Plan, old: Fleet, new: Fleet) -> Fleet:
        """Move traffic to the new fleet, and back if an alarm says so; the fleet that is left without any.

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
        DataCaptureConfig=fleet.capture and fleet.capture.config.describe(),
        PendingDeploymentSummary=None,
        **changes,
    )


def _reweigh(live: LiveEndpoint, variants: Sequence[Variant]) -> None:
    fleet = live.router.routes[0].fleet
    fleet.variants = variants
    _serve(live, fleet)


def _bake(live: LiveEndpoint, alarms: Sequence[str], seconds: float) -> None:
    """Watch the alarms for so long. Raises AlarmRaisedError or EndpointDeletedError."""
    deadline = time.monotonic() + seconds
    while True:
        if any(alarm_state(live.scope, name) == "ALARM" for name in alarms):
            raise AlarmRaisedError
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return
        if live.deleted.wait(min(remaining, _ALARMS_EVERY_S)):
            raise EndpointDeletedError


def alarm_state(scope: Scope, name: str) -> str | None:
    """The state of a metric or composite alarm; None if there is no such alarm."""
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


def _not_updatable(item: Item) -> str:
    if item["EndpointStatus"] == "Failed":
        return f'Cannot update endpoint "{item["EndpointArn"]}", as it has failed: it can only be deleted.'
    return f'Cannot update in-progress endpoint "{item["EndpointArn"]}".'


def _shortened(error: Exception) -> str:
    return str(error)[:_REASON_LENGTH]
