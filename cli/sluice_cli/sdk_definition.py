"""Make the definition of a pipeline of SageMaker from its Python file, in a Python that has the SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sluice.domain import config, names
from sluice.domain.build.projects import CONFIG_FILE
from sluice.domain.locations import Locations
from sluice.domain.roles import Account, pipeline_role
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.target import Target

PYTHON = "SLUICE_SDK_PYTHON"
_TAKES_S = 300
_SHOWN = 1500
# The SDK 3 would refuse a role with no more rights than the stack's jobs need, and one that is not yet made.
_UNCHECKED = {"SAGEMAKER_VALIDATE_ROLE": "false"}
# It runs in the other Python, in the project's folder. Arguments are the file, the function, what that may be
# given, and where the definition goes. What user code prints goes to stderr.
_PROGRAM = """\
import inspect, json, runpy, sys
path, function, given, out = sys.argv[1:5]
printed, sys.stdout = sys.stdout, sys.stderr
sys.path.insert(0, ".")
found = runpy.run_path(path).get(function)
if found is None:
    sys.exit(f"{path} has no function {function}: name the one that returns the pipeline in build.function")
given, taken = json.loads(given), inspect.signature(found).parameters
missing = [name for name, each in taken.items() if each.default is each.empty and name not in given
           and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
if missing:
    sys.exit(f"{function} wants {', '.join(missing)}, which a push does not know: give them defaults. "
             f"It knows {', '.join(given)}")
pipeline = found(**{name: value for name, value in given.items() if name in taken})
with open(out, "w") as file:
    file.write(pipeline.definition())
"""


def completed(
    target: Target, folder: Path, files: Mapping[str, bytes], python: str | None
) -> dict[str, bytes]:
    """Return a project's files with the definition that its pipeline.py makes, if it has one."""
    text = files.get(CONFIG_FILE, b"")
    if b"build" not in text:
        return dict(files)
    project = config.load(text.decode("utf-8-sig"))
    build = project.build
    if build is None or not build.pipeline.endswith(".py") or build.pipeline not in files:
        return dict(files)
    made = _made(target, folder, build.pipeline, build.function, given(target, project.name), python)
    return {**files, build.definition: made}


def given(target: Target, pipeline: str) -> dict[str, str]:
    """Return what a function that makes a pipeline may take, by the names that SageMaker's examples use."""
    # A machine's ARN has the partition, the region and the account that are the stack's.
    _, partition, _, region, number, *_ = target.outputs["BuildModelStateMachineArn"].split(":")
    cloud, stack = target.cloud, target.stack
    locations = Locations(cloud.artifact_bucket, pipeline)
    roles_arn = f"arn:{partition}:iam::{number}:role/sluice/{stack}/{region}/"
    account = Account(roles_arn, region, cloud.data_bucket, cloud.artifact_bucket)
    role = pipeline_role(account, pipeline).arn
    return {
        "region": region,
        "role": role,
        "role_arn": role,
        "default_bucket": cloud.artifact_bucket,
        "default_bucket_prefix": locations.sdk_prefix,
        "pipeline_name": names.sagemaker_pipeline(cloud.stack_name, pipeline),
        "model_package_group_name": names.built_group(cloud.stack_name, pipeline),
        "base_job_prefix": pipeline,
    }


def _made(
    target: Target, folder: Path, path: str, function: str, arguments: Mapping[str, str], python: str | None
) -> bytes:
    chosen = python or os.environ.get(PYTHON) or sys.executable
    with tempfile.TemporaryDirectory() as made:
        out, defaults = Path(made) / "definition.json", Path(made) / "sdk.yaml"
        defaults.write_text(_defaults(arguments))
        command = [chosen, "-c", _PROGRAM, path, function, json.dumps(dict(arguments)), str(out)]
        environment = {**_UNCHECKED, **os.environ, **_reaching(target)}
        # The SDK leaves files of its own in the folder for temporary ones.
        environment |= {"SAGEMAKER_USER_CONFIG_OVERRIDE": str(defaults), "TMPDIR": made}
        try:
            ended = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_TAKES_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CommandError(f"{path} gave no pipeline: {error}", hint=_hint(chosen)) from None
        if ended.returncode or not out.exists():
            said = ended.stderr.strip()[-_SHOWN:]
            raise CommandError(f"{path} gave no pipeline: {said}", hint=_hint(chosen), exit_code=EXIT_USAGE)
        return out.read_bytes()


def _hint(python: str) -> str:
    return f"It ran in {python}: name one that has SageMaker's SDK by --python, or by {PYTHON}."


def _defaults(arguments: Mapping[str, str]) -> str:
    """Return the SDK's defaults: the bucket, and the prefix below which a pipeline's jobs may write."""
    return f"""\
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      Session:
        DefaultS3Bucket: {arguments["default_bucket"]}
        DefaultS3ObjectKeyPrefix: {arguments["default_bucket_prefix"]}
"""


def _reaching(target: Target) -> dict[str, str]:
    """Return the environment by which boto3 reaches what the command reaches."""
    keys = target.session.get_credentials()
    frozen = keys.get_frozen_credentials() if keys else None
    region = target.session.region_name or ""
    found = {
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        **({"AWS_ENDPOINT_URL": target.endpoint_url} if target.endpoint_url else {}),
    }
    if frozen:
        found |= {
            "AWS_ACCESS_KEY_ID": str(frozen.access_key),
            "AWS_SECRET_ACCESS_KEY": str(frozen.secret_key),
        }
        found |= {"AWS_SESSION_TOKEN": frozen.token} if frozen.token else {}
    return found
