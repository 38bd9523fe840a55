"""All pages by their addresses, and which view each of them shows."""

from __future__ import annotations

from sluice.console.pages import home
from sluice.console.rendering import Page
from sluice.console.requests import Request
from sluice.console.routing import Route
from sluice.ports import Cloud
from sluice.services import views


def _home(cloud: Cloud, request: Request) -> Page:
    return home.page(views.overview.overview(cloud, request.one("after"), request.one("q") or ""))


ROUTES = (Route("/", _home),)
