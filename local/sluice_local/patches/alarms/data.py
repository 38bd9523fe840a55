"""Answer GetMetricData with metric math, of which ministack knows none.

Values of a period stand at its start, the newest first, unless `ScanBy` asks otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import cloudwatch

from sluice_local.patches.alarms import metric_store
from sluice_local.patches.alarms.evaluation import computed, period_s
from sluice_local.patches.alarms.math import MetricMathError, Series

Respond = Callable[..., Any]


def install() -> None:
    """Replace the operation in the protocols of the SDKs; the old query protocol stays as it is."""
    cloudwatch._get_metric_data = _answering(cloudwatch._get_metric_data)


def _answering(original: Respond) -> Respond:
    def get_metric_data(params: Any, body: Mapping[str, Any], is_cbor: bool, is_json: bool = False) -> Any:
        if not (is_cbor or is_json):
            return original(params, body, is_cbor, is_json)
        found = {"MetricDataResults": _results(body)}
        return cloudwatch._json_ok(found) if is_json else cloudwatch._cbor_ok(found)

    return get_metric_data


def _results(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    queries = request["MetricDataQueries"]
    period = period_s({"Metrics": queries})
    start, end = (cloudwatch._parse_ts(request[name]) for name in ("StartTime", "EndTime"))
    moments = [*range(int(start // period) * period, int(end), period)]
    datapoints = {
        query["Id"]: metric_store.series(query["MetricStat"], moments, {})
        for query in queries
        if "MetricStat" in query
    }
    is_newest_first = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"

    def result(query: Mapping[str, Any]) -> dict[str, Any]:
        said = {"Id": query["Id"], "Label": query.get("Label", query["Id"])}
        try:
            series: Series = computed(query["Id"], queries, datapoints, moments, period)
        except MetricMathError as error:
            problem = {"Code": "ArgumentError", "Value": str(error)}
            return {
                **said,
                "StatusCode": "InternalError",
                "Messages": [problem],
                "Timestamps": [],
                "Values": [],
            }
        rows = sorted(series.items(), reverse=is_newest_first)
        return {
            **said,
            "StatusCode": "Complete",
            "Timestamps": [at for at, _ in rows],
            "Values": [value for _, value in rows],
        }

    return [result(query) for query in queries if query.get("ReturnData", True)]
