"""Store CloudWatch's datapoints, writable from any thread and readable by time without a scan."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any

from ministack.services import cloudwatch

from sluice_local.patches.alarms.math import Series
from sluice_local.state import stores

_RETENTION_S = cloudwatch.TWO_WEEKS_SECONDS
_lock = threading.Lock()

Point = dict[str, Any]
SeriesCache = dict[int, tuple[int, float | None]]


def _timestamp(point: Point) -> float:
    return float(point["Timestamp"])


class Points(list[Point]):
    """A metric's datapoints, ordered by timestamp."""

    def append(self, point: Point) -> None:
        """Insert by timestamp; nearly always the newest."""
        with _lock:
            self.insert(bisect_right(self, _timestamp(point), key=_timestamp), point)

    def between(self, start: float, end: float) -> list[Point]:
        """Return the points with start <= timestamp < end."""
        with _lock:
            return self[bisect_left(self, start, key=_timestamp) : bisect_left(self, end, key=_timestamp)]

    def expire(self, before: float) -> bool:
        """Remove older points; True if none is left."""
        with _lock:
            expired = bisect_left(self, before, key=_timestamp)
            del self[:expired]
            return expired > 0 and not self


def bucket(key: tuple[str, str, str]) -> Points:
    """Return the metric's points in the current account and region, made on its first write."""
    points = cloudwatch._metrics.setdefault(key, Points())
    if not isinstance(points, Points):  # restored from a saved state
        points = cloudwatch._metrics[key] = Points(sorted(points, key=_timestamp))
    return points


def _saved() -> dict[Any, list[Point]]:
    with _lock:
        return {key: list(points) for key, points in list(cloudwatch._metrics._data.items())}


def _restore(saved: dict[Any, list[Point]]) -> None:
    cloudwatch._metrics._data.clear()
    cloudwatch._metrics._data.update({key: Points(points) for key, points in saved.items()})


def evict_expired() -> None:
    """Evict in place: ministack copies every list on every request, and loses concurrent writes."""
    before = time.time() - _RETENTION_S
    for key in cloudwatch._metrics:
        if bucket(key).expire(before):
            del cloudwatch._metrics[key]


def series(stat: Mapping[str, Any], moments: list[int], cache: SeriesCache) -> Series:
    """Return a MetricStat's statistic in each period of `moments` that has data.

    `cache` has periods by their number of points, so that a tick computes only what changed.
    """
    metric = stat["Metric"]
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(metric.get("Dimensions") or []))
    key = (metric["Namespace"], metric["MetricName"], dimensions)
    if key not in cloudwatch._metrics:
        return {}
    points, period = bucket(key), int(stat["Period"])
    computed: SeriesCache = {}
    for start in moments:
        window = points.between(start, start + period)
        count, value = cache.get(start, (0, None))
        if count != len(window):
            value = _statistic(window, stat)
        computed[start] = (len(window), value)
    cache.clear()
    cache.update(computed)
    return {start: value for start, (_, value) in computed.items() if value is not None}


def _statistic(window: list[Point], stat: Mapping[str, Any]) -> float | None:
    unit = stat.get("Unit")
    counted = [point for point in window if unit in (None, point["Unit"])]
    statistics = cloudwatch._calc_stats(counted)
    return cloudwatch._stat_value(statistics, stat["Stat"], counted) if statistics else None


def install() -> None:
    """Replace ministack's bucket and eviction."""
    stores.register("metrics", _saved, _restore)
    cloudwatch._metric_bucket = bucket
    cloudwatch._evict_old_metrics = evict_expired
