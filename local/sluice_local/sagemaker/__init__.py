"""SageMaker on this machine: a registry, jobs that run and endpoints that serve, behind the AWS API."""

from __future__ import annotations

from sluice_local.settings import Settings


def install(settings: Settings) -> None:
    """Add SageMaker to ministack."""
    # Imported only now, as ministack reads its environment on import.
    from sluice_local.sagemaker import core, endpoints, jobs, packages, service
    from sluice_local.state import stores

    jobs.install(settings)
    endpoints.install(settings)
    service.install()
    for kind, table in core.TABLES.items():
        stores.register(f"sagemaker {kind}", table.saved, table.restore)
    stores.register("sagemaker tokens", packages.saved_tokens, packages.restore_tokens)
