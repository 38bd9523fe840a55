"""The existing endpoints: their descriptions, and where their requests go."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table
from sluice_local.sagemaker.hosting import endpoint_events
from sluice_local.sagemaker.hosting.fleets import Fleet, Route, Router

# "The name is case-insensitive in CreateEndpoint, but the case is preserved and must be matched in
# InvokeEndpoint", says the model: requests go by the name that was given.
ENDPOINTS = Table("endpoint", "endpoint", "EndpointName", ignores_case=True)


class EndpointDeletedError(ApiError):
    """The endpoint was deleted by another request."""


class LiveEndpoint:
    """An existing endpoint and its routes. Nothing changes it once it is deleted."""

    def __init__(self, scope: Scope, name: str) -> None:
        self.scope = scope
        self.name = name
        self.router = Router()
        self.deleted = threading.Event()
        self._lock = threading.RLock()

    def require_existing(self) -> None:
        """Raise EndpointDeletedError if it was deleted."""
        if self.deleted.is_set():
            arn = self.scope.arn("endpoint", self.name)
            raise EndpointDeletedError("ValidationException", f'Could not find endpoint "{arn}".')

    def change(self, routes: Sequence[Route] | None = None, **changes: Any) -> Item:
        """Change its routes and its description; raises EndpointDeletedError."""
        with self._lock:
            self.require_existing()
            if routes is not None:
                self.router.routes = tuple(routes)
            return ENDPOINTS.change(self.scope, self.name, **changes)

    def enter(self, status: str, routes: Sequence[Route] | None = None, **changes: Any) -> None:
        """Change its status and announce that; raises EndpointDeletedError."""
        item = self.change(routes, EndpointStatus=status, **changes)
        endpoint_events.publish_state(self.scope, item)

    @contextmanager
    def updating(self, **changes: Any) -> Iterator[Fleet]:
        """Make it Updating after the block, which gets the serving fleet and may refuse with ApiError.

        Raises ApiError if it is not InService, and EndpointDeletedError.
        """
        with self._lock:
            self.require_existing()
            item = ENDPOINTS.get(self.scope, self.name)
            if item["EndpointStatus"] != "InService":
                raise ApiError("ValidationException", _not_updatable(item))
            yield self.router.routes[0].fleet
            self.enter("Updating", **changes)

    def announce(self, pending: Item, routes: Sequence[Route] | None = None) -> None:
        """Announce its deployment's progress; raises EndpointDeletedError."""
        item = self.change(routes, PendingDeploymentSummary=pending)
        endpoint_events.publish_deployment(self.scope, item)

    def delete(self) -> list[Fleet]:
        """Delete it; returns its fleets, which the caller must stop."""
        with self._lock:
            self.enter("Deleting")
            self.deleted.set()
            ENDPOINTS.delete(self.scope, self.name)
            routes, self.router.routes = self.router.routes, ()
        return [route.fleet for route in routes]


def _not_updatable(item: Item) -> str:
    if item["EndpointStatus"] == "Failed":
        return f'Cannot update endpoint "{item["EndpointArn"]}", as it has failed: it can only be deleted.'
    return f'Cannot update in-progress endpoint "{item["EndpointArn"]}".'
