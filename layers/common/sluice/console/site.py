"""All pages by their addresses, and which view each of them shows."""

from __future__ import annotations

from sluice.console import requests, security
from sluice.console.pages import batches, data, home, model, monitoring, pipeline, release, run
from sluice.console.rendering import Page
from sluice.console.requests import Answer, Request
from sluice.console.routing import Route
from sluice.domain.failures import MissingError
from sluice.domain.times import from_iso
from sluice.ports import Cloud
from sluice.services import views
from sluice.services.views import model_pages, pipeline_pages, run_pages

_RUNS_SHOWN = 30
_MODELS_SHOWN = 50
_COMPARED = 5
_NOTICES_SHOWN = 50


def _now(cloud: Cloud) -> float:
    return from_iso(cloud.now()).timestamp()


def _home(cloud: Cloud, request: Request) -> Page:
    return home.page(views.overview.overview(cloud, request.one("after"), request.one("q") or ""))


def _run(cloud: Cloud, request: Request, run_id: str) -> Page:
    return run.page(run_pages.page(cloud, run_id), _now(cloud))


def _log(cloud: Cloud, request: Request, run_id: str, step: str) -> Page:
    return run.log_page(run_pages.log(cloud, run_id, step))


def _runs(cloud: Cloud, request: Request, pipeline: str) -> Page:
    found = views.runs.page(cloud, pipeline, _RUNS_SHOWN, request.one("after"), request.one("status"))
    return run.list_page(found, _now(cloud))


def _model(cloud: Cloud, request: Request, **parts: str) -> Page:
    return model.page(model_pages.page(cloud, "/".join(parts.values())))


def _models(cloud: Cloud, request: Request, pipeline: str) -> Page:
    found = pipeline_pages.models_list(
        cloud, pipeline, request.one("after"), _MODELS_SHOWN, request.one("status")
    )
    return model.list_page(found)


def _pipeline(cloud: Cloud, request: Request, name: str) -> Page:
    return pipeline.page(pipeline_pages.overview(cloud, name), _now(cloud))


def _data(cloud: Cloud, request: Request, name: str) -> Page:
    return data.page(pipeline_pages.data_page(cloud, name, request.one("after")))


def _arrivals(cloud: Cloud, request: Request, name: str) -> Page:
    wanted = request.one("state"), request.one("key") or "", request.one("after")
    return data.arrivals_page(pipeline_pages.arrivals_page(cloud, name, *wanted))


def _version(cloud: Cloud, request: Request, name: str, version: str) -> Page:
    return data.version_page(pipeline_pages.version_page(cloud, name, version))


def _report(cloud: Cloud, request: Request, name: str, version: str) -> Answer:
    html = pipeline_pages.report_html(cloud, name, version).decode()
    return Answer(200, {**security.REPORT, "content-type": requests.HTML}, html)


def _releases(cloud: Cloud, request: Request, name: str) -> Page:
    return release.page(pipeline_pages.release_page(cloud, name))


def _roll_back(cloud: Cloud, request: Request, name: str, stage: str) -> Page:
    return release.rollback_page(pipeline_pages.rollback_page(cloud, name, stage))


def _batches(cloud: Cloud, request: Request, name: str) -> Page:
    return batches.page(pipeline_pages.batches_page(cloud, name, request.one("after")))


def _monitoring(cloud: Cloud, request: Request, name: str) -> Page:
    return monitoring.page(pipeline_pages.monitoring_page(cloud, name, request.one("stage")))


def _why(cloud: Cloud, request: Request, name: str) -> Page:
    return pipeline.why_page(pipeline_pages.why_page(cloud, name, request.one("stage")))


def _notices(cloud: Cloud, request: Request) -> Page:
    found = views.notices.page(cloud, _NOTICES_SHOWN, request.one("after"), request.one("pipeline"))
    return home.notices_page(found)


def _compare(cloud: Cloud, request: Request) -> Page:
    named = list(dict.fromkeys(request.query.get("model", ())))
    wanted = named or list(dict.fromkeys(request.query.get("run", ())))
    if not 2 <= len(wanted) <= _COMPARED:
        what = "models" if named else "runs"
        raise MissingError(f"Choose two to {_COMPARED} {what} to compare; these are {len(wanted)}.")
    compared = pipeline_pages.models_page if named else pipeline_pages.comparison_page
    return pipeline.compare_page(compared(cloud, wanted))


ROUTES = (
    Route("/", _home),
    Route("/runs/<run_id>", _run),
    Route("/runs/<run_id>/logs/<step>", _log),
    Route("/pipelines/<pipeline>/runs", _runs),
    Route("/pipelines/<pipeline>/models", _models),
    Route("/pipelines/<name>", _pipeline),
    Route("/pipelines/<name>/data", _data),
    Route("/pipelines/<name>/arrivals", _arrivals),
    Route("/pipelines/<name>/data/<version>", _version),
    Route("/pipelines/<name>/data/<version>/report", _report),
    Route("/pipelines/<name>/releases", _releases),
    Route("/pipelines/<name>/releases/<stage>/rollback", _roll_back),
    Route("/pipelines/<name>/monitoring", _monitoring),
    Route("/pipelines/<name>/batches", _batches),
    Route("/pipelines/<name>/why", _why),
    Route("/compare", _compare),
    Route("/notices", _notices),
    Route("/models/<pipeline>/<version>", _model),
    Route("/models/<pipeline>/<group>/<version>", _model),
)
