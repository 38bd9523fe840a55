"""An endpoint's fleets: one server process for each production variant, and the routing of requests."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope
from sluice_local.sagemaker.hosting import models, traffic
from sluice_local.sagemaker.hosting.capture_files import Capture
from sluice_local.sagemaker.hosting.launcher import HostingError, Launcher, ModelServer, ServerSpec
from sluice_local.sagemaker.hosting.on_demand import OnDemandServer, Serverless

Server = ModelServer | OnDemandServer


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant of an endpoint config, with its current weight and instances."""

    name: str
    model_name: str
    weight: float
    instances: int
    memory_mb: int | None
    """What a server may hold; None if that is not known."""
    startup_timeout_s: float = 240.0
    serverless: Serverless | None = None
    """What it is limited to, if it has no instances."""

    def describe(self, active: float = 1.0) -> dict[str, Any]:
        """Describe it as DescribeEndpoint does, with this share of the instances in service."""
        described = {
            "VariantName": self.name,
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
        }
        if self.serverless:
            return {**described, "CurrentServerlessConfig": self.serverless.describe()}
        return {
            **described,
            "CurrentInstanceCount": round(self.instances * active),
            "DesiredInstanceCount": self.instances,
        }


class Fleet:
    """The servers of one endpoint config. A variant's instances share one process."""

    def __init__(
        self,
        config_name: str,
        variants: Sequence[Variant],
        servers: Mapping[str, Server],
        capture: Capture | None,
        shadow: Variant | None = None,
    ) -> None:
        """Take the servers of all variants, with that of the shadow, if there is one."""
        self.config_name = config_name
        self.shadow = shadow
        self.variants = variants
        self.capture = capture
        self._servers = servers

    @property
    def is_serverless(self) -> bool:
        """Tell whether it has no instances."""
        return any(variant.serverless for variant in self.variants)

    def choose(self, target_variant: str | None) -> tuple[Variant, Server]:
        """Choose the variant asked for, else one by weight, and its server; raises LookupError if none."""
        variants = {variant.name: variant for variant in self.variants}
        name = target_variant or traffic.choose({v.name: v.weight for v in self.variants}, _point())
        return variants[name], self._servers[name]

    def mirror(self, variant: Variant) -> tuple[Variant, Server] | None:
        """Draw whether the shadow gets a request to a variant too, and return it with its server.

        It gets the share that its weight is of the variant's.
        """
        shadow = self.shadow
        if shadow is None or _point() * variant.weight >= shadow.weight:
            return None
        return shadow, self._servers[shadow.name]

    def describe(self) -> list[Item]:
        """Return the endpoint's `ProductionVariants` while this fleet serves it."""
        return [self._described(variant) for variant in self.variants]

    def describe_shadows(self) -> list[Item] | None:
        """Return its `ShadowProductionVariants`; None if it has none."""
        return [self._described(self.shadow)] if self.shadow else None

    def _described(self, variant: Variant) -> Item:
        return {**variant.describe(), "DeployedImages": [self._servers[variant.name].deployed_image]}

    def reweigh(self, variants: Sequence[Variant]) -> None:
        """Give the variants other weights, instances and concurrencies."""
        self.variants = variants
        for variant in variants:
            server = self._servers[variant.name]
            if variant.serverless and isinstance(server, OnDemandServer):
                server.limit(variant.serverless)

    def stop(self) -> None:
        """End the processes once they have answered, and write captured data."""
        with ThreadPoolExecutor(len(self._servers)) as pool:
            list(pool.map(lambda server: server.stop(), self._servers.values()))
        if self.capture:
            self.capture.close()


@dataclass(frozen=True, slots=True)
class Route:
    """A fleet and its share of the requests."""

    fleet: Fleet
    share: float = 1.0


class Router:
    """Routes an endpoint's requests: usually to one fleet, during a deployment to two."""

    def __init__(self) -> None:
        self.routes: tuple[Route, ...] = ()

    def fleet(self) -> Fleet:
        """Choose the fleet of the next request; raises LookupError if there is none."""
        routes = self.routes
        shares = {str(number): route.share for number, route in enumerate(routes)}
        return routes[int(traffic.choose(shares, _point()))].fleet


def launch(
    launcher: Launcher,
    scope: Scope,
    endpoint: str,
    variants: Sequence[Variant],
    cancelled: threading.Event,
) -> dict[str, Server]:
    """Start a server for each variant and wait until all are healthy. Raises HostingError."""
    servers: dict[str, Server] = {}
    try:
        for variant in variants:
            servers[variant.name] = _launch(launcher, server_spec(scope, endpoint, variant), variant)
        for server in servers.values():
            server.wait_until_healthy(cancelled)
    except HostingError:
        for server in servers.values():
            server.stop()
        raise
    return servers


def _launch(launcher: Launcher, spec: ServerSpec, variant: Variant) -> Server:
    if variant.serverless:
        return OnDemandServer(lambda: launcher.launch(spec), variant.serverless)
    return launcher.launch(spec)


def server_spec(scope: Scope, endpoint: str, variant: Variant) -> ServerSpec:
    """Return what serves a variant; raises HostingError for a model that cannot be served here."""
    try:
        model = models.MODELS.get(scope, variant.model_name)
        containers = models.containers(scope, variant.model_name)
    except ApiError as fault:
        raise HostingError(fault.message) from fault
    if len(containers) > 1 or "ModelDataSource" in containers[0]:
        raise HostingError(
            f"Model {variant.model_name} cannot be served locally: it must have one container, and its "
            "model data, if any, as ModelDataUrl."
        )
    return ServerSpec(
        scope=scope,
        endpoint=endpoint,
        variant=variant.name,
        role_arn=model["ExecutionRoleArn"],
        image=containers[0]["Image"],
        model_data_url=containers[0].get("ModelDataUrl"),
        environment=containers[0].get("Environment", {}),
        memory_mb=variant.memory_mb,
        startup_timeout_s=variant.startup_timeout_s,
    )


def _point() -> float:
    return random.random()  # noqa: S311 - a share of requests, not a secret
