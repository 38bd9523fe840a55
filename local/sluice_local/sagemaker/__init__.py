"""The local SageMaker."""

from sluice_local.settings import Settings


def install(settings: Settings) -> None:
    """Nothing is registered yet."""
