"""What a container finds below /opt/ml, and what it says there about its end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sluice.containers.script_mode import Host, Script

Item = dict[str, Any]
_MESSAGE_BYTES = 1024
_FAILURE_LENGTH = 1024
_ERROR_MESSAGE_LENGTH = 800  # leaves room for the command in a FailureReason
_SHOWN_TO_PROCESSING = (
    *("ProcessingJobName", "ProcessingInputs", "ProcessingOutputConfig", "ProcessingResources"),
    *("AppSpecification", "Environment", "RoleArn", "NetworkConfig", "StoppingCondition"),
)


def host_names(count: int) -> list[str]:
    """Name the instances of a job."""
    return [f"algo-{number}" for number in range(1, count + 1)]


def write_training(ml: Path, request: Mapping[str, Any], host: Host) -> None:
    """Make the folders and the configuration of a training container."""
    config = ml / "input" / "config"
    for folder in (config, ml / "input/data", ml / "model", ml / "output/data", ml / "code"):
        folder.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(request.get("HyperParameters", {})))
    (config / "inputdataconfig.json").write_text(json.dumps(input_data_config(request)))
    (config / "resourceconfig.json").write_text(json.dumps(host.resource_config()))


def input_data_config(request: Mapping[str, Any]) -> Item:
    """Return the content of inputdataconfig.json."""
    mode = request["AlgorithmSpecification"]["TrainingInputMode"]
    return {
        channel["ChannelName"]: {
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
            "TrainingInputMode": channel.get("InputMode", mode),
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        for channel in request.get("InputDataConfig", [])
    }


def write_processing(ml: Path, arn: str, request: Mapping[str, Any], host: str, hosts: Sequence[str]) -> None:
    """Make the folders and the configuration of a processing container."""
    for name in ("config", "output", "processing"):
        (ml / name).mkdir()
    shown = {name: request[name] for name in _SHOWN_TO_PROCESSING if name in request}
    job_config = {"ProcessingJobArn": arn, **shown}
    (ml / "config" / "processingjobconfig.json").write_text(json.dumps(job_config))
    resources = {"current_host": host, "hosts": list(hosts)}
    (ml / "config" / "resourceconfig.json").write_text(json.dumps(resources))


def outputs_of(request: Mapping[str, Any]) -> list[Item]:
    """Return the outputs of a processing job."""
    outputs: list[Item] = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return outputs


def exit_message(ml: Path) -> str:
    """Return the first KB of a processing container's message for people."""
    return _text(ml / "output" / "message", _MESSAGE_BYTES, "ignore")


# The FailureReason of a job whose container held more memory than its instance has, whatever it wrote.
OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, or reduce the size of job data processed "
    "on an instance."
)


def processing_reason(ml: Path, exit_code: int) -> str:
    """Return the FailureReason of a processing job whose container failed."""
    return f"AlgorithmError: {exit_message(ml)}, exit code: {exit_code}"


def training_reason(
    ml: Path, command: Sequence[str], script: Script | None, exit_code: int, traceback: str
) -> str:
    """Return the FailureReason of a training job: the text in /opt/ml/output/failure, else the toolkit's."""
    message = ""
    if _is_written(ml / "output" / "failure"):
        message = _text(ml / "output" / "failure", 4 * _FAILURE_LENGTH, "replace")[:_FAILURE_LENGTH]
    elif script:
        message = (
            f"ExecuteUserScriptError:\nExitCode {exit_code}\n"
            f'ErrorMessage "{traceback[-_ERROR_MESSAGE_LENGTH:]}"\n'
            f'Command "{" ".join(command)}"'
        )
    return f"AlgorithmError: {message}, exit code: {exit_code}"


def _is_written(path: Path) -> bool:
    """Tell whether the container wrote a file there: a link may lead to what only this process can read."""
    return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()


def _text(path: Path, size_bytes: int, errors: str) -> str:
    if not _is_written(path):
        return ""
    with path.open("rb") as file:
        return file.read(size_bytes).decode("utf-8", errors=errors)
