"""Find what data are compared with, for `validate_data` and for `sluice validate` alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.domain.failures import MissingError
from sluice.quality.judging import Baseline
from sluice.services import building

if TYPE_CHECKING:
    from sluice.domain.config.models import Data
    from sluice.ports import Cloud


def find(cloud: Cloud, pipeline: str, data: Data, previous: str | None) -> Baseline:
    """Return the rows of the `previous` valid version, and its profile or that of the pinned version.

    Raises MissingError if the pinned version has no profile that can be read.
    """
    dataset = building.find_dataset(cloud, pipeline, previous) if previous else None
    rows = dataset.rows if dataset else None
    if data.drift is None or data.drift.baseline == "previous":
        profile = building.find_profile(cloud, pipeline, previous) if previous else None
        return Baseline(rows, previous or "", profile)
    pinned = data.drift.baseline
    if (profile := building.find_profile(cloud, pipeline, pinned)) is None:
        of_it = f"a version of {pipeline} without a profile of this format"
        raise MissingError(f"data.drift.baseline is {pinned}, {of_it}")
    return Baseline(rows, pinned, profile)
