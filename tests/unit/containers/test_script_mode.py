"""Script mode reads hyperparameters and states variables as the SageMaker training toolkit does."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from sluice.containers import script_mode
from sluice.containers.script_mode import Host, Script, ScriptError

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0"
HOST = Host("algo-2", ("algo-1", "algo-2"), "ml.m5.large", 2)


@pytest.mark.parametrize("quoted", [True, False])
def test_a_script_is_named_by_hyperparameters_json_encoded_or_not(quoted: bool) -> None:
    values = {"sagemaker_program": "train.py", "sagemaker_submit_directory": "s3://b/code.tar.gz"}
    hyperparameters = {name: json.dumps(value) if quoted else value for name, value in values.items()}
    script = script_mode.script_of({**hyperparameters, "alpha": "1e-3", "name": '"x"'}, {})
    assert script is not None
    assert (script.program, script.submit_directory) == ("train.py", "s3://b/code.tar.gz")
    assert script.hyperparameters == {"alpha": 0.001, "name": "x"}


def test_a_script_may_be_named_by_the_environment() -> None:
    environment = {"SAGEMAKER_PROGRAM": "train.py", "SAGEMAKER_SUBMIT_DIRECTORY": "s3://b/code.tar.gz"}
    script = script_mode.script_of({}, environment)
    assert script == Script("train.py", "s3://b/code.tar.gz", {}, {})


def test_without_a_program_there_is_no_script() -> None:
    assert script_mode.script_of({"alpha": "1"}, {}) is None


def test_reserved_hyperparameters_are_not_the_script_s() -> None:
    reserved = {
        "sagemaker_program": "train.py",
        "sagemaker_region": "us-east-1",
        "sagemaker_mpi_enabled": "true",
        "_tuning_objective_metric": "accuracy",
        "default_user_module_name": "x",
        "sagemaker_container_log_level": "10",
    }
    script = script_mode.script_of({**reserved, "epochs": "3"}, {})
    assert script is not None
    assert script.hyperparameters == {"epochs": 3}
    assert script.framework_parameters == {"sagemaker_mpi_enabled": True}
    assert script.log_level == 10


def test_hyperparameters_become_sorted_arguments() -> None:
    given = {"learning-rate": 0.1, "b": None, "a": True, "layers": [1, 2], "map": {"y": 2, "x": 1}}
    assert script_mode.arguments(given) == [
        *("-a", "True", "-b", "", "--layers", "[1, 2]", "--learning-rate", "0.1", "--map", "x=1,y=2")
    ]


@pytest.mark.parametrize(
    ("program", "is_package", "command"),
    [
        ("train.py", False, ["python", "train.py", "--epochs", "3"]),
        ("src/train.py", False, ["python", "src/train.py", "--epochs", "3"]),
        ("train.py", True, ["python", "-m", "train", "--epochs", "3"]),
    ],
)
def test_python_runs_scripts_and_packages(program: str, is_package: bool, command: list[str]) -> None:
    assert Script(program, "", {"epochs": 3}, {}).command(is_package) == command


def test_anything_else_runs_as_a_program() -> None:
    command = Script("train.sh", "", {"epochs": 3}, {}).command(is_package=False)
    assert command[0] == "/bin/sh"
    assert command[-3:] == ["train.sh", "--epochs", "3"]


@pytest.mark.parametrize(
    ("image", "module"),
    [
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3", "sklearn"),
        (
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.5.1-cpu-py311-ubuntu22.04",
            "pytorch",
        ),
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.18-cpu-py310", "tensorflow"),
    ],
)
def test_a_framework_s_module_is_that_of_its_image(image: str, module: str) -> None:
    assert script_mode.framework_module(image) == f"sagemaker_{module}_container.training:main"


def test_the_variables_are_those_of_the_toolkit() -> None:
    script = Script("train.py", "s3://b/code.tar.gz", {"learning-rate": 0.1, "name": "x"}, {"p": 1})
    channels = {"train": {"TrainingInputMode": "File"}, "my-test": {"TrainingInputMode": "File"}}
    variables = script_mode.variables(script, "job", HOST, channels, IMAGE)
    expected = {
        "SM_CHANNELS": '["my-test","train"]',
        "SM_CHANNEL_TRAIN": "/opt/ml/input/data/train",
        "SM_CHANNEL_MY-TEST": "/opt/ml/input/data/my-test",
        "SM_CURRENT_HOST": "algo-2",
        "SM_HOSTS": '["algo-1","algo-2"]',
        "SM_HPS": '{"learning-rate":0.1,"name":"x"}',
        "SM_HP_LEARNING-RATE": "0.1",
        "SM_HP_NAME": "x",
        "SM_INPUT_CONFIG_DIR": "/opt/ml/input/config",
        "SM_INPUT_DIR": "/opt/ml/input",
        "SM_LOG_LEVEL": "20",
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_MODULE_DIR": "s3://b/code.tar.gz",
        "SM_MODULE_NAME": "train",
        "SM_NETWORK_INTERFACE_NAME": "eth0",
        "SM_NUM_CPUS": "2",
        "SM_NUM_GPUS": "0",
        "SM_NUM_NEURONS": "0",
        "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
        "SM_OUTPUT_DIR": "/opt/ml/output",
        "SM_USER_ARGS": '["--learning-rate","0.1","--name","x"]',
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_FRAMEWORK_MODULE": "sagemaker_xgboost_container.training:main",
        "SM_FRAMEWORK_PARAMS": '{"p":1}',
    }
    assert {name: variables[name] for name in expected} == expected
    assert json.loads(variables["SM_INPUT_DATA_CONFIG"]) == channels
    assert json.loads(variables["SM_RESOURCE_CONFIG"]) == HOST.resource_config()
    environment = json.loads(variables["SM_TRAINING_ENV"])
    assert environment["job_name"] == "job"
    assert environment["channel_input_dirs"]["train"] == "/opt/ml/input/data/train"
    assert environment["is_master"] is False


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "link/outside"])
def test_a_code_archive_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(ScriptError, match="cannot be unpacked"):
        script_mode.unpack_code(buffer.getvalue(), tmp_path / "code")
    assert not (tmp_path / "outside").exists()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScriptError):
        script_mode.unpack_code(b"not an archive", tmp_path)
