"""A pipeline with a pushed project, whose runs are executions of `build_model`, over the fakes."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from unittest import mock

import pytest

import fakes
import machines
from sluice.catalog import keys
from sluice.catalog.changes import Change, Delete, Put
from sluice.catalog.changes import arrivals as changes
from sluice.catalog.records.releases import Deployment, Stage
from sluice.domain import names
from sluice.domain.build import jobs, projects
from sluice.domain.times import from_iso, to_iso
from sluice.services.data import arrivals, datasets
from sluice_local.states.history import Execution

PIPELINE = "reviews"
RUN = "reviews-00001"
PIPELINE_YAML = """\
name: reviews
framework: {name: scikit-learn, version: "1.4-2"}
data:
  format: csv
  label: y
  complete_when: {quiet_period_s: 60}
  schema: {x: {type: number, min: 0, max: 100}, y: {type: integer, allowed: [0, 1]}}
prepare: {script: src/prepare.py}
train:
  script: src/train.py
  candidates: {space: {alpha: [0.1, 0.2]}, objective: accuracy}
  metrics: [{name: accuracy, regex: "accuracy: ([0-9.]+)"}]
evaluate: {script: src/evaluate.py}
gates:
  - metrics.accuracy.value >= 0.7
  - metrics.accuracy.value not_worse_than champion by 0.01
serve: {script: src/inference.py, sample: sample.json}
retrain: {daily_budget: 5}
"""
FILES = {
    "pipeline.yaml": PIPELINE_YAML.encode(),
    "sample.json": b"[1]",
    "src/prepare.py": b"print('prepare')\n",
    "src/train.py": b"print('train')\n",
    "src/evaluate.py": b"print('evaluate')\n",
    "src/inference.py": b"def model_fn(folder): ...\n",
}
ROWS = b"x,y\n1,0\n2,1\n"

Invoke = Callable[[str, Any], Any]


class TaskFailed(Exception):
    """A waiting task's failure, by the error and cause that a state machine sees."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause


# Worlds after what was played, by what they were before.
_AFTER: dict[tuple[type, str, bytes], bytes] = {}


