"""All pages by their addresses, and which view each of them shows."""

from __future__ import annotations

from sluice.console.pages import home, model, run
from sluice.console.rendering import Page
from sluice.console.requests import Request
from sluice.console.routing import Route
from sluice.domain.times import from_iso
from sluice.ports import Cloud
from sluice.services import views
from sluice.services.views import model_pages, run_pages

_RUNS_SHOWN = 30
_MODELS_SHOWN = 50


def _now(cloud: Cloud) -> float:
    return from_iso(cloud.now()).timestamp()


def _home(cloud: Cloud, request: Request) -> Page:
    return home.page(views.overview.overview(cloud, request.one("after"), request.one("q") or ""))


def _run(cloud: Cloud, request: Request, run_id: str) -> Page:
    return run.page(run_pages.page(cloud, run_id), _now(cloud))


def _log(cloud: Cloud, request: Request, run_id: str, step: str) -> Page:
    return run.log_page(run_pages.log(cloud, run_id, step))


def _runs(cloud: Cloud, request: Request, pipeline: str) -> Page:
    after = request.one("after")
    found = views.runs.runs(cloud, pipeline, limit=_RUNS_SHOWN, after=after)
    last = found[-1]["run_id"] if len(found) == _RUNS_SHOWN else None
    return run.list_page({"pipeline": pipeline, "runs": found, "after": last}, _now(cloud))


def _model(cloud: Cloud, request: Request, **parts: str) -> Page:
    return model.page(model_pages.page(cloud, "/".join(parts.values())))


def _models(cloud: Cloud, request: Request, pipeline: str) -> Page:
    found = views.models.page(cloud, pipeline, request.one("after"), _MODELS_SHOWN)
    last = found[_MODELS_SHOWN - 1]["arn"] if len(found) >= _MODELS_SHOWN else None
    return model.list_page({"pipeline": pipeline, "models": found, "after": last})


ROUTES = (
    Route("/", _home),
    Route("/runs/<run_id>", _run),
    Route("/runs/<run_id>/logs/<step>", _log),
    Route("/pipelines/<pipeline>/runs", _runs),
    Route("/pipelines/<pipeline>/models", _models),
    Route("/models/<pipeline>/<version>", _model),
    Route("/models/<pipeline>/<group>/<version>", _model),
)
