"""Define the alarms of a model that is watched. They tell people, and roll nothing back by themselves."""

from __future__ import annotations

from typing import Any

from sluice.domain import names, tags
from sluice.domain.monitor import metrics

PERIOD_S = 60
_WATCHED = {
    "drift": (metrics.DRIFTED, "what {} is asked or answers has drifted from what its model was trained on"),
    "decay": (metrics.DECAYED, "the model of {} is worse by its labels than on its hold-out data"),
}


def alarm_names(stack: str, pipeline: str, stage: str) -> tuple[str, ...]:
    """Return the names of all alarms that the watching of a stage may have."""
    return tuple(names.alarm_name(stack, pipeline, stage, what) for what in _WATCHED)


def requests(stack: str, pipeline: str, stage: str) -> list[dict[str, Any]]:
    """Make a PutMetricAlarm request for drift and one for decay.

    A window of any length gives one value, so an alarm keeps its state until the next.
    """
    owner = tags.listed(tags.of_stage(stack, pipeline, stage))
    dimensions = [
        {"Name": name, "Value": value} for name, value in metrics.dimensions(stack, pipeline, stage).items()
    ]
    return [
        {
            "AlarmName": names.alarm_name(stack, pipeline, stage, what),
            "AlarmDescription": description.format(f"{pipeline} on {stage}").capitalize(),
            "Metrics": [
                {
                    "Id": "found",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": metrics.NAMESPACE,
                            "MetricName": metric,
                            "Dimensions": dimensions,
                        },
                        "Period": PERIOD_S,
                        "Stat": "Maximum",
                    },
                    "ReturnData": True,
                }
            ],
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "Threshold": 0,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "ignore",
            "Tags": owner,
        }
        for what, (metric, description) in _WATCHED.items()
    ]