@dataclass
class World:
    """One pipeline. `accuracies` are the metrics of its training jobs and evaluations, by step."""

    # Whether a run may use what `prepare` of another one wrote: most tests are about steps that are computed.
    remembers = False

    cloud: fakes.Cloud
    invoke: Invoke
    accuracies: dict[str, float] = field(
        default_factory=lambda: {
            "train-0": 0.8,
            "train-1": 0.9,
            "evaluate-candidate": 0.85,
            "evaluate-champion": 0.8,
            "evaluate-champion-own": 0.8,
        }
    )
    tokens: int = 0
    failing: set[str] = field(default_factory=set)
    # Steps whose jobs reach a limit of Lambda.
    beyond_lambda: set[str] = field(default_factory=set)
    definition: machines.Definition = field(default_factory=lambda: machines.load("build_model"))
    # What the played executions sent to functions, and the last one of them.
    sent: list[tuple[str, Any]] = field(default_factory=list)
    execution: Execution = field(default_factory=dict)

    # ------------------------------------------------------------------ what happens outside

    def later(self, **delta: float) -> None:
        """Let time pass, for the clock, S3 and SageMaker alike."""
        self.cloud.now.at = to_iso(from_iso(self.cloud.now.at) + timedelta(**delta))
        self.cloud.objects.at = self.cloud.now.at
        self.cloud.jobs.created_at = self.cloud.lambda_jobs.created_at = from_iso(self.cloud.now.at)

    @contextmanager
    def crash_after(self, writes: int) -> Iterator[None]:
        """Within it the catalog takes so many changes and fails at the next: a function dies there."""
        apply, left = self.cloud.catalog.apply, writes

        def crashing(*changes: Change) -> bool:
            nonlocal left
            # What is new there, a note for example, is no change of what was.
            is_change = not all(isinstance(change, Put) for change in changes)
            if is_change and left == 0:
                raise RuntimeError
            left -= is_change
            return apply(*changes)

        with mock.patch.object(self.cloud.catalog, "apply", crashing):
            yield

    def push(self, *, replaces: str | None = None, **changed: bytes) -> str:
        """Push the project, with files replaced by their stem; returns its version.

        `replaces` is who pushes it with --replace-champion.
        """
        files = {
            path: changed.get(path.rpartition("/")[2].partition(".")[0], data) for path, data in FILES.items()
        }
        version = projects.version(files)
        key = f"projects/{PIPELINE}/{version}.tar.gz"
        said = {projects.REPLACE_CHAMPION: replaces} if replaces else {}
        version_id = self.cloud.objects.put(fakes.ARTIFACT_BUCKET, key, projects.pack(files), said)
        self.invoke("register_project", created(fakes.ARTIFACT_BUCKET, key, version_id))
        return version

    def upload(self, name: str, body: bytes = ROWS) -> dict[str, str]:
        """Upload a file for the pipeline; returns the arrival function's answer."""
        version_id = self.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/{name}", body)
        answer: dict[str, str] = self.invoke(
            "record_arrival", created(fakes.DATA_BUCKET, f"{PIPELINE}/{name}", version_id)
        )
        return answer

    def delete(self, name: str) -> None:
        """Delete a file of the pipeline, if it is there."""
        key = f"{PIPELINE}/{name}"
        if self.cloud.objects.head(fakes.DATA_BUCKET, key):
            self.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/{key}")
            detail = {"bucket": {"name": fakes.DATA_BUCKET}, "object": {"key": key, "version-id": "d"}}
            self.invoke("record_deletion", {"time": self.cloud.now(), "detail": detail})

    def ask(self) -> dict[str, Any]:
        """Deliver one build request."""
        answer: dict[str, Any] = self.invoke("start_build", requests(PIPELINE))
        return answer

    # ------------------------------------------------------------------ what an execution does

    def started(self, run_id: str = RUN) -> dict[str, Any]:
        """The input of an execution."""
        payload: dict[str, Any] = self.cloud.workflows.executions[execution_arn(run_id)]["input"]
        return payload

    def common(self, run_id: str = RUN) -> dict[str, str]:
        """What every task of a run gets."""
        given = self.started(run_id)
        return {name: given[name] for name in ("pipeline", "run_id", "project_version")}

    def prepare_run(self, run_id: str = RUN) -> dict[str, Any]:
        """Let a run have its data set."""
        snapshot: dict[str, Any] = self.invoke("snapshot_dataset", self.common(run_id))
        return snapshot

    def start(self, step: str, run_id: str = RUN, **given: Any) -> str:
        """Start a job under a new task token, which is returned."""
        self.tokens += 1
        token = f"token-{self.tokens}"
        self.invoke("start_job", {**self.job_task(step, run_id, **given), "task_token": token})
        return token

    def job_task(self, step: str, run_id: str = RUN, **given: Any) -> dict[str, Any]:
        """What the function that starts a job gets, but for the token."""
        version = self.catalog_run(run_id)["dataset_version"]
        return {**self.common(run_id), "dataset_version": version, "step": step, **given}

    def end(self, step: str, run_id: str = RUN, status: str = "Completed", **described: Any) -> None:
        """End a job, and deliver its event once."""
        if step.startswith("train-") and step in self.accuracies:
            metric = {"MetricName": "accuracy", "Value": self.accuracies[step]}
            described.setdefault("FinalMetricDataList", [metric])
        name = names.job_name("sluice", run_id, step)
        self._running(name).end(name, status, **described)
        if status == "Completed":
            self._write_outputs(step, run_id)
        self.invoke("finish_job", ended(name))
        if step == "prepare" and not self.remembers:
            self._forget(run_id)

    def _forget(self, run_id: str) -> None:
        """Let no later run use what `prepare` wrote."""
        prepared = self.cloud.catalog.get(keys.step_key(run_id, "prepare")) or {}
        if "cache_key" in prepared:
            self.cloud.catalog.apply(Delete(keys.cache_key(PIPELINE, prepared["cache_key"])))

    def request(self, name: str) -> dict[str, Any]:
        """The request of a job, wherever it runs."""
        return {**self.cloud.lambda_jobs.requests, **self.cloud.jobs.requests}[name]

    def _running(self, name: str) -> fakes.FakeJobs:
        """The backend where a job runs, or ran last."""
        held = self.cloud.jobs.descriptions, self.cloud.lambda_jobs.descriptions
        return self.cloud.lambda_jobs if name in held[1] and name not in held[0] else self.cloud.jobs

    def write_splits(self, run_id: str = RUN) -> None:
        """Write what `prepare` should."""
        for split in jobs.SPLITS:
            uri = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{run_id}/prepare/{split}/data.csv"
            self.cloud.objects.write(uri, f"{split} of {run_id}".encode())

    def _write_outputs(self, step: str, run_id: str) -> None:
        runs = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{run_id}"
        if step == "prepare":
            self.write_splits(run_id)
        if step.startswith("train-"):
            model = projects.pack({"model": f"{run_id}{step}".encode()})
            self.cloud.objects.write(f"{runs}/train/sluice--{run_id}-{step}/output/model.tar.gz", model)
        if step.startswith("evaluate-"):
            evaluation = {"metrics": {"accuracy": {"value": self.accuracies[step]}}}
            uri = f"{runs}/evaluate/{step.removeprefix('evaluate-')}/evaluation.json"
            self.cloud.objects.write(uri, json.dumps(evaluation).encode())

    def job(self, step: str, run_id: str = RUN, **given: Any) -> dict[str, Any]:
        """Run a job's task to its end; its result, as its step recorded it."""
        token = self.start(step, run_id, **given)
        self.end(step, run_id)
        self.answer(token)
        return {"step": step, **(self.cloud.catalog.get(keys.step_key(run_id, step)) or {})}

    def answer(self, token: str) -> dict[str, Any]:
        """What a waiting task was answered."""
        for failed, error, cause in self.cloud.workflows.failures:
            if failed == token:
                raise TaskFailed(error, cause)
        (output,) = [output for answered, output in self.cloud.workflows.answers if answered == token]
        return output

    def play(self, run_id: str = RUN) -> str:
        """Play the execution of a run to its end; the run's status. Jobs of a step in `failing` fail."""
        outside = machines.Functions(
            self.cloud,
            self.invoke,
            later=lambda seconds: self.later(seconds=seconds),
            before=lambda function, payload: self.sent.append((function, payload)),
            meanwhile=lambda: self._end_job(run_id),
        )
        self.execution = machines.play(self.definition, execution_arn(run_id), outside, self.cloud)
        return str(self.catalog_run(run_id)["status"])

    def _end_job(self, run_id: str) -> None:
        """End the job that was started last, as long as it is not ended."""
        function, payload = self.sent[-1]
        if function != "start_job":
            return
        step = payload["step"]
        name = names.job_name("sluice", run_id, step)
        backend = self._running(name)
        job = backend.descriptions.get(name, {})
        if backend is self.cloud.lambda_jobs and step in self.beyond_lambda and not has_ended(job):
            self.end(step, run_id, status="Failed", FailureReason="it needs more", LimitReached="memory")
            return
        if "InProgress" in (job.get("TrainingJobStatus"), job.get("ProcessingJobStatus")):
            failed = {"status": "Failed", "FailureReason": "cannot load the model"}
            self.end(step, run_id, **(failed if step in self.failing else {}))

    def finish(self, status: str, run_id: str = RUN, **said: Any) -> str:
        payload = {"pipeline": PIPELINE, "run_id": run_id, "status": status, **said}
        return str(self.invoke("finish_run", payload)["status"])

    def build(self, name: str, body: bytes = ROWS) -> str:
        """Upload, wait for the quiet period, build; the run's status."""
        self.upload(name, body)
        self.later(minutes=2)
        self.ask()
        return self.play(self.pipeline["in_flight"])

    def release(self, stage: str = "production", run_id: str = RUN, position: int = 0) -> dict[str, Any]:
        """What a release of a run's package leaves behind; the deployment."""
        catalog, release_id = self.cloud.catalog, f"release-of-{run_id}"
        catalog.create(Stage(PIPELINE, stage, f"sluice--{PIPELINE}--{stage}").item())
        catalog.update(keys.stage_key(PIPELINE, stage), {"live": release_id, "position": position})
        arn = str(self.catalog_run(run_id)["model_package_arn"])
        deployment = Deployment(
            pipeline=PIPELINE,
            stage=stage,
            release_id=release_id,
            package_arn=arn,
            package_version=int(arn.rpartition("/")[2]),
            status="live",
            endpoint_config_name=f"sluice--{release_id}--{stage}",
            promoted_at=self.cloud.now.at,
            run_id=run_id,
        )
        catalog.create(deployment.item())
        return deployment.item()

    # ------------------------------------------------------------------ what is seen

    @property
    def pipeline(self) -> dict[str, Any]:
        return self.cloud.catalog.get(keys.pipeline_key(PIPELINE)) or {}

    def catalog_run(self, run_id: str = RUN) -> dict[str, Any]:
        return self.cloud.catalog.get(keys.run_key(PIPELINE, run_id)) or {}

    def arrivals(self) -> dict[str, str]:
        """The status of each arrival, by key and version."""
        items = [
            item
            for state in keys.STATES
            for item in self.cloud.catalog.query(keys.partition(PIPELINE), state)
        ]
        return {f"{item['key']}#{item['version_id']}": item["status"] for item in items}

    def arrival(self, key: str, version_id: str = "v1") -> dict[str, Any]:
        """An arrival, wherever it lies; empty if there is none."""
        found = arrivals.find(self.cloud, PIPELINE, key, version_id)
        return found.item() if found else {}

    def let_in(self, key: str) -> None:
        """What `sluice data release` writes."""
        arrival = arrivals.find(self.cloud, PIPELINE, key, "v1")
        assert arrival is not None
        assert self.cloud.catalog.apply(*changes.release(arrival, "r1"))

    def dataset(self, version: str) -> dict[str, Any]:
        return self.cloud.catalog.get(keys.dataset_key(PIPELINE, version)) or {}

    def objects_of(self, run_id: str) -> list[str]:
        """The keys and versions of the data set that a run built on."""
        version = self.catalog_run(run_id)["dataset_version"]
        manifest = datasets.find_manifest(self.cloud, PIPELINE, version)
        files = f"s3://{fakes.ARTIFACT_BUCKET}/datasets/{PIPELINE}/{version}/files.manifest"
        listed = json.loads(self.cloud.objects.read(files))[1:]
        assert sorted(listed) == [obj.key for obj in manifest.objects]
        assert manifest.is_version(version)
        return [f"{obj.key}#{obj.version_id}" for obj in manifest.objects]

    def events(self) -> list[str]:
        """The timeline's events, oldest first."""
        return [item["event"] for item in self.timeline()]

    @classmethod
    def of_prepared_run(cls, cloud: fakes.Cloud, invoke: Invoke, **changed: bytes) -> Self:
        """A world with a run whose data are prepared."""
        world = cls.of_started_run(cloud, invoke, **changed)
        world.prepare_run()
        return world

    @classmethod
    def of_started_run(cls, cloud: fakes.Cloud, invoke: Invoke, **changed: bytes) -> Self:
        """A world with a run that was started and has done nothing yet."""

        def play(world: Self) -> None:
            world.push(replaces=None, **changed)
            world.upload("a.csv")
            world.later(minutes=2)
            world.ask()

        return cls(cloud, invoke).begin(f"started {changed}", play)

    @classmethod
    def of_registered_model(cls, cloud: fakes.Cloud, invoke: Invoke) -> Self:
        """A world whose first model was registered."""

        def play(world: Self) -> None:
            world.push()
            assert world.build("a.csv") == "registered"

        return cls(cloud, invoke).begin("registered", play)

    @classmethod
    def of_live_model(cls, cloud: fakes.Cloud, invoke: Invoke, *, for_minutes: int = 1) -> Self:
        """A world whose first model was released so long ago."""
        world = cls.of_registered_model(cloud, invoke).begin("released", cls.release)
        world.later(minutes=for_minutes)
        return world

    def begin(self, what: str, play: Callable[[Self], object]) -> Self:
        """Have that played, for the first test that asks for it; others get the world as it was then."""
        wired = ("cloud", "invoke", "definition")
        state = {name: value for name, value in vars(self).items() if name not in wired}
        before = type(self), what, pickle.dumps((self.cloud, state))
        if before not in _AFTER:
            play(self)
            state = {name: value for name, value in vars(self).items() if name not in wired}
            _AFTER[before] = pickle.dumps((vars(self.cloud), state))
        account, state = pickle.loads(_AFTER[before])  # noqa: S301
        vars(self.cloud).update(account)
        vars(self).update(state)
        return self

    def ask_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have a request for a build decided between the next decision and what it writes."""
        apply = self.cloud.catalog.apply

        def slow(*changes: Change) -> bool:
            monkeypatch.setattr(self.cloud.catalog, "apply", apply)
            self.ask()
            return apply(*changes)

        monkeypatch.setattr(self.cloud.catalog, "apply", slow)

    def step(self, name: str) -> dict[str, Any]:
        """What the catalog has of a step of the run; empty when there is nothing."""
        return self.cloud.catalog.get(keys.step_key(RUN, name)) or {}

    def timeline(self) -> list[dict[str, Any]]:
        return self.cloud.catalog.query(keys.partition(PIPELINE), "TIMELINE#")


def execution_arn(run_id: str) -> str:
    """The execution of a run."""
    return fakes.arn("states", f"execution:sluice-build:{run_id}")


def has_ended(job: dict[str, Any]) -> bool:
    return "InProgress" not in (job.get("TrainingJobStatus"), job.get("ProcessingJobStatus"))


def created(bucket: str, key: str, version_id: str | None = None) -> dict[str, Any]:
    """S3 "Object Created"."""
    obj = {"key": key} | ({"version-id": version_id} if version_id else {})
    return {"detail": {"bucket": {"name": bucket}, "object": obj}}


def requests(*asked: str | dict[str, Any]) -> dict[str, Any]:
    """A batch of build requests, by pipeline or in full, as SQS hands it over."""
    bodies = [{"pipeline": request} if isinstance(request, str) else request for request in asked]
    return {
        "Records": [{"messageId": str(index), "body": json.dumps(body)} for index, body in enumerate(bodies)]
    }


def ended(job_name: str) -> dict[str, Any]:
    """SageMaker "Training Job State Change" or its processing twin, which are read alike."""
    kind = "TrainingJobName" if "-train-" in job_name else "ProcessingJobName"
    return {"detail": {kind: job_name}}
