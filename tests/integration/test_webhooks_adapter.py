"""A webhook is posted to over TLS, and whatever goes wrong says nothing of its address."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from functools import partial

import pytest

from sluice.adapters.webhooks import SecretWebhooks
from sluice.domain.notices.webhooks import WebhookError
from webhook_receiver import Receiver

# A receiver on the loopback, with a certificate of its own.
pytestmark = pytest.mark.enable_socket
BODY = json.dumps({"text": "reviews-00001 failed."})


class Secrets:
    def __init__(self, address: str) -> None:
        self.address = address

    def get_secret_value(self, SecretId: str) -> dict[str, str]:
        assert SecretId == "arn:secret"
        return {"SecretString": self.address}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    receiver = Receiver(tmp_path_factory.mktemp("tls"))
    yield receiver
    receiver.close()


@pytest.fixture
def receiver(made: Receiver) -> Receiver:
    made.received.clear()
    made.status, made.headers, made.says = 200, {}, "ok"
    return made


def adapter(receiver: Receiver, trusts: bool = True) -> SecretWebhooks:
    cafile = str(receiver.certificate) if trusts else None
    secrets = Secrets(f"https://{receiver.host}/services/T0/s3cret")
    tls = partial(ssl.create_default_context, cafile=cafile)
    return SecretWebhooks({"slack": "arn:secret"}, [receiver.host], secrets, tls)


def refusal(hooks: SecretWebhooks) -> str:
    with pytest.raises(WebhookError) as error:
        hooks.post("slack", BODY)
    assert "s3cret" not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return str(error.value)


def test_a_body_arrives_as_it_is_where_the_secret_says(receiver: Receiver) -> None:
    adapter(receiver).post("slack", BODY)
    assert receiver.received == [("/services/T0/s3cret", "application/json", BODY)]


def test_a_refusal_says_why_without_the_address_that_it_repeats(receiver: Receiver) -> None:
    receiver.status, receiver.says = 404, "no_service at {path}\nreally"
    assert refusal(adapter(receiver)) == "localhost answered 404 no_service at … really"


def test_a_redirection_is_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 307, {"Location": f"https://{receiver.host}/elsewhere"}
    assert "answered 307" in refusal(adapter(receiver))
    assert [path for path, _, _ in receiver.received] == ["/services/T0/s3cret"]


def test_a_certificate_that_nobody_vouches_for_is_refused(receiver: Receiver) -> None:
    assert refusal(adapter(receiver, trusts=False)) == "localhost cannot be reached: SSLCertVerificationError"
    assert receiver.received == []


def test_a_host_where_nothing_listens_is_named_alone(receiver: Receiver) -> None:
    hooks = SecretWebhooks({"slack": "arn:secret"}, ["localhost:1"], Secrets("https://localhost:1/s3cret"))
    assert refusal(hooks) == "localhost cannot be reached: ConnectionRefusedError"
