"""A webhook is posted to over TLS, and whatever goes wrong says nothing of its address."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.webhooks import SecretWebhooks
from sluice.domain.notices.webhooks import WebhookError

# A receiver on the loopback, with a certificate of its own.
pytestmark = pytest.mark.enable_socket
BODY = json.dumps({"text": "reviews-00001 failed."})


class Receiver:
    """A webhook on the loopback, with a certificate of its own."""

    def __init__(self, folder: Path) -> None:
        key, self.certificate = folder / "key.pem", folder / "certificate.pem"
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]
        named = [
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            str(key),
            "-out",
            str(self.certificate),
        ]
        subprocess.run([*command, *named], check=True, capture_output=True)
        self.received: list[tuple[str, str | None, str]] = []
        self.status, self.headers, self.says = 200, dict[str, str](), "ok"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.received.append((self.path, self.headers["Content-Type"], body))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(outer.says.replace("{path}", self.path).encode())

            def log_message(self, *_: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        # The handshake is the handler's: one that the client breaks off closes its socket like any request.
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def host(self) -> str:
        return f"localhost:{self.server.server_port}"


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
    receiver.server.shutdown()
    receiver.server.server_close()


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
