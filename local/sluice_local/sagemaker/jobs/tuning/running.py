"""Run tuning jobs: a training job for each point, as many at a time as allowed, until it is enough."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table, operation
from sluice_local.sagemaker.containers.logs import LogStream
from sluice_local.sagemaker.jobs import training
from sluice_local.sagemaker.jobs.lifecycle import (
    Ending,
    Job,
    JobFailedError,
    JobKind,
    epoch_ms,
    submit,
    tag_map,
)
from sluice_local.sagemaker.jobs.training import TRAINING
from sluice_local.sagemaker.jobs.tuning import requests, views, warm
from sluice_local.sagemaker.jobs.tuning.space import Point

# After so many training jobs without a value of the objective, AWS gives up.
_PATIENCE = 5
_NO_OBJECTIVE = (
    f"ClientError: No objective metrics found after running {_PATIENCE} training jobs. Please ensure that "
    "the custom algorithm is emitting the objective metric as defined by the regular expression provided."
)
# The longest MaxRuntimeInSeconds that the model allows.
_LONGEST_S = 15768000
_NAMES = "_TrainingJobNames"
_ALL_FAILED = (
    "All training jobs failed. Please take a look at the training jobs failures to get more details."
)


@operation("CreateHyperParameterTuningJob")
def create_hyper_parameter_tuning_job(scope: Scope, params: dict[str, Any]) -> Item:
    requests.check(params)
    warm.check(params, [TUNING.table.get(scope, name) for name in warm.parent_names(params)])
    job = submit(TUNING, scope, {**params, _NAMES: []})
    return {"HyperParameterTuningJobArn": job.arn}


@dataclass(slots=True)
class _Trial:
    """One training job, and the objective's values that it emitted."""

    job: Job
    definition: Item
    losses: list[float] = field(default_factory=list)
    is_given_up: bool = False


def run(job: Job) -> Ending:
    """Run the job until its points, its time or its criteria are exhausted."""
    return _Search(job).run()


