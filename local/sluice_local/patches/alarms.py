"""CloudWatch alarms, as AWS does it."""

from sluice_local.settings import Settings


def install(settings: Settings) -> None:
    """Nothing is patched yet."""
