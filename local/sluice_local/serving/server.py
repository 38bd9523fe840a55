"""Serve the hosting contract over HTTP: GET /ping and POST /invocations."""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import NamedTuple

from .formats import JSON
from .handlers import InferenceService, Response


class Environment(NamedTuple):
    """The inference toolkit's settings, from its variables."""

    port: int
    program: str
    code_dir: Path
    model_dir: Path
    default_accept: str

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Environment:
        base = Path(variables.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
        return cls(
            port=int(variables.get("SAGEMAKER_BIND_TO_PORT", "8080")),
            program=variables.get("SAGEMAKER_PROGRAM", "inference.py"),
            code_dir=Path(variables.get("SAGEMAKER_SUBMIT_DIRECTORY", base / "model/code")),
            model_dir=base / "model",
            default_accept=variables.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON),
        )


class ModelServer(ThreadingHTTPServer):
    """A server with a thread for each connection; the caller keeps a few connections open."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, service: InferenceService) -> None:
        self.service = service
        super().__init__(("127.0.0.1", port), _RequestHandler)

    def server_bind(self) -> None:
        """Share the port with the parent process, which holds it so that nobody else gets it."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        TCPServer.server_bind(self)  # HTTPServer's own would look up the host's name


class _RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for the headers and the body
    server: ModelServer

    def parse_request(self) -> bool:
        """Refuse pages of browsers, which can reach loopback too, by its name or by DNS rebinding."""
        if not super().parse_request():
            return False
        is_page = "Origin" in self.headers or "Sec-Fetch-Site" in self.headers
        if is_page or self.headers.get("Host") != f"127.0.0.1:{self.server.server_address[1]}":
            self.send_error(403)
            return False
        return True

    def do_GET(self) -> None:
        status = 200 if self.path == "/ping" else 404
        self._send(Response(status, {}, b""))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path != "/invocations":
            return self._send(Response(404, {}, b""))
        return self._send(self.server.service.respond(body, dict(self.headers.items())))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *args: object) -> None:
        """Do not log requests: they are counted as metrics, and the log is the user's."""


def load_service(environment: Environment) -> InferenceService:
    """Import the user's script and load its model."""
    sys.path.insert(0, str(environment.code_dir))
    module = importlib.import_module(environment.program.removesuffix(".py").replace("/", "."))
    return InferenceService(module, str(environment.model_dir), environment.default_accept)


def main() -> None:
    """Serve until terminated; the port opens once the model is loaded."""
    environment = Environment.read(os.environ)
    ModelServer(environment.port, load_service(environment)).serve_forever()
