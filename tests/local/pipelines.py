"""Make pipelines of the local SageMaker, and follow their executions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local.functions import create_queue
from local.jobs import IMAGE, ROLE, Jobs, processing_input, processing_outputs, until
from sluice_local.cloud import LocalCloud

Step = dict[str, Any]
ENDED = ("Succeeded", "Failed", "Stopped")


def definition(*steps: Step, **members: Any) -> str:
    return json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": steps, **members})


def parameter(name: str, kind: str, default: Any = None, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": kind, **({} if default is None else {"DefaultValue": default}), **more}


def compared(kind: str, left: Any, right: Any) -> dict[str, Any]:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


def condition(
    name: str, *conditions: Any, then: tuple[Step, ...] = (), otherwise: tuple[Step, ...] = ()
) -> Step:
    arguments = {"Conditions": list(conditions), "IfSteps": list(then), "ElseSteps": list(otherwise)}
    return {"Name": name, "Type": "Condition", "Arguments": arguments}


def failing(name: str, message: Any = "so it is") -> Step:
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}}


# It does nothing, in no time.
PASSING = condition("Pass", compared("Equals", 1, 1))


def callback(name: str, url: str, *outputs: str, **more: Any) -> Step:
    declared = [{"OutputName": output, "OutputType": "String"} for output in outputs]
    arguments = more.pop("Arguments", {})
    return {
        "Name": name,
        "Type": "Callback",
        "Arguments": arguments,
        "SqsQueueUrl": url,
        "OutputParameters": declared,
        **more,
    }


def role_that_may(cloud: LocalCloud, name: str, *actions: str) -> str:
    """Make a role that SageMaker may take, with these rights; its ARN."""
    iam = cloud.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Statement": [allowed]}))
    return str(made["Role"]["Arn"])


class Pipelines:
    """The pipelines of one test, with a bucket and a name of its own."""

    def __init__(self, cloud: LocalCloud, unique: Callable[[str], str], role: str = ROLE) -> None:
        self.cloud, self.unique, self.role = cloud, unique, role
        self.name, self.bucket = unique("Pipe"), unique("pipe")
        cloud.client("s3").create_bucket(Bucket=self.bucket)
        self.jobs = Jobs(cloud, self.bucket, unique, role)
        self.sagemaker = cloud.client("sagemaker")

    def create(self, *steps: Step, **members: Any) -> str:
        """Create or update the pipeline; its ARN."""
        text = definition(*steps, **members)
        request = {"PipelineName": self.name, "PipelineDefinition": text, "RoleArn": self.role}
        try:
            return str(self.sagemaker.create_pipeline(**request)["PipelineArn"])
        except self.sagemaker.exceptions.ClientError as error:
            if "already exists" not in str(error):
                raise
            return str(self.sagemaker.update_pipeline(**request)["PipelineArn"])

    def start(self, **parameters: str) -> str:
        """Start an execution; its ARN."""
        given = [{"Name": name, "Value": value} for name, value in parameters.items()]
        started = self.sagemaker.start_pipeline_execution(PipelineName=self.name, PipelineParameters=given)
        return str(started["PipelineExecutionArn"])

    def describe(self, arn: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn))

    def ended(self, arn: str) -> str:
        """How an execution ended."""

        def status() -> str | None:
            found = str(self.describe(arn)["PipelineExecutionStatus"])
            return found if found in ENDED else None

        return until(status)

    def steps(self, arn: str) -> dict[str, dict[str, Any]]:
        """The steps of an execution that began, by name."""
        listed = self.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, MaxResults=100)
        return {step["StepName"]: step for step in listed["PipelineExecutionSteps"]}

    def step_in(self, arn: str, name: str, status: str) -> dict[str, Any]:
        """A step, once it is in a status."""

        def found() -> dict[str, Any] | None:
            step = self.steps(arn).get(name)
            return step if step and step["StepStatus"] == status else None

        return until(found)

    def run(self, **parameters: str) -> tuple[str, dict[str, dict[str, Any]]]:
        """How a new execution ended, and its steps."""
        arn = self.start(**parameters)
        return self.ended(arn), self.steps(arn)

    def queue(self) -> str:
        return create_queue(self.cloud, self.unique("callbacks"))[0]

    def processing(self, name: str, script: str, *inputs: Any, **more: Any) -> Step:
        """A step that runs a script with `out` for its output."""
        code = self.jobs.put(f"code/{name}.py", script)
        given = [
            processing_input(f"in-{n}", uri, f"/opt/ml/processing/in/{n}") for n, uri in enumerate(inputs)
        ]
        place = {
            "Std:Join": {
                "On": "/",
                "Values": [self.jobs.uri("out"), {"Get": "Execution.PipelineExecutionId"}],
            }
        }
        arguments = {
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerEntrypoint": ["python3", f"/opt/ml/processing/code/{name}.py"],
            },
            "ProcessingInputs": [processing_input("code", code, "/opt/ml/processing/code"), *given],
            "ProcessingOutputConfig": processing_outputs(("out", "/opt/ml/processing/out", place)),  # type: ignore[arg-type]
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
            },
            "RoleArn": self.role,
        }
        return {"Name": name, "Type": "Processing", "Arguments": arguments, **more}
