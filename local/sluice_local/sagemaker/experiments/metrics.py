"""The metrics that runs log: the operations of the service SageMaker Metrics, and summaries of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table
from sluice_local.sagemaker.containers.metric_summaries import summarized
from sluice_local.sagemaker.experiments.stored import COMPONENTS

SERVICE = "sagemaker-metrics"
_PERIODS_S = {"IterationNumber": 1, "OneMinute": 60, "FiveMinute": 300, "OneHour": 3600}
# One item for each request, so that a long series is not written again with each of its values.
_BATCHES = Table("batch of metrics", "experiment-trial-component", "BatchName", "trial-component-metrics")
_OF_COMPONENT = _BATCHES.index(lambda _, batch: [batch["_Component"]])


def put(scope: Scope, params: Mapping[str, Any]) -> Item:
    """BatchPutMetrics."""
    name = params["TrialComponentName"].lower()
    COMPONENTS.get(scope, name)
    number = len(_OF_COMPONENT.find(scope, name))
    _BATCHES.create(scope, f"{name}/{number}", {"_Component": name, "_Data": params["MetricData"]})
    return {}


def get(scope: Scope, params: Mapping[str, Any]) -> Item:
    """BatchGetMetrics."""
    return {"MetricQueryResults": [_answer(scope, query) for query in params["MetricQueries"]]}


OPERATIONS = {"BatchPutMetrics": put, "BatchGetMetrics": get}


def measured(scope: Scope, component: Item) -> Item:
    """Describe a component with the metrics that were logged for it."""
    arn = component["TrialComponentArn"]
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for point in _points(scope, component["TrialComponentName"]):
        series[point["MetricName"]].append((point["Timestamp"], point["Value"]))
    logged = [{"SourceArn": arn, **summarized(name, values)} for name, values in series.items()]
    return {**component, "Metrics": [*component.get("Metrics", ()), *logged]}


def _points(scope: Scope, name: str) -> list[Item]:
    return [point for batch in _OF_COMPONENT.find(scope, name.lower()) for point in batch["_Data"]]


def _answer(scope: Scope, query: Item) -> Item:
    """Answer a query with a statistic of a metric, for each step or each period."""
    try:
        component = COMPONENTS.get(scope, COMPONENTS.name(scope, query["ResourceArn"]))
    except ApiError as error:
        return {"Status": "ValidationError", "Message": error.message}
    points = [
        point
        for point in _points(scope, component["TrialComponentName"])
        if point["MetricName"] == query["MetricName"]
    ]
    by_place: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for point in points:
        by_place[_place(point, query)].append((point["Timestamp"], point["Value"]))
    places = [at for at in sorted(by_place) if query.get("Start", at) <= at <= query.get("End", at)]
    return {
        "Status": "Complete",
        "XAxisValues": places,
        "MetricValues": [summarized("", by_place[at])[query["MetricStat"]] for at in places],
    }


def _place(point: Item, query: Item) -> int:
    """Return where on the axis of a query a point lies: its step, or the beginning of its period."""
    if query["XAxisType"] == "IterationNumber":
        return int(point.get("Step", 0))
    moment = int(point["Timestamp"])
    return moment - moment % _PERIODS_S[query["Period"]]
