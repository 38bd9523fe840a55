"""Refuse datapoints that CloudWatch refuses, and read statistics by unit.

Ministack stores whatever PutMetricData has, and GetMetricStatistics adds up seconds and bytes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ministack.services import cloudwatch

from sluice_local.patches.alarms import metric_store
from sluice_local.patches.alarms.requests import from_query
from sluice_local.patches.shapes import coerce, input_shape

Response = tuple[int, dict[str, str], bytes]
Members = Mapping[str, Any]

_MOST_DATA, _MOST_DIMENSIONS, _MOST_VALUES = 1000, 30, 150
_LARGEST = 2.0**360
_OLDEST_S, _NEWEST_S = 14 * 86_400, 2 * 3600
_VALUES = ("Value", "Values", "StatisticValues")
_ALL_STATISTICS = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")


class MetricDataError(ValueError):
    """Data that CloudWatch would refuse, by the name of its error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def install() -> None:
    """Check what is put, and read statistics from the store."""
    cloudwatch._put_metric_data = _checked(cloudwatch._put_metric_data)
    cloudwatch._get_metric_statistics = _get_metric_statistics


def _checked(put_metric_data: Callable[..., Response]) -> Callable[..., Response]:
    def put(params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Response:
        members = data if is_cbor or is_json else from_query(params)
        try:
            check(coerce(members, input_shape("cloudwatch", "PutMetricData")), time.time())
        except MetricDataError as error:
            return cloudwatch._error(error.code, str(error), 400, use_json=is_json, use_cbor=is_cbor)  # type: ignore[no-any-return]
        return put_metric_data(params, data, is_cbor, is_json)

    return put


def check(members: Members, now: float) -> None:
    """Raise MetricDataError for a request that CloudWatch refuses as a whole."""
    data = members.get("MetricData", [])
    _require_size("MetricData", data, _MOST_DATA)
    for number, datum in enumerate(data, 1):
        at = f"MetricData.member.{number}"
        _require_size(f"{at}.Dimensions", datum.get("Dimensions", []), _MOST_DIMENSIONS)
        _require_size(f"{at}.Values", datum.get("Values", []), _MOST_VALUES)
        _check_values(datum, at)
        _check_time(datum, at, now)
        _check_unit(datum, at)


def _check_values(datum: Members, at: str) -> None:
    given = [name for name in _VALUES if name in datum]
    if not given:
        places = ", ".join(f"{at}.{name}" for name in _VALUES)
        raise MetricDataError("MissingParameter", f"At least one of the parameters {places} is required.")
    if len(given) > 1:
        places = " and ".join(f"{at}.{name}" for name in given)
        message = f"The parameters {places} are mutually exclusive and you have specified both."
        raise MetricDataError("InvalidParameterCombination", message)
    if "Counts" in datum and len(datum["Counts"]) != len(datum.get("Values", [])):
        message = f"The parameters {at}.Values and {at}.Counts must have the same size."
        raise MetricDataError("InvalidParameterValue", message)
    for place, value in _numbers(datum, at):
        if not math.isfinite(value) or abs(value) > _LARGEST:
            message = f"The value {value} for parameter {place} is invalid."
            raise MetricDataError("InvalidParameterValue", message)


def _numbers(datum: Members, at: str) -> Iterator[tuple[str, float]]:
    if "Value" in datum:
        yield f"{at}.Value", datum["Value"]
    for name in ("Values", "Counts"):
        for number, value in enumerate(datum.get(name, []), 1):
            yield f"{at}.{name}.member.{number}", value
    for name, value in datum.get("StatisticValues", {}).items():
        yield f"{at}.StatisticValues.{name}", value


def _check_time(datum: Members, at: str, now: float) -> None:
    moment = cloudwatch._parse_ts(datum["Timestamp"]) if "Timestamp" in datum else now
    if moment < now - _OLDEST_S:
        limit = "no more than two weeks in the past"
    elif moment > now + _NEWEST_S:
        limit = "no more than two hours in the future"
    else:
        return
    message = f"The parameter {at}.Timestamp must specify a time {limit}."
    raise MetricDataError("InvalidParameterValue", message)


def _check_unit(datum: Members, at: str) -> None:
    known = input_shape("cloudwatch", "GetMetricStatistics").members["Unit"].enum  # type: ignore[attr-defined]
    if datum.get("Unit", "None") not in known:
        message = f"The parameter {at}.Unit must be a value in the set [{', '.join(known)}]."
        raise MetricDataError("InvalidParameterValue", message)


def _require_size(place: str, values: list[Any], most: int) -> None:
    if len(values) > most:
        message = f"The collection {place} must not have a size greater than {most}."
        raise MetricDataError("InvalidParameterValue", message)


def _get_metric_statistics(params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Response:
    members = data if is_cbor or is_json else from_query(params)
    request = coerce(members, input_shape("cloudwatch", "GetMetricStatistics"))
    found, label = _datapoints(request), request["MetricName"]
    if is_cbor:
        shown = [cloudwatch._cbor_datapoint(each) for each in found]
        return cloudwatch._cbor_ok({"Datapoints": shown, "Label": label})  # type: ignore[no-any-return]
    if is_json:
        return cloudwatch._json_ok({"Datapoints": found, "Label": label})  # type: ignore[no-any-return]
    listed = "".join(f"<member>{_xml(each)}</member>" for each in found)
    result = f"<Datapoints>{listed}</Datapoints><Label>{label}</Label>"
    return cloudwatch._xml(  # type: ignore[no-any-return]
        200,
        "GetMetricStatisticsResponse",
        f"<GetMetricStatisticsResult>{result}</GetMetricStatisticsResult>",
    )


def _datapoints(request: Members) -> list[dict[str, Any]]:
    """Return a datapoint for each period and unit that has data, by time."""
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(request.get("Dimensions") or []))
    key = (request["Namespace"], request["MetricName"], dimensions)
    if key not in cloudwatch._metrics:
        return []
    start, end = (cloudwatch._parse_ts(request[name]) for name in ("StartTime", "EndTime"))
    period, unit = request["Period"], request.get("Unit")
    grouped: dict[tuple[int, str], list[metric_store.Point]] = {}
    for point in metric_store.bucket(key).between(start, end):
        if unit in (None, point["Unit"]):
            began = int(point["Timestamp"] // period) * period
            grouped.setdefault((began, point["Unit"]), []).append(point)
    return [_datapoint(*place, points, request) for place, points in sorted(grouped.items())]


def _datapoint(began: int, unit: str, points: list[metric_store.Point], request: Members) -> dict[str, Any]:
    statistics = cloudwatch._calc_stats(points)
    extended = {
        name: cloudwatch._stat_value(statistics, name, points)
        for name in request.get("ExtendedStatistics", [])
    }
    wanted = request.get("Statistics") or (() if extended else _ALL_STATISTICS)
    return {
        "Timestamp": cloudwatch._ts_iso(began),
        "Unit": unit,
        **{name: statistics[name] for name in wanted},
        **({"ExtendedStatistics": extended} if extended else {}),
    }


def _xml(datapoint: Mapping[str, Any]) -> str:
    extended = "".join(
        f"<entry><key>{name}</key><value>{value}</value></entry>"
        for name, value in datapoint.get("ExtendedStatistics", {}).items()
    )
    plain = {name: value for name, value in datapoint.items() if name != "ExtendedStatistics"}
    members = "".join(f"<{name}>{value}</{name}>" for name, value in plain.items())
    return members + (f"<ExtendedStatistics>{extended}</ExtendedStatistics>" if extended else "")
