"""SageMaker on this machine: a registry, jobs that run and endpoints that serve, behind the AWS API.

State is in memory and ends with the process.
"""

from __future__ import annotations

from sluice_local.settings import Settings


def install(settings: Settings) -> None:
    """Add SageMaker to ministack."""
    # Imported only now, as ministack reads its environment on import.
    from sluice_local.sagemaker import endpoints, jobs, service

    jobs.install(settings)
    endpoints.install(settings)
    service.install()
