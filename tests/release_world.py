"""A pipeline with registered models, whose releases are executions of `release_model`, over the fakes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

import announcements
import fakes
import machines
import smallest
from sluice.catalog import keys
from sluice.catalog.records.builds import Project
from sluice.domain import config
from sluice.domain.build import projects, run_manifest
from sluice.domain.locations import Locations
from sluice.domain.release import serving
from sluice.domain.times import from_iso, to_iso
from sluice_local.states.history import Execution
from sluice_local.states.scope import StoppedError

PIPELINE = "reviews"
ENDPOINT = "sluice--reviews--production"
ERROR_ALARM = "sluice--reviews--production--error-rate"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/own:1"
SAMPLE = b'["good"]'
OK = {"status_code": 200, "body": b'["great"]', "content_type": "application/json", "variant": "AllTraffic"}
PIPELINE_YAML = smallest.pipeline(
    "{y: {type: integer}}",
    more="""\
release:
  stages: [{name: production, traffic: {type: all_at_once, bake_s: 60, unwatched: true}}]
  alarms: {error_rate: 0.05, p99_latency_ms: 500, min_requests: 10}
""",
)

Invoke = Callable[[str, Any], Any]


class TaskFailed(Exception):
    """A task's error, by the name and cause that a state machine sees."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


