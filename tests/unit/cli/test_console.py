"""`sluice console` serves pages to one browser, and acts for whoever opened it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import Any, cast
from urllib.parse import urlencode

import pytest

import fakes
from command_world import Stack
from sluice.console import requests, security
from sluice.console.answering import answer
from sluice_cli.console import acts, serving
from sluice_cli.errors import CommandError
from sluice_cli.target import Target

KEY = "the-key-of-this-test"


class Rendering(Stack):
    """A stack whose function renders pages here."""

    def __init__(self) -> None:
        super().__init__(fakes.Cloud())
        self.outputs["ConsoleFunctionName"] = "sluice-console"

    def call(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        if operation != "invoke":
            return super().call(service, operation, **request)
        found = answer(self.cloud, requests.of_event(json.loads(request["Payload"]))).payload()
        return {"Payload": BytesIO(json.dumps(found).encode())}


class Browser:
    """Sends what a browser with the console's cookie would, or what else a test says."""

    def __init__(self, port: int) -> None:
        self.port, self.host = port, f"127.0.0.1:{port}"
        self.cookie = f"sluice-console-{port}={KEY}"

    def send(self, method: str, path: str, form: Any = None, **headers: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = urlencode(form) if form is not None else None
        sent = {"host": self.host, "cookie": self.cookie, **headers}
        connection.request(method, path, body, sent)
        found = connection.getresponse()
        text = found.read().decode()
        connection.close()
        return found.status, {name.lower(): value for name, value in found.getheaders()}, text


@pytest.fixture
def browser(socket_enabled: None) -> Iterator[Browser]:
    listening = serving.listen()
    target = cast(Target, Rendering())
    server = serving.Server(serving.Console(target, KEY), listening)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Browser(listening.getsockname()[1])
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_address_lets_one_browser_in_and_the_key_leaves_the_address(browser: Browser) -> None:
    status, headers, _ = browser.send("GET", f"/?key={KEY}", cookie="")
    assert (status, headers["location"]) == (303, "/")
    assert "HttpOnly; SameSite=Lax" in headers["set-cookie"]
    status, _, body = browser.send("GET", "/")
    assert status == 200
    assert "user/ada" in body


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": ""},
        {"cookie": "sluice-console-1=" + KEY},
        {"host": "elsewhere.example"},
        {"host": "127.0.0.1:1"},
    ],
)
def test_any_other_program_or_site_reads_nothing(browser: Browser, headers: dict[str, str]) -> None:
    status, _, body = browser.send("GET", "/", **headers)
    assert status == 403
    assert "sluice console" in body
    assert browser.send("GET", f"/?key={KEY}x", cookie="")[0] == 403


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("0" * 64, {}),
        (None, {"origin": "https://elsewhere.example"}),
        (None, {"sec-fetch-site": "cross-site"}),
        (None, {"sec-fetch-site": "same-site"}),
        (None, {"cookie": ""}),
    ],
)
def test_a_form_of_another_site_does_nothing(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, token: str | None, headers: dict[str, str]
) -> None:
    done: list[str] = []
    monkeypatch.setattr(acts, "act", lambda target, name, form: done.append(name))
    form = {"form_token": security.form_token(KEY) if token is None else token}
    assert browser.send("POST", "/acts/approve", form, **headers)[0] == 403
    assert done == []


@pytest.mark.parametrize(
    "back", ["//elsewhere.example/x", "https://elsewhere.example/x", "javascript:alert(1)"]
)
def test_a_form_leads_back_to_a_page_of_ours_which_says_once_what_came_of_it(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, back: str
) -> None:
    monkeypatch.setattr(acts, "act", lambda target, name, form: f"{name} <b>{form['model']}</b>")
    form = {"form_token": security.form_token(KEY), "model": "m/1", "back": back}
    status, headers, _ = browser.send("POST", "/acts/approve", form)
    assert status == 303
    assert re.fullmatch(r"/x?\?said=[\w-]+", headers["location"])
    said = f"/?{headers['location'].partition('?')[2]}"
    assert "approve &lt;b&gt;m/1&lt;/b&gt;" in browser.send("GET", said)[2]
    assert "approve" not in browser.send("GET", said)[2]


def test_what_went_wrong_is_told_on_the_page_with_what_to_do(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise CommandError("bob may not approve", hint="Ask ann.")

    monkeypatch.setattr(acts, "act", refuse)
    form = {"form_token": security.form_token(KEY)}
    _, headers, _ = browser.send("POST", "/acts/approve", form)
    body = browser.send("GET", headers["location"])[2]
    assert "bob may not approve" in body
    assert "Ask ann." in body


def test_a_form_that_lacks_something_or_asks_for_what_is_not_there_is_refused() -> None:
    target = cast(Target, Rendering())
    with pytest.raises(CommandError, match="lacks model"):
        acts.act(target, "approve", {"model": " "})
    with pytest.raises(CommandError, match="nothing called 'erase'"):
        acts.act(target, "erase", {})


def test_a_port_that_is_taken_is_replaced(socket_enabled: None) -> None:
    with serving.listen() as first, serving.listen(first.getsockname()[1]) as second:
        assert second.getsockname()[1] != first.getsockname()[1]
        assert isinstance(second, socket.socket)
