"""Ask for pages of the console, as a browser does through the function's URL."""

from __future__ import annotations

from typing import Any

import fakes
from sluice.console import requests
from sluice.console.answering import answer


def ask(cloud: fakes.Cloud, path: str, **context: Any) -> tuple[int, str]:
    """The status and the body of the answer; `context` is added to that of the request."""
    where, _, query = path.partition("?")
    asked = {"http": {"method": "GET"}, **context}
    event = {"rawPath": where, "rawQueryString": query, "requestContext": asked}
    shown = answer(cloud, requests.of_event(event)).payload()
    return shown["statusCode"], shown["body"]


def body(cloud: fakes.Cloud, path: str) -> str:
    """The page's HTML on one line."""
    return " ".join(ask(cloud, path)[1].split())
