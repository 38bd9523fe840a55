"""Serve the console on loopback, to the browser that was given the key to it and to no other program."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from sluice.console import security
from sluice.console.requests import Frame
from sluice_cli.console import acts, asking
from sluice_cli.console.asking import Page
from sluice_cli.errors import CommandError
from sluice_cli.output import invocation
from sluice_cli.target import Target

LOOPBACK = "127.0.0.1"
_KEY, _SAID = "key", "said"
_FORM_MAX_BYTES = 64 * 1024
_SAYINGS_KEPT = 100
_TEXT = {"content-type": "text/plain; charset=utf-8", **security.PAGE}


@dataclass
class Console:
    """A console of one person: whose it is, the key to it, and what their last forms led to."""

    target: Target
    key: str
    person: str = ""
    _said: dict[str, dict[str, str]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def frame(self, said: str) -> Frame:
        """Return what a page shows of whose it is, and of what was said; a saying is told once."""
        with self._lock:
            self.person = self.person or self.target.call("sts", "get_caller_identity")["Arn"]
            told = self._said.pop(said, {})
        command = invocation.command("").strip()
        return Frame(self.person, security.form_token(self.key), command=command, **told)

    def page(self, path: str, query: str, headers: Mapping[str, str]) -> Page:
        said = (parse_qs(query).get(_SAID) or [""])[-1]
        kept = "&".join(part for part in query.split("&") if not part.startswith(f"{_SAID}="))
        return asking.ask(self.target, path, kept, headers, self.frame(said))

    def act(self, name: str, form: Mapping[str, str]) -> str:
        """Do what a form asks for; returns by which name what came of it is told."""
        try:
            told = {"said": acts.act(self.target, name, form)}
        except CommandError as error:
            told = {"failed": str(error), "hint": error.hint}
        saying = secrets.token_urlsafe(9)
        with self._lock:
            self._said[saying] = told
            for old in [*self._said][:-_SAYINGS_KEPT]:
                del self._said[old]
        return saying


def new_key() -> str:
    return secrets.token_urlsafe(24)


def listen(port: int = 0) -> socket.socket:
    """Listen on a port of loopback, on any free one if that is taken."""
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError:
        return socket.create_server((LOOPBACK, 0))


def address(listening: socket.socket, key: str) -> str:
    """Return what to open in a browser."""
    return f"http://{LOOPBACK}:{listening.getsockname()[1]}/?{_KEY}={key}"


class Server(ThreadingHTTPServer):
    """Answers with pages of a console, on a socket that listens already."""

    daemon_threads = True

    def __init__(self, console: Console, listening: socket.socket) -> None:
        port = listening.getsockname()[1]
        super().__init__((LOOPBACK, port), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.console = console
        self.origin = f"http://{LOOPBACK}:{port}"
        # Cookies know no ports.
        self.cookie = f"sluice-console-{port}"
        self.hosts = (f"{LOOPBACK}:{port}", f"localhost:{port}")


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "sluice", ""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        given = (parse_qs(url.query).get(_KEY) or [""])[-1]
        if self._is_own_host() and security.is_opened(given, self._console.key):
            cookie = f"{self.server.cookie}={given}; Path=/; HttpOnly; SameSite=Lax"
            self._lead_to(_own_path(url.path), {"set-cookie": cookie})
        elif self._is_admitted():
            self._answer(self._page(unquote(url.path), url.query))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        # Whatever is wrong with it, its body may be unread.
        self.close_connection = True
        if not self._is_admitted():
            return
        form = self._form()
        own = f"http://{self.headers['host']}"
        why = security.objection(self._lower(), own, self._console.key, form.pop("form_token", ""))
        if why:
            self._refuse(HTTPStatus.FORBIDDEN, f"Nothing was done: {why}.")
            return
        saying = self._console.act(unquote(urlsplit(self.path).path).rpartition("/")[2], form)
        self._lead_to(f"{_own_path(form.get('back', '/'))}?{_SAID}={saying}")

    def _form(self) -> dict[str, str]:
        """Read the fields of a form; none of one that is longer than any of ours."""
        length = int(self.headers.get("content-length") or 0)
        text = self.rfile.read(length).decode("utf-8", "replace") if length <= _FORM_MAX_BYTES else ""
        return {name: values[-1] for name, values in parse_qs(text).items()}

    def _lead_to(self, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self._answer(Page(HTTPStatus.SEE_OTHER, {"location": path, **headers, **_TEXT}, b""))

    @property
    def _console(self) -> Console:
        return self.server.console

    def _is_own_host(self) -> bool:
        """Tell whether the browser knows us by our own name: another may lead here by DNS rebinding."""
        return self.headers.get("host", "").lower() in self.server.hosts

    def _is_admitted(self) -> bool:
        """Answer who may not read pages, and say so."""
        given = _cookie(self.headers.get("cookie", ""), self.server.cookie)
        if self._is_own_host() and security.is_opened(given, self._console.key):
            return True
        why = "This console was opened for one browser. Open it by `sluice console`."
        self._refuse(HTTPStatus.FORBIDDEN, why)
        return False

    def _page(self, path: str, query: str) -> Page:
        try:
            return self._console.page(path, query, self._lower())
        except CommandError as error:
            return Page(HTTPStatus.BAD_GATEWAY, _TEXT, f"{error}\n{error.hint}\n".encode())

    def _lower(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._answer(Page(status, _TEXT, f"{why}\n".encode()))

    def _answer(self, page: Page) -> None:
        self.send_response(page.status)
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(page.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: addresses hold what was searched for."""


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _own_path(asked: str) -> str:
    """Return a path of ours to lead to, whatever was asked for."""
    path = urlsplit(asked).path
    return quote(path) if path.startswith("/") and not path.startswith("//") else "/"


def write_private(path: Path, document: Mapping[str, Any]) -> None:
    """Write a file that nobody else of this machine can read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(document))
