"""The function of the console: what is asked for over HTTP, and what leaves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import fakes
from sluice.catalog.records.builds import Pipeline
from sluice.console import requests, static
from sluice.console.answering import answer

EVENT = json.loads((Path(__file__).parents[3] / "events/console.json").read_text())


def ask(cloud: fakes.Cloud, path: str, **changes: Any) -> dict[str, Any]:
    return answer(cloud, requests.of_event({**EVENT, "rawPath": path, **changes})).payload()


def test_without_pipelines_the_home_page_teaches_the_first_three_commands() -> None:
    shown = ask(fakes.Cloud(), "/")
    assert shown["statusCode"] == 200
    for command in ("init my-model", "push my-model", "upload my-model FILE"):
        assert f"<code>sluice {command}" in shown["body"]


def test_a_page_has_a_twin_that_scripts_read() -> None:
    cloud = fakes.Cloud()
    cloud.catalog.create(Pipeline("reviews", "v1").item())
    by_path = ask(cloud, "/index.json")
    by_header = ask(cloud, "/", headers={"Accept": "application/json"})
    assert by_path["headers"]["content-type"] == "application/json"
    assert json.loads(by_path["body"]) == json.loads(by_header["body"])
    assert [each["pipeline"] for each in json.loads(by_path["body"])["pipelines"]] == ["reviews"]


@pytest.mark.parametrize("path", ["/", "/nothing/here"])
def test_a_page_loads_and_runs_nothing_but_ours_and_is_framed_by_nobody(path: str) -> None:
    shown = ask(fakes.Cloud(), path)
    policy = shown["headers"]["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert shown["headers"]["cache-control"] == "no-store"
    body = shown["body"]
    assert "<style" not in body
    assert " style=" not in body
    assert not [part for part in body.split("<script")[1:] if not part.startswith(' src="/static/')]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_function_only_reads(method: str) -> None:
    context = {**EVENT["requestContext"], "http": {"method": method}}
    assert ask(fakes.Cloud(), "/", requestContext=context)["statusCode"] == 405


def test_a_person_is_who_the_authorizer_says_and_not_who_a_header_says() -> None:
    shown = ask(fakes.Cloud(), "/", requestContext={}, headers={"person": "arn:aws:iam::1:user/eve"})
    assert "user/eve" not in shown["body"]
    assert "user/ada" in ask(fakes.Cloud(), "/")["body"]


def test_what_is_not_there_says_so_and_leads_on() -> None:
    shown = ask(fakes.Cloud(), "/nothing/<script>alert(1)</script>")
    assert shown["statusCode"] == 404
    assert '<a href="/" class="button">' in shown["body"]
    assert "<script>alert" not in shown["body"]


@pytest.mark.parametrize("name", ["report.css", "console.css", "htmx.min.js", "console.js", "icon.svg"])
def test_a_file_is_kept_for_ever_at_an_address_of_its_content(name: str) -> None:
    shown = ask(fakes.Cloud(), static.address(name))
    assert shown["statusCode"] == 200
    assert "immutable" in shown["headers"]["cache-control"]
    assert ask(fakes.Cloud(), f"/static/000000000000/{name}")["statusCode"] == 404
    assert ask(fakes.Cloud(), f"{static.PREFIX}../{name}")["statusCode"] == 404
