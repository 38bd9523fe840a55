"""Find what data are compared with, for `validate_data` and for `sluice validate` alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.domain.failures import MissingError
from sluice.quality.judging import Baseline
from sluice.services import building
from sluice.services.side_by_side import together

if TYPE_CHECKING:
    from sluice.domain.config.models import Data
    from sluice.ports import Cloud


def find(cloud: Cloud, pipeline: str, data: Data, previous: str | None) -> Baseline:
    """Return the rows of the `previous` valid version, and its profile or that of the pinned version.

    Raises MissingError if the pinned version has no profile that can be read.
    """
    pinned = data.drift.baseline if data.drift and data.drift.baseline != "previous" else None
    version = pinned or previous
    dataset, profile = together(
        lambda: building.find_dataset(cloud, pipeline, previous) if previous else None,
        lambda: building.find_profile(cloud, pipeline, version) if version else None,
    )
    if pinned and profile is None:
        of_it = f"a version of {pipeline} without a profile of this format"
        raise MissingError(f"data.drift.baseline is {pinned}, {of_it}")
    return Baseline(dataset.rows if dataset else None, version or "", profile)
