"""Whoever has the rights that the docs name can use the command: no call of it needs another."""

from __future__ import annotations

import re
from fnmatch import fnmatch

from sluice_cli.target import REPOSITORY

# These work on the local cloud alone.
LOCAL = {"acts.py", "cloud.py", "continuing.py", "demo.py", "drill.py"}
CALL = re.compile(r'\.(?:call|pages)\(\s*"([a-z-]+)",\s*"([a-z0-9_]+)"')
# Calls by a client itself, or through an adapter of the functions.
BY_CLIENTS = {
    ("application-autoscaling", "describe_scalable_targets"),
    ("application-autoscaling", "describe_scaling_policies"),
    ("dynamodb", "get_item"),
    ("dynamodb", "query"),
    ("events", "put_events"),
    ("logs", "describe_log_streams"),
    ("logs", "get_log_events"),
    ("cloudformation", "describe_stacks"),
    ("s3", "head_object"),
    ("s3", "list_object_versions"),
    ("sagemaker", "list_model_packages"),
    ("sagemaker-runtime", "invoke_endpoint"),
}
ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "stepfunctions:StartExecution": "states:StartExecution",
    "sagemaker-runtime:InvokeEndpoint": "sagemaker:InvokeEndpoint",
}


def action(service: str, operation: str) -> str:
    name = f"{service}:{''.join(word.capitalize() for word in operation.split('_'))}"
    return ACTIONS.get(name, name)


def test_the_docs_name_every_right_that_the_commands_take() -> None:
    text = (REPOSITORY / "docs/deploy.md").read_text()
    section = text[text.index("## Who may do what") : text.index("**Whose name is in the records.**")]
    named = re.findall(r"`([a-z0-9-]+:[A-Za-z*]+)`", section)
    sources = [path for path in (REPOSITORY / "cli/sluice_cli").glob("*.py") if path.name not in LOCAL]
    calls = {call for path in sources for call in CALL.findall(path.read_text())} | BY_CLIENTS
    needed = {action(*call) for call in calls} - {"sts:GetCallerIdentity"}  # which takes no right
    assert len(needed) > 12
    assert {each for each in needed if not any(fnmatch(each, right) for right in named)} == set()