class _Search:
    """The search of one tuning job. All happens in its thread, which hears of the training jobs."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._config = job.request["HyperParameterTuningJobConfig"]
        self._limits = self._config["ResourceLimits"]
        self._criteria = self._config.get("TuningJobCompletionCriteria", {})
        tried = views.evaluated(job.scope, views.parents(job.scope, job.request, TUNING.table))
        points = warm.untried(requests.points(job.request), tried)
        self._points = islice(points, self._limits.get("MaxNumberOfTrainingJobs"))
        self._rule = requests.rule(self._config)
        self._trials: list[_Trial] = []
        self._running: set[int] = set()
        # What parents found is what this search must improve on.
        self._best = min((views.loss_of(trial) for trial in tried), default=None)
        self._is_without_value = True
        self._since_best = self._without_value = 0
        self._is_enough = False
        self._deadline = time.monotonic() + self._limits.get("MaxRuntimeInSeconds", _LONGEST_S)

    def run(self) -> Ending:
        if note := requests.note(self._job.request):
            LogStream(self._job.scope, self._job.kind.log_group, f"{self._job.name}/search").write([note])
        self._fill()
        while self._running:
            self._hear()
        if self._job.stopping.is_set():
            return Ending("Stopped")
        found = views.summaries(self._job.scope, TUNING.table.get(self._job.scope, self._job.name))
        if found and all(each["TrainingJobStatus"] == "Failed" for each in found):
            raise JobFailedError(_ALL_FAILED)
        if self._without_value >= _PATIENCE and self._is_without_value:
            raise JobFailedError(_NO_OBJECTIVE)
        return Ending()

    def _fill(self) -> None:
        """Begin training jobs as long as there are points and room."""
        while not self._is_enough and len(self._running) < self._limits["MaxParallelTrainingJobs"]:
            if (planned := next(self._points, None)) is None:
                return
            self._begin(*planned)

    def _begin(self, definition: Item, point: Point) -> None:
        index = len(self._trials)
        name = f"{self._job.name}-{index + 1:03}-{secrets.token_hex(4)}"

        request = {
            **requests.training_request(definition, point),
            "TrainingJobName": name,
            "Tags": self._job.request.get("Tags", []),
            "TuningJobArn": self._job.arn,
            "_DefinitionName": definition.get("DefinitionName"),
            "_Objective": {key: definition["TuningObjective"][key] for key in ("Type", "MetricName")},
            "_Tuned": point,
        }
        wanted, inbox = definition["TuningObjective"]["MetricName"], self._job.inbox

        def emitted(metric: str, value: float) -> None:
            if metric == wanted:
                inbox.put((index, value))

        trained = training.begin(self._job.scope, request, emitted)
        TUNING.table.edit(self._job.scope, self._job.name, lambda it: {_NAMES: [*it[_NAMES], name]})
        self._trials.append(_Trial(trained, definition))
        self._running.add(index)

        def wait() -> None:
            trained.ended.wait()
            inbox.put((index, None))

        threading.Thread(target=wait, name=f"{name} of {self._job.name}", daemon=True).start()

    def _hear(self) -> None:
        """Take one piece of news: a value, an end, the wish to stop, or that time is up."""
        try:
            news = self._job.inbox.get(timeout=max(0.0, self._deadline - time.monotonic()))
        except queue.Empty:
            self._deadline = time.monotonic() + _LONGEST_S
            self._stop_all()
            return
        if news is None:
            self._stop_all()
            return
        index, value = news
        if value is None:
            self._end(index)
            self._fill()
        else:
            self._judge(self._trials[index], index, value)

    def _judge(self, trial: _Trial, index: int, value: float) -> None:
        trial.losses.append(requests.loss(trial.definition, value))
        if not trial.is_given_up and self._rule.is_hopeless(index, trial.losses):
            trial.is_given_up = True
            _stop(trial.job)

    def _end(self, index: int) -> None:
        self._running.remove(index)
        trial = self._trials[index]
        ended = TRAINING.table.find(self._job.scope, trial.job.name)
        value = views.objective_value(ended) if ended else None
        if value is None:
            self._without_value += 1
            self._is_enough |= self._is_without_value and self._without_value >= _PATIENCE
            return
        self._is_without_value = False
        if not trial.is_given_up:
            self._rule.ended(index, trial.losses)
        loss = requests.loss(trial.definition, value)
        self._since_best = 0 if self._best is None or loss < self._best else self._since_best + 1
        self._best = loss if self._best is None else min(loss, self._best)
        self._check_criteria(trial.definition)

    def _check_criteria(self, definition: Item) -> None:
        target = self._criteria.get("TargetObjectiveMetricValue")
        if target is not None and self._best is not None and self._best <= requests.loss(definition, target):
            self._stop_all()
        most = self._criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
        if most is not None and self._since_best >= most:
            self._stop_all()

    def _stop_all(self) -> None:
        """Begin no training job any more, and stop those that run."""
        self._is_enough = True
        for index in self._running:
            _stop(self._trials[index].job)


def _stop(trained: Job) -> None:
    with suppress(ApiError):  # it may have ended meanwhile
        trained.stop()


_EVENT_MEMBERS = (
    *("HyperParameterTuningJobName", "HyperParameterTuningJobArn", "HyperParameterTuningJobStatus"),
    *("HyperParameterTuningJobConfig", "TrainingJobDefinition", "TrainingJobDefinitions", "WarmStartConfig"),
    "FailureReason",
)
_EVENT_TIMES = ("CreationTime", "LastModifiedTime", "HyperParameterTuningEndTime")


def _event_detail(item: Item) -> Item:
    _, _, _, region, account, _ = item["HyperParameterTuningJobArn"].split(":")
    detail = {name: item[name] for name in _EVENT_MEMBERS if name in item}
    detail |= {name: epoch_ms(item[name]) for name in _EVENT_TIMES if name in item}
    return {**detail, **views.counters(views.summaries(Scope(account, region), item)), "Tags": tag_map(item)}


TUNING = JobKind(
    noun="HyperParameterTuning",
    table=Table("tuning job", "hyper-parameter-tuning-job", "HyperParameterTuningJobName", ignores_case=True),
    run=run,
    event_detail=_event_detail,
    title="HyperParameter Tuning",
    waits_for_jobs=True,
)
