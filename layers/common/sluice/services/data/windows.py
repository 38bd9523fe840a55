"""Keep when each content of a window last came, so that a build asks only about what is new."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from sluice.domain.data import windows
from sluice.services.building import locations
from sluice.services.data import arrivals

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival
    from sluice.domain.config.models import Window
    from sluice.domain.data.datasets import DatasetManifest
    from sluice.domain.data.windows import Came, Content
    from sluice.ports import Cloud


def within(
    cloud: Cloud,
    pipeline: str,
    window: Window,
    former: DatasetManifest,
    manifest: DatasetManifest,
    waiting: Sequence[Arrival],
) -> DatasetManifest:
    """Return the part of a data set within the window; `waiting` are in the batches they are taken up with.

    Whatever came since the last valid data set waits, or is noted as touched. So the catalog is asked only of
    keys that are touched and of contents that no former window held, such as all after a change of the mode.
    """
    known = _known(cloud, pipeline)
    came = windows.newest(known, waiting)
    touched = arrivals.touched(cloud, pipeline, ()) - {arrival.key for arrival in waiting}
    asked = {obj.key for obj in manifest.objects if obj.key in touched or (obj.key, obj.sha256) not in came}
    came = windows.newest(came, arrivals.versions(cloud, pipeline, asked))
    kept = windows.within(manifest, window, came)
    # The former data set stays the base of the next if this one turns out invalid.
    contents = {(obj.key, obj.sha256) for obj in chain(former.objects, kept.objects)}
    _keep(cloud, pipeline, {content: each for content, each in came.items() if content in contents})
    return kept


def _known(cloud: Cloud, pipeline: str) -> dict[Content, Came]:
    try:
        return windows.from_json(cloud.objects.read(locations(cloud, pipeline).arrival_times))
    except FileNotFoundError:
        return {}


def _keep(cloud: Cloud, pipeline: str, came: dict[Content, Came]) -> None:
    uri = locations(cloud, pipeline).arrival_times
    cloud.objects.write(uri, windows.to_json(came), "application/json")
