"""A stack tells Slack and Teams what a person must know, by addresses that only secrets hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sluice_cli import cloud, main, target
from webhook_receiver import Receiver

pytestmark = pytest.mark.thorough

STACK = "e2e-told"
CHANNELS = {"slack": "/services/T0/B0/s3cret", "teams": "/workflows/s3cret"}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.close()


@pytest.fixture
def told(
    built: None, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[target.Target]:
    """A stack whose channels lead to the receiver, on a cloud of a machine that trusts its certificate."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SSL_CERT_FILE", str(receiver.certificate))
    try:
        ready = cloud.start(auth=True)
        secrets = target.local_session(ready).client("secretsmanager", endpoint_url=ready["endpoint_url"])
        parameters = {
            f"{channel.title()}WebhookSecretArn": secrets.create_secret(
                Name=f"{STACK}-{channel}", SecretString=f"https://{receiver.host}{path}"
            )["ARN"]
            for channel, path in CHANNELS.items()
        }
        cloud.deploy(ready, stack=STACK, parameters={**parameters, "WebhookHosts": receiver.host})
        yield target.resolve(where="local", stack=STACK, profile=None, region=None)
    finally:
        cloud.stop()


def notify(*words: str) -> tuple[int, Any]:
    ran = CliRunner().invoke(main.app, ["--stack", STACK, "notify", *words, "--json"])
    return ran.exit_code, json.loads(ran.stdout)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("told")
def test_a_test_message_reaches_slack_and_teams_and_a_refusal_is_said(receiver: Receiver) -> None:
    code, result = notify("test")
    assert (code, result["channels"]) == (0, {"topic": "sent", "slack": "sent", "teams": "sent"}), result
    posted = {path: json.loads(body) for path, kind, body in receiver.received if kind == "application/json"}
    assert set(posted) == set(CHANNELS.values())
    for body in posted.values():
        assert f"This is a test of how {STACK} tells people." in json.dumps(body)
    assert posted[CHANNELS["teams"]]["attachments"][0]["content"]["type"] == "AdaptiveCard"

    receiver.status, receiver.says = 404, "no_service at {path}"
    code, result = notify("test")
    assert code == 1
    assert "answered 404 no_service at …" in result["channels"]["slack"]
    assert "s3cret" not in json.dumps(result)
    code, listed = notify("list")
    assert code == 0
    assert "s3cret" not in json.dumps(listed)
