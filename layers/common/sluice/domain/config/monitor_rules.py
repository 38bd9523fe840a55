"""Rules of `monitor`."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.domain.config.models import PipelineConfig
from sluice.domain.config.problems import Breach
from sluice.domain.locations import GROUND_TRUTH


def unreserved_name(config: PipelineConfig) -> Iterator[Breach]:
    """Refuse the name of the folder of labels: its uploads would be no data."""
    if config.name == GROUND_TRUTH:
        yield Breach(("name",), f"is {config.name!r}", "another name: labels are uploaded below this one")
