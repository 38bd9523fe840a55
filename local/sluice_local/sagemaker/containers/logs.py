"""Send a container's output and its metrics to the local CloudWatch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, cloudwatch_logs

from sluice.containers.output import Metrics
from sluice_local.sagemaker.api.core import Scope, now


class LogStream:
    """One stream of a log group, which is made if it does not exist."""

    def __init__(self, scope: Scope, group: str, stream: str) -> None:
        self._scope = scope
        self._names = {"logGroupName": group, "logStreamName": stream}
        with request_scope(scope.account, scope.region):
            cloudwatch_logs._create_log_group(self._names)
            cloudwatch_logs._create_log_stream(self._names)

    def write(self, lines: Iterable[str]) -> None:
        """Append lines with the current time; callable from any thread."""
        moment = int(time.time() * 1000)
        events = [{"timestamp": moment, "message": line} for line in lines]
        if events:
            with request_scope(self._scope.account, self._scope.region):
                cloudwatch_logs._put_log_events({**self._names, "logEvents": events})


def training_metrics(
    scope: Scope,
    job_name: str,
    definitions: Iterable[Mapping[str, str]],
    on_metric: Callable[[str, float], None] | None = None,
) -> Metrics:
    """Return the metrics of a training job, which go to CloudWatch as SageMaker's do, and to `on_metric`."""

    def publish(name: str, value: float) -> None:
        with request_scope(scope.account, scope.region):
            cloudwatch.record_metric(
                "/aws/sagemaker/TrainingJobs", name, value, dimensions={"TrainingJobName": job_name}
            )
        if on_metric:
            on_metric(name, value)

    return Metrics(definitions, now, publish)
