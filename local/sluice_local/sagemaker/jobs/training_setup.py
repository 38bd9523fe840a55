"""Prepare what a training container finds below /opt/ml, and what it runs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sluice.containers import configuration, script_mode
from sluice.containers.data import data_objects, download, shard
from sluice.containers.environments import image_command
from sluice.containers.instances import memory_mb as memory_of
from sluice.containers.script_mode import Host, Script, ScriptError
from sluice_local.sagemaker.api.core import Item
from sluice_local.sagemaker.containers.container import (
    Sandbox,
    available_cpus,
    environment,
)
from sluice_local.sagemaker.containers.images import Environment, RequirementsError, is_indexed
from sluice_local.sagemaker.jobs.cluster import Instance
from sluice_local.sagemaker.jobs.lifecycle import Job, JobFailedError

# The channel with the requirements of a function that the SDK pickled.
_FUNCTION_REQUIREMENTS = "pre_exec_script_and_dependencies"


def prepare(job: Job) -> tuple[list[Sandbox], Script | None]:
    """Make a sandbox for each instance, with all that its container finds below /opt/ml."""
    request = job.request
    script = None
    if "ContainerEntrypoint" not in request["AlgorithmSpecification"]:
        script = script_mode.script_of(request.get("HyperParameters", {}), request.get("Environment", {}))
        if script is None:
            raise JobFailedError(
                "AlgorithmError: there is nothing to run: give the hyperparameters sagemaker_program and "
                "sagemaker_submit_directory, or AlgorithmSpecification.ContainerEntrypoint."
            )
    hosts = _hosts(request)
    folders = [job.directory / host.name for host in hosts]
    for index, host in enumerate(hosts):
        configuration.write_training(folders[index] / "ml", request, host)
    _download_channels(job, [folder / "ml" for folder in folders])
    if script:
        for folder in folders:
            _fetch_code(job, script, folder / "ml")
    return _sandboxes(job, folders), script


def _environment(job: Job, ml: Path) -> tuple[Environment, bool]:
    """Return the image with what the job's code requires, and whether each container must install that.

    The SDK's `@step` and `@remote` install their requirements, which always have the SDK itself, when the
    job has begun: all jobs with the same ones find them installed.
    """
    images, image_uri = job.runtime.images, job.request["AlgorithmSpecification"]["TrainingImage"]
    listed = sorted((ml / "input" / "data" / _FUNCTION_REQUIREMENTS).glob("*.txt"))
    if len(listed) == 1 and is_indexed(listed[0]):
        # If they cannot be installed, the job says so where users look for it.
        with suppress(RequirementsError):
            requirements = ml.parent / "requirements.txt"
            shutil.copy(listed[0], requirements)
            return images.environment(image_uri, requirements), False
    return environment(images, image_uri, ml / "code")


def _sandboxes(job: Job, folders: Sequence[Path]) -> list[Sandbox]:
    try:
        image, is_to_install = _environment(job, folders[0] / "ml")
        has_network = not job.request["EnableNetworkIsolation"]
        memory_mb = memory_of(job.request["ResourceConfig"].get("InstanceType", ""))
        sandboxes = [
            Sandbox.create(folder, image, has_network=has_network, memory_mb=memory_mb) for folder in folders
        ]
        for sandbox in sandboxes if is_to_install else ():
            sandbox.install(script_mode.CODE_DIR, job.request.get("Environment", {}))
    except RequirementsError as error:
        raise JobFailedError(
            f'AlgorithmError: InstallRequirementsError:\nExitCode 1\nErrorMessage "{error}"'
        ) from error
    return sandboxes


def _hosts(request: Item) -> list[Host]:
    cluster_names = configuration.host_names(request["ResourceConfig"]["InstanceCount"])
    instance_type = request["ResourceConfig"].get("InstanceType", "local")
    cpus = available_cpus(len(cluster_names))
    return [Host(name, cluster_names, instance_type, cpus) for name in cluster_names]


def _download_channels(job: Job, roots: Sequence[Path]) -> None:
    for channel in job.request["InputDataConfig"]:
        source = channel["DataSource"]["S3DataSource"]
        objects = data_objects(job.storage, source)
        for index, ml in enumerate(roots):
            folder = ml / "input" / "data" / channel["ChannelName"]
            folder.mkdir()
            part = shard(objects, source, index, len(roots))
            download(job.storage, part, folder, gunzip=channel["CompressionType"] == "Gzip")


def _fetch_code(job: Job, script: Script, ml: Path) -> None:
    """Bring the user's code to /opt/ml/code, from S3 or from a channel."""
    try:
        script_mode.fetch_code(job.storage, script, ml)
    except ScriptError as error:
        raise JobFailedError(
            f"AlgorithmError: the code at {script.submit_directory} cannot be used: {error}"
        ) from error


def instances(job: Job, sandboxes: Sequence[Sandbox], script: Script | None) -> list[Instance]:
    """Return what each instance runs: the script, or else the request's entry point."""
    request = job.request
    common = {
        **job.aws_variables(),
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
        "SM_MODEL_DIR": script_mode.MODEL_DIR,
        **request.get("Environment", {}),
    }
    prepared = []
    for host, sandbox in zip(_hosts(request), sandboxes, strict=True):
        variables = {**sandbox.variables(host.cpus), **common}
        if script is None:
            algorithm = request["AlgorithmSpecification"]
            command = image_command(
                [*algorithm["ContainerEntrypoint"], *algorithm.get("ContainerArguments", [])]
            )
            prepared.append(Instance(host.name, sandbox, command, variables))
            continue
        is_package = (sandbox.ml / "code" / "setup.py").is_file()
        channels, image = configuration.input_data_config(request), request["AlgorithmSpecification"]
        variables |= script_mode.variables(script, job.name, host, channels, image.get("TrainingImage", ""))
        variables["PYTHONPATH"] = script_mode.CODE_DIR
        prepared.append(
            Instance(host.name, sandbox, script.command(is_package), variables, script_mode.CODE_DIR)
        )
    return prepared
