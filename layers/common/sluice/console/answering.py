"""Answer a request: find the page, gather its view, and write it as HTML or as JSON."""

from __future__ import annotations

import json

from sluice.console import requests, routing, security, static
from sluice.console.pages import missing
from sluice.console.requests import Answer, Request
from sluice.console.site import ROUTES
from sluice.domain.failures import MissingError
from sluice.ports import Cloud
from sluice.services.views.moments import moment

_READING = ("GET", "HEAD")
_HOME_TWIN = "/index"


def answer(cloud: Cloud, request: Request) -> Answer:
    """Return the page that is asked for, or one that says why there is none."""
    if request.method not in _READING:
        return _error(request, 405, "This page can only be read", "Nothing was changed.")
    if found := static.find(request.path):
        content, media_type = found
        return Answer(200, {**security.STATIC, "content-type": media_type}, content.decode())
    path = request.path.rstrip("/") or "/"
    route = routing.find(ROUTES, "/" if path == _HOME_TWIN else path)
    if route is None:
        return _error(request, 404, "There is no such page", "The address may be cut short.")
    show, parts = route
    try:
        shown = show(moment(cloud), request, **parts)
    except MissingError as error:
        return _error(request, 404, "There is no such thing", str(error))
    return shown if isinstance(shown, Answer) else _written(request, shown)


def _written(request: Request, page: object, status: int = 200) -> Answer:
    from sluice.console import rendering

    assert isinstance(page, rendering.Page)  # noqa: S101 - what shows a route returns a page or an answer
    if request.wants_json:
        document = json.dumps(page.view, indent=2, sort_keys=True, default=str)
        return Answer(status, {**security.PAGE, "content-type": requests.JSON}, document)
    html = rendering.render(page, request.frame, request.path, request.state)
    return Answer(status, {**security.PAGE, "content-type": requests.HTML}, html)


def _error(request: Request, status: int, title: str, what: str) -> Answer:
    return _written(request, missing.page(status, title, what), status)