@dataclass
class World:
    """One pipeline; `settle` is what SageMaker makes of each change of an endpoint."""

    cloud: fakes.Cloud
    invoke: Invoke
    pipeline_yaml: str = PIPELINE_YAML
    settle: Callable[[fakes.FakeEndpoints, str], None] = fakes.FakeEndpoints.settle
    ended: set[str] = field(default_factory=set)
    tokens: int = 0
    definition: machines.Definition = field(default_factory=lambda: machines.load("release_model"))
    # The endpoint that was deployed to last.
    deploying: str = ""
    # What the played executions sent to functions, and the last one of them.
    sent: list[tuple[str, Any]] = field(default_factory=list)
    execution: Execution = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.push(self.pipeline_yaml)

    @classmethod
    def of_rollback(cls, cloud: fakes.Cloud, invoke: Invoke) -> Self:
        """Version 1 was replaced by 2 after an hour, which an alarm rolled back an hour later."""
        made = cls(cloud, invoke)
        for number in (1, 2):
            made.approve(made.register(number))
            made.later(hours=1)
        made.fire()
        made.tell_alarm()
        made.run_all()
        return made

    def push(self, pipeline_yaml: str) -> None:
        """Make this the project of the models that are registered from now on."""
        self.pipeline_yaml = pipeline_yaml
        files = {"pipeline.yaml": self.pipeline_yaml.encode(), "sample.json": SAMPLE}
        self.project_version = projects.version(files)
        self.locations = Locations(fakes.ARTIFACT_BUCKET, PIPELINE)
        self.cloud.objects.write(self.locations.bundle(self.project_version), projects.pack(files))
        self.cloud.catalog.create(
            {
                **keys.pipeline_key(PIPELINE),
                "project_version": self.project_version,
                "group": PIPELINE,
                "gsi1pk": keys.PIPELINES,
                "gsi1sk": PIPELINE,
            }
        )
        stored = config.dump(config.load(self.pipeline_yaml))
        self.cloud.catalog.create(Project(PIPELINE, self.project_version, "active", config=stored).item())

    # ------------------------------------------------------------------ what happens outside

    def later(self, **delta: float) -> None:
        """Time passes, in which functions hear what was announced to them."""
        announcements.hear_all(self.cloud)
        self.cloud.now.at = to_iso(from_iso(self.cloud.now.at) + timedelta(**delta))

    def at(self) -> datetime:
        return from_iso(self.cloud.now.at)

    def register(self, run: int, image_digest: str | None = None, **manifest: Any) -> str:
        """What a build leaves behind, with more in the run's manifest; returns the package's ARN."""
        run_id = f"{PIPELINE}-{run:05d}"
        model, code = (self._archive(name, f"{name} of {run_id}".encode()) for name in ("model", "code"))
        environment = {"SAGEMAKER_SUBMIT_DIRECTORY": code["uri"]}
        container = {"Image": IMAGE, "ModelDataUrl": model["uri"], "Environment": environment}
        stored = self.cloud.catalog.get(keys.project_key(PIPELINE, self.project_version)) or {}
        document = {
            "format": run_manifest.FORMAT,
            "pipeline": PIPELINE,
            "run_id": run_id,
            "inputs": {"project_version": self.project_version},
            "artifacts": [model, code],
            "serving": {
                "container": container,
                "config_sha256": run_manifest.config_sha256(stored["config"]),
            },
            **manifest,
        }
        data = json.dumps(document).encode()
        self.cloud.objects.write(self.locations.run_manifest(run_id), data)
        evidence = {
            "manifest_uri": self.locations.run_manifest(run_id),
            "manifest_sha256": hashlib.sha256(data).hexdigest(),
        }
        metadata = {
            "sluice:stack": "sluice",
            "sluice:pipeline": PIPELINE,
            "sluice:run": run_id,
            "sluice:project-version": self.project_version,
            "sluice:manifest-uri": evidence["manifest_uri"],
            "sluice:manifest-sha256": evidence["manifest_sha256"],
            "sluice:model-sha256": model["sha256"],
        }
        packaged = {**container, **({"ImageDigest": image_digest} if image_digest else {})}
        arn = self.create_package(ClientToken=run_id, metadata=metadata, container=packaged)
        run_item = {
            **keys.run_key(PIPELINE, run_id),
            "status": "registered",
            "project_version": self.project_version,
            "model_package_arn": arn,
            "image_digest": image_digest,
        }
        self.cloud.catalog.create({**run_item, **evidence})
        return arn

    def _archive(self, name: str, data: bytes) -> dict[str, str]:
        sha256 = hashlib.sha256(data).hexdigest()
        uri = self.locations.pinned(sha256, f"{name}.tar.gz")
        self.cloud.objects.write(uri, data)
        return {"name": name, "uri": uri, "sha256": sha256}

    def uri(self, run: int, name: str) -> str:
        """Where a run's model, code or manifest lies."""
        run_id = f"{PIPELINE}-{run:05d}"
        if name == "manifest":
            return self.locations.run_manifest(run_id)
        sha256 = hashlib.sha256(f"{name} of {run_id}".encode()).hexdigest()
        return self.locations.pinned(sha256, f"{name}.tar.gz")

    def create_package(
        self, *, ClientToken: str, metadata: dict[str, str], container: dict[str, Any] | None = None
    ) -> str:
        """One that nothing of ours registered, unless a run's item says so."""
        elsewhere = {"Image": IMAGE, "ModelDataUrl": "s3://elsewhere/model.tar.gz", "Environment": {}}
        return self.cloud.registry.create_package(
            {
                "ModelPackageGroupName": PIPELINE,
                "ClientToken": ClientToken,
                "ModelApprovalStatus": "PendingManualApproval",
                "InferenceSpecification": {"Containers": [container or elsewhere]},
                "CustomerMetadataProperties": metadata,
            }
        )

    def decide(self, arn: str, status: str, by: str = "arn:aws:iam::123456789012:user/anna") -> None:
        """What UpdateModelPackage does."""
        self.cloud.registry.by_arn[arn].update(
            ModelApprovalStatus=status,
            ApprovalDescription=f"{status} by hand",
            LastModifiedTime=self.at(),
            LastModifiedBy={"IamIdentity": {"Arn": by}},
        )

    def fire(self, alarm: str = ERROR_ALARM, state: str = "ALARM") -> None:
        self.cloud.alarms.set_state(alarm, state, self.at())

    # ------------------------------------------------------------------------- what is delivered

    def tell_decision(self, arn: str, status: str, fields: list[str] | None = None) -> Any:
        detail: dict[str, Any] = {"ModelPackageArn": arn, "ModelApprovalStatus": status}
        if fields is not None:
            detail["UpdatedModelPackageFields"] = fields
        return self.invoke("record_approval", {"detail": detail})

    def tell_alarm(self, alarm: str = ERROR_ALARM) -> Any:
        return self.invoke("react_to_alarm", {"detail": {"alarmName": alarm, "state": {"value": "ALARM"}}})

    def reconcile(self) -> None:
        """A pass of reconcile, and what follows from the alarms and decisions that it tells of."""
        self.cloud.bus.entries.clear()
        self.invoke("reconcile", {})
        for name, detail, _ in [*self.cloud.bus.entries]:
            if name == "CloudWatch Alarm State Change":
                self.tell_alarm(detail["alarmName"])
            elif name == "SageMaker Model Package State Change":
                self.invoke("record_approval", {"detail": detail})

    def tell_endpoint(self, name: str = ENDPOINT) -> Any:
        return self.invoke("finish_deployment", {"detail": {"EndpointName": name}})

    def tell_execution(self, arn: str) -> Any:
        detail = {"executionArn": arn, "name": arn.rpartition(":")[2], "stateMachineArn": "machine"}
        return self.invoke("finish_release", {"detail": detail})

    # ----------------------------------------------------------------- what Step Functions does

    def waiting(self) -> list[str]:
        """The executions that were started and not run yet."""
        return [arn for arn in self.cloud.workflows.executions if arn not in self.ended]

    def run_all(self) -> None:
        """Run every execution to its end, in the order of their start."""
        while waiting := self.waiting():
            self.run(waiting[0])

    def run(self, arn: str) -> None:
        self.ended.add(arn)
        self.execution = machines.play(self.definition, arn, self._outside(self._sees), self.cloud)

    def begin(self) -> str:
        """Approve a version and plan its release, which then holds its stage; returns the execution."""
        arn = self.register(1)
        self.decide(arn, "Approved")
        self.tell_decision(arn, "Approved")
        (execution_arn,) = self.waiting()
        request = self.cloud.workflows.executions[execution_arn]["input"]
        self.task("plan_release", execution_arn=execution_arn, release=request)
        return execution_arn

    def plan(self, arn: str) -> tuple[str, dict[str, Any]]:
        """Approve and plan, no more: the execution and its first stage's task."""
        self.decide(arn, "Approved")
        self.tell_decision(arn, "Approved")
        execution_arn = self.waiting()[-1]
        self.ended.add(execution_arn)
        tasks: list[dict[str, Any]] = []

        def stop_at_deployment(function: str, payload: dict[str, Any]) -> None:
            if function == "deploy_model":
                tasks.append({name: value for name, value in payload.items() if name != "task_token"})
                raise StoppedError

        machines.play(self.definition, execution_arn, self._outside(stop_at_deployment), self.cloud)
        return execution_arn, tasks[0]

    def _outside(self, before: Callable[[str, Any], None]) -> machines.Functions:
        return machines.Functions(
            self.cloud,
            self.invoke,
            later=lambda seconds: self.later(seconds=seconds),
            before=before,
            meanwhile=self._change_endpoint,
        )

    def _sees(self, function: str, payload: dict[str, Any]) -> None:
        self.sent.append((function, payload))
        if function == "deploy_model":
            self.deploying = payload["stage"]["endpoint_name"]
        if function == "smoke_test":
            self.cloud.endpoints.responses = self.cloud.endpoints.responses or [OK]

    def _change_endpoint(self) -> None:
        """End the change of an endpoint that a task waits for, and deliver its event."""
        endpoint = self.cloud.endpoints.by_name.get(self.deploying)
        if endpoint and endpoint["EndpointStatus"] in ("Creating", "Updating"):
            self.settle(self.cloud.endpoints, self.deploying)
            self.tell_endpoint(self.deploying)

    def deploy(self, task: dict[str, Any]) -> dict[str, Any]:
        """The task with its token: start it, let SageMaker change the endpoint, deliver the event."""
        name = task["stage"]["endpoint_name"]
        self.tokens += 1
        token = f"token-{self.tokens}"
        self.task("deploy_model", task_token=token, **task)
        self.settle(self.cloud.endpoints, name)
        self.tell_endpoint(name)
        return self.answer(token)

    def answer(self, token: str) -> dict[str, Any]:
        for failed, error, cause in self.cloud.workflows.failures:
            if failed == token:
                raise TaskFailed(error, cause)
        return dict(self.cloud.workflows.answers)[token]

    def task(self, function: str, **payload: Any) -> Any:
        try:
            return self.invoke(function, payload)
        except Exception as error:
            cause = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})
            raise TaskFailed(type(error).__name__, cause) from error

    # ------------------------------------------------------------------------------ what is seen

    def approve(self, arn: str) -> str:
        """Approve, deliver, release; returns the release's id."""
        self.decide(arn, "Approved")
        (release_id,) = self.tell_decision(arn, "Approved")["releases"]
        self.run_all()
        return str(release_id)

    def release(self, release_id: str) -> dict[str, Any]:
        item = self.cloud.catalog.get(keys.release_key(PIPELINE, release_id))
        assert item is not None
        return item

    def releases(self) -> list[dict[str, Any]]:
        return self.cloud.catalog.query(keys.partition(PIPELINE), "RELEASE#")

    def stage(self, name: str = "production") -> dict[str, Any]:
        return self.cloud.catalog.get(keys.stage_key(PIPELINE, name)) or {}

    def deployment(self, release_id: str, stage: str = "production") -> dict[str, Any]:
        item = self.cloud.catalog.get(keys.deployment_key(PIPELINE, stage, release_id))
        assert item is not None
        return item

    def live_version(self, stage: str = "production") -> int | None:
        live = self.stage(stage).get("live")
        return self.deployment(live, stage)["package_version"] if live else None

    def served_version(self, endpoint: str = ENDPOINT) -> str | None:
        """The version that the endpoint itself serves, by what its model was told."""
        described = self.cloud.endpoints.by_name.get(endpoint)
        if described is None:
            return None
        variant = self.cloud.endpoints.configs[described["EndpointConfigName"]]["ProductionVariants"][0]
        environment = self.cloud.endpoints.models[variant["ModelName"]]["PrimaryContainer"]["Environment"]
        return str(environment[serving.MODEL_VERSION_VARIABLE])

    def pages(self) -> list[dict[str, Any]]:
        """What called a person because nothing is rolled back."""
        return [detail for name, detail in self.cloud.bus.announced if name == "RollbackImpossible"]

    def timeline(self) -> list[tuple[str, str]]:
        entries = self.cloud.catalog.query(keys.partition(PIPELINE), "TIMELINE#")
        return [(entry["event"], entry["detail"]) for entry in entries]

    def events(self) -> list[str]:
        return [event for event, _ in self.timeline()]
