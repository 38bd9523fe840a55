"""Each part of people, with its policy and no other right: what its commands read, signed, it may read."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from typer.testing import CliRunner

from e2e.loop import Loop, rows
from sluice_cli import main, target

pytestmark = pytest.mark.thorough

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
READS = (
    ("status",),
    ("status", "{pipeline}"),
    ("runs", "{pipeline}"),
    ("models", "{pipeline}"),
    ("timeline", "{pipeline}"),
    ("history", "{pipeline}"),
    ("why", "{pipeline}"),
    ("batch", "list", "{pipeline}"),
    ("monitor", "show", "{pipeline}"),
    ("notify", "list"),
    ("evidence", "{pipeline}/1", "--out", "{folder}"),
)
# What only reads in words, but of things that a part has no business with.
EXCEPT = {"Approver": {"notify"}}
DENIED = ("AccessDenied", "not authorized")


def session_of(loop: Loop, part: str) -> boto3.Session:
    """A person's session: a role that has the part's policy, and nothing else."""
    iam = loop.target.client("iam")
    name = f"{loop.pipeline}-{part}"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.attach_role_policy(RoleName=name, PolicyArn=loop.target.outputs[f"{part}PolicyArn"])
    role = iam.get_role(RoleName=name)["Role"]["Arn"]
    given = loop.target.client("sts").assume_role(RoleArn=role, RoleSessionName="ada")["Credentials"]
    return boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        region_name=loop.target.session.region_name,
    )


@pytest.mark.timeout(600)
def test_who_has_a_part_may_run_the_commands_of_it(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop.push()
    assert loop.run_after("part-1.csv", rows(200, seed=1))["status"] == "registered"
    assert loop.release_after(1)["status"] == "released"
    refused = list[str]()
    for part in ("Developer", "Approver", "Operator"):
        session = session_of(loop, part)
        monkeypatch.setattr(target, "local_session", lambda _ready, session=session: session)
        for words in READS:
            if words[0] in EXCEPT.get(part, ()):
                continue
            said = [word.format(pipeline=loop.pipeline, folder=tmp_path / part) for word in words]
            ran = CliRunner().invoke(main.app, ["--stack", loop.target.stack, *said])
            text = f"{ran.output} {ran.exception or ''}"
            if any(each in text for each in DENIED) or ran.exit_code not in (0, 1, 2, 3):
                refused.append(f"{part}: sluice {' '.join(said)}: {text[-400:]}")
    assert not refused, "\n".join(refused)
