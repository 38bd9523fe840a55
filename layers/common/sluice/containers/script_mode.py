"""Implement script mode: run the user's script as the SageMaker training toolkit does.

Pure, except for what brings the code. Paths are those inside the container.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.containers.data import S3Location, Storage

OPT_ML = "/opt/ml"
CODE_DIR = "/opt/ml/code"
MODEL_DIR = "/opt/ml/model"
INPUT_DIR = "/opt/ml/input"
OUTPUT_DIR = "/opt/ml/output"
DATA_DIR = f"{INPUT_DIR}/data"
CONFIG_DIR = f"{INPUT_DIR}/config"

_PROGRAM = "sagemaker_program"
_SUBMIT_DIRECTORY = "sagemaker_submit_directory"
_LOG_LEVEL = "sagemaker_container_log_level"
_PREFIX = "sagemaker_"
_OTHER_RESERVED = ("_tuning_objective_metric", "default_user_module_name")
_KNOWN_PARAMETERS = frozenset(
    f"{_PREFIX}{name}"
    for name in (
        *("program", "submit_directory", "enable_cloudwatch_metrics", "region"),
        *("container_log_level", "job_name", "s3_output"),
    )
)
_DEFAULT_LOG_LEVEL = 20  # logging.INFO


class ScriptError(Exception):
    """The user's code cannot be run; the message is for the job's FailureReason."""


@dataclass(frozen=True, slots=True)
class Script:
    """The user's entry point, the source of its code, and its hyperparameters."""

    program: str
    submit_directory: str
    hyperparameters: Mapping[str, Any]
    framework_parameters: Mapping[str, Any]
    log_level: int = _DEFAULT_LOG_LEVEL

    @property
    def module(self) -> str:
        return self.program.removesuffix(".py")

    def command(self, is_package: bool) -> list[str]:
        """Return the command of the entry point in /opt/ml/code: a Python module, script or executable."""
        if is_package:
            return ["python", "-m", self.module, *arguments(self.hyperparameters)]
        if self.program.endswith(".py"):
            return ["python", self.program, *arguments(self.hyperparameters)]
        run = 'chmod +x "$0" && "./$0" "$@"'
        return ["/bin/sh", "-c", run, self.program, *arguments(self.hyperparameters)]


@dataclass(frozen=True, slots=True)
class Host:
    """One instance of a training cluster."""

    name: str
    cluster: Sequence[str]
    instance_type: str
    cpus: int

    def resource_config(self) -> dict[str, Any]:
        """Return the content of resourceconfig.json."""
        group = {"instance_group_name": "homogeneousCluster", "instance_type": self.instance_type}
        return {
            "current_host": self.name,
            "current_instance_type": self.instance_type,
            "current_group_name": "homogeneousCluster",
            "hosts": list(self.cluster),
            "instance_groups": [{**group, "hosts": list(self.cluster)}],
            "network_interface_name": "eth0",
        }


def script_of(hyperparameters: Mapping[str, str], environment: Mapping[str, str]) -> Script | None:
    """Return the script named by the hyperparameters, else by the environment; None if there is none."""
    decoded = {name: _decoded(value) for name, value in hyperparameters.items()}
    own = {name: value for name, value in decoded.items() if _is_reserved(name)}
    program = own.get(_PROGRAM) or environment.get(_PROGRAM.upper())
    if not program:
        return None
    return Script(
        program=str(program),
        submit_directory=str(
            own.get(_SUBMIT_DIRECTORY) or environment.get(_SUBMIT_DIRECTORY.upper()) or CODE_DIR
        ),
        hyperparameters={name: value for name, value in decoded.items() if name not in own},
        framework_parameters={
            name: value for name, value in own.items() if name not in _KNOWN_PARAMETERS | {*_OTHER_RESERVED}
        },
        log_level=int(own.get(_LOG_LEVEL) or _DEFAULT_LOG_LEVEL),
    )


def arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Write hyperparameters as arguments: sorted, `--name value`, or `-n value` for one letter."""
    result = []
    for name, value in sorted(hyperparameters.items()):
        if isinstance(value, dict):
            value = ",".join(f"{key}={item}" for key, item in sorted(value.items()))
        result += [f"--{name}" if len(name) > 1 else f"-{name}", "" if value is None else str(value)]
    return result


def framework_module(image: str) -> str:
    """Return what an image's Dockerfile sets as SAGEMAKER_TRAINING_MODULE, by the image's name."""
    repository = image.rpartition("/")[2]
    known = (name for name in ("xgboost", "pytorch", "tensorflow") if name in repository)
    return f"sagemaker_{next(known, 'sklearn')}_container.training:main"


def variables(
    script: Script, job_name: str, host: Host, channels: Mapping[str, Any], image: str
) -> dict[str, str]:
    """Return the SM_* variables; `channels` is the content of inputdataconfig.json."""
    environment: dict[str, Any] = {
        "additional_framework_parameters": script.framework_parameters,
        "channel_input_dirs": {name: f"{DATA_DIR}/{name}" for name in channels},
        "current_host": host.name,
        "current_instance_group": "homogeneousCluster",
        "current_instance_type": host.instance_type,
        "framework_module": framework_module(image),
        "hosts": list(host.cluster),
        "hyperparameters": script.hyperparameters,
        "input_config_dir": CONFIG_DIR,
        "input_data_config": channels,
        "input_dir": INPUT_DIR,
        "is_master": host.name == host.cluster[0],
        "job_name": job_name,
        "log_level": script.log_level,
        "master_hostname": host.cluster[0],
        "model_dir": MODEL_DIR,
        "module_dir": script.submit_directory,
        "module_name": script.module,
        "network_interface_name": "eth0",
        "num_cpus": host.cpus,
        "num_gpus": 0,
        "num_neurons": 0,
        "output_data_dir": f"{OUTPUT_DIR}/data",
        "output_dir": OUTPUT_DIR,
        "output_intermediate_dir": f"{OUTPUT_DIR}/intermediate",
        "resource_config": host.resource_config(),
        "user_entry_point": script.program,
    }
    values = {
        **environment,
        "channels": sorted(channels),
        "framework_params": script.framework_parameters,
        "hps": script.hyperparameters,
        "training_env": environment,
        "user_args": arguments(script.hyperparameters),
        **{f"channel_{name}": path for name, path in environment["channel_input_dirs"].items()},
        **{f"hp_{name}": value for name, value in script.hyperparameters.items()},
    }
    for name in _NOT_VARIABLES:
        del values[name]
    return {f"SM_{name.upper()}": _encoded(value) for name, value in values.items()}


# These are only in SM_TRAINING_ENV; as variables they have other names or none.
_NOT_VARIABLES = (
    *("additional_framework_parameters", "channel_input_dirs", "hyperparameters", "is_master"),
    *("job_name", "master_hostname"),
)


def fetch_code(storage: Storage, script: Script, ml: Path) -> None:
    """Bring the user's code to /opt/ml/code, from S3 or from a channel; raises ScriptError and DataError."""
    source = script.submit_directory
    if source.startswith("s3://"):
        unpack_code(storage.read(S3Location.of(source)), ml / "code")
    elif source != CODE_DIR:
        try:
            inside = ml / Path(source).relative_to(OPT_ML)
            if inside.is_dir():
                shutil.copytree(inside, ml / "code", dirs_exist_ok=True)
            else:
                unpack_code(inside.read_bytes(), ml / "code")
        except (ValueError, OSError) as error:
            raise ScriptError(str(error)) from error


def unpack_code(archive: bytes, folder: Path) -> None:
    """Unpack a sourcedir.tar.gz within the folder; raises ScriptError."""
    from sluice.containers import unpacking  # functions that only read variables of script mode need it not

    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            unpacking.extract(tar, folder)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ScriptError(f"The code archive cannot be unpacked: {error}") from error


def _is_reserved(name: str) -> bool:
    return name.startswith(_PREFIX) or name in _OTHER_RESERVED


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _encoded(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
