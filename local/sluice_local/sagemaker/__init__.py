"""SageMaker on this machine: a registry, jobs that run and endpoints that serve, behind the AWS API."""

from __future__ import annotations

from sluice_local.settings import Settings


def install(settings: Settings) -> None:
    """Add SageMaker to ministack."""
    # Import it only now: ministack reads its environment on import.
    from sluice_local.sagemaker import service, stacks
    from sluice_local.sagemaker.api import core, tokens
    from sluice_local.sagemaker.hosting import endpoints
    from sluice_local.sagemaker.jobs import operations
    from sluice_local.sagemaker.pipelines import access
    from sluice_local.state import stores

    operations.install(settings)
    endpoints.install(settings)
    access.install(settings)
    service.install()
    stacks.install()
    for kind, table in core.TABLES.items():
        stores.register(f"sagemaker {kind}", table.saved, table.restore)
    stores.register("sagemaker tokens", tokens.saved, tokens.restore)
