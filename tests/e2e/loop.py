"""A pipeline on the deployed stack, used as its users use it."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from sluice.catalog import keys
from sluice.domain import names
from sluice.services import timeline
from sluice.services.views import pipelines, runs, stages
from sluice_cli import lookup, project, waiting
from sluice_cli.target import Target
from sluice_local import control

TINY = Path(__file__).parent / "tiny"
# How it ends is tested, not when: the first run of a cloud has twenty cold starts.
RUN_TIMEOUT_S = 200
RELEASE_TIMEOUT_S = 200


def silent(_doing: str) -> None:
    """Nobody watches."""


def rows(count: int, *, seed: int, noise: float = 0.1) -> bytes:
    """A CSV in which y says whether x exceeds 50, but for a share of the rows."""
    draw = random.Random(seed)  # noqa: S311
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["x", "y"])
    for _ in range(count):
        x = draw.uniform(0, 100)
        writer.writerow([f"{x:.3f}", int((x > 50) != (draw.random() < noise))])
    return text.getvalue().encode()


class Loop:
    """One pipeline of the tiny project, whose jobs run on a backend: sagemaker, lambda, or auto (Lambda)."""

    def __init__(self, target: Target, pipeline: str, folder: Path, backend: str = "sagemaker") -> None:
        self.target = target
        self.pipeline = pipeline
        self.folder = folder
        self.backend = backend

    # ------------------------------------------------------------------ what a user does

    def push(self, **files: str) -> None:
        """Push the tiny project under this pipeline's name; `files` replaces texts, by file stem."""
        folder = self.folder / "project"
        shutil.copytree(TINY, folder, dirs_exist_ok=True)
        (folder / "pipeline.yaml").write_text(self.text)
        for name, replacement in files.items():
            found = next(path for path in folder.rglob("*") if path.stem == name)
            found.write_text(replacement)
        project.push(self.target, folder)

    @property
    def text(self) -> str:
        """The text of pipeline.yaml, with this pipeline's name and backend."""
        text = (TINY / "pipeline.yaml").read_text().replace("name: tiny", f"name: {self.pipeline}")
        return text.replace("backend: auto", f"backend: {self.backend}")

    def configure(self, **replacements: str) -> str:
        """The text of pipeline.yaml with some of its lines replaced, by their key."""
        lines = self.text.splitlines()
        changed = [
            next(
                (
                    f"{line.partition(key)[0]}{key}: {new}"
                    for key, new in replacements.items()
                    if f"{key}:" in line
                ),
                line,
            )
            for line in lines
        ]
        return "\n".join(changed) + "\n"

    def upload(self, key: str, body: bytes) -> None:
        """Put an object under the pipeline's prefix."""
        bucket = self.target.outputs["DataBucketName"]
        self.target.client("s3").put_object(Bucket=bucket, Key=f"{self.pipeline}/{key}", Body=body)

    def run_after(self, key: str, body: bytes) -> dict[str, Any]:
        """Upload an object, and follow the run that it starts to its end."""
        known = waiting.run_ids(self.target, self.pipeline)
        self.upload(key, body)
        return self.next_run(known)

    def next_run(self, known: set[str]) -> dict[str, Any]:
        """Follow the next run, whatever starts it, to its end."""
        run_id = waiting.new_run(self.target, self.pipeline, known, timeout_s=RUN_TIMEOUT_S)
        return waiting.run_end(self.target, self.pipeline, run_id, silent, timeout_s=RUN_TIMEOUT_S)

    def decide(self, version: int, status: str, reason: str = "") -> None:
        """Approve or reject a version in the registry."""
        arn = lookup.model_arn(self.target, f"{self.pipeline}/{version}")
        self.target.client("sagemaker").update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=reason
        )

    def release_after(self, version: int, status: str = "Approved") -> dict[str, Any]:
        """Decide about a version, and follow the release that this starts to its end."""
        known = waiting.release_ids(self.target, self.pipeline)
        self.decide(version, status)
        return self.release_end(known)

    def release_end(self, known: set[str]) -> dict[str, Any]:
        """Follow the next release to its end."""
        return waiting.release_end(self.target, self.pipeline, known, silent, timeout_s=RELEASE_TIMEOUT_S)

    def predict(self) -> dict[str, Any]:
        """Ask the live model."""
        answer = self.target.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.endpoint_name,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps({"x": [5, 95]}),
        )
        prediction: dict[str, Any] = json.loads(answer["Body"].read())
        return prediction

    # ------------------------------------------------------------------ what is seen

    @property
    def endpoint_name(self) -> str:
        return names.endpoint_name(self.target.stack, self.pipeline, "production")

    @property
    def group(self) -> str:
        return names.package_group(self.target.stack, self.pipeline)

    def status(self) -> dict[str, Any]:
        """What `sluice status` shows."""
        return pipelines.status(self.target.cloud, self.pipeline)

    def is_building(self) -> bool:
        """Whether a run is in flight, read alone: `status` reads all that a person may ask for."""
        item = self.target.catalog.get(keys.pipeline_key(self.pipeline)) or {}
        return item.get("in_flight") is not None

    def events(self) -> list[str]:
        """The timeline's events, oldest first."""
        return [entry["event"] for entry in timeline.entries(self.target.cloud, self.pipeline)]

    def counts(self) -> dict[str, int]:
        """How many jobs, packages, configs and releases the pipeline has made."""
        sagemaker = self.target.client("sagemaker")

        def count(operation: str, key: str, **filters: str) -> int:
            pages = sagemaker.get_paginator(operation).paginate(**filters)
            return sum(len(page[key]) for page in pages)

        mine = {"NameContains": self.pipeline}
        return {
            "processing_jobs": count("list_processing_jobs", "ProcessingJobSummaries", **mine),
            "training_jobs": count("list_training_jobs", "TrainingJobSummaries", **mine),
            "packages": count(
                "list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=self.group
            ),
            "models": count("list_models", "Models", **mine),
            "endpoint_configs": count("list_endpoint_configs", "EndpointConfigs", **mine),
            "runs": len(runs.runs(self.target.cloud, self.pipeline)),
            "releases": len(stages.releases(self.target.cloud, self.pipeline)),
        }

    # ------------------------------------------------------------------ what goes wrong

    def control(self, path: str, method: str, body: dict[str, Any] | None = None) -> None:
        """Use the local cloud's own interface."""
        control.ask(str(self.target.endpoint_url), path, method, body)

    def deliver(self, source: str, times: int, within_s: float = 0.0) -> None:
        """From now on every event of a source reaches its rules so many times, late and in any order."""
        self.control("delivery", "POST", {"source": source, "times": times, "within_s": within_s})

    def deliver_normally(self) -> None:
        self.control("delivery", "DELETE")

    def fail_live(self) -> None:
        """Let what serves answer with errors, so often that its alarm fires, until `faults` are deleted."""
        live = self.target.client("sagemaker").describe_endpoint(EndpointName=self.endpoint_name)
        config = live["EndpointConfigName"]
        fault = {"endpoint": self.endpoint_name, "endpoint_config": config, "status": 500}
        self.control("faults", "POST", fault)
        runtime = self.target.client("sagemaker-runtime")
        for _ in range(20):
            with pytest.raises(runtime.exceptions.ModelError):
                self.predict()

    def reconcile(self) -> None:
        """What the schedule does every few minutes."""
        name = self.target.client("cloudformation").describe_stack_resource(
            StackName=self.target.stack, LogicalResourceId="ReconcileFunction"
        )["StackResourceDetail"]["PhysicalResourceId"]
        answer = self.target.client("lambda").invoke(FunctionName=name, Payload=b"{}")
        assert "FunctionError" not in answer, answer["Payload"].read()
