"""Application Auto Scaling on this machine: the instances of an endpoint follow its requests."""

from __future__ import annotations

from sluice_local.settings import Settings


def install(settings: Settings) -> None:
    """Add Application Auto Scaling to ministack."""
    # Import it only now: ministack reads its environment on import.
    from sluice_local.autoscaling import service

    service.install()
