"""People play the loop by clicks, in a real browser, each with their own rights."""

from __future__ import annotations

import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from e2e.loop import Loop, rows
from sluice_cli import lookup
from sluice_cli.console import serving
from sluice_cli.target import Target

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Open = Callable[[str], "Page"]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        BROWSER is None, reason="there is no chromium on this machine: the console was not looked at"
    ),
]
# A run takes ten seconds, and minutes where all cores are busy.
_PATIENCE_MS = 240_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        # As root, which containers run as, Chromium has no sandbox of its own.
        launched = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


def person(target: Target, name: str, part: str) -> Target:
    """A user of the stack with the policy of a part, as they reach it."""
    iam = target.client("iam")
    user = f"{name}-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    resources = target.call("cloudformation", "describe_stack_resources", StackName=target.stack)
    (policy,) = [
        each["PhysicalResourceId"]
        for each in resources["StackResources"]
        if each["LogicalResourceId"] == f"{part}Policy"
    ]
    iam.attach_user_policy(UserName=user, PolicyArn=policy)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    session = boto3.Session(
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        region_name=target.session.region_name,
    )
    return replace(target, session=session, _clients={})


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[[Target], Page]]:
    """Open a console as a person; at the end nothing may have been refused by the policy of the pages."""
    ending: list[Callable[[], Any]] = []
    complaints: list[str] = []

    def open_console(target: Target) -> Page:
        listening = serving.listen()
        server = serving.Server(serving.Console(target, "a-key"), listening)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        page = browser.new_context(viewport={"width": 1200, "height": 900}).new_page()
        page.set_default_timeout(_PATIENCE_MS)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(serving.address(listening, "a-key"))
        ending.extend([page.context.close, server.shutdown, server.server_close])
        return page

    yield open_console
    for end in ending:
        end()
    assert complaints == []


def accessible(page: Page) -> None:
    """Fail for what axe finds wrong on a page in either scheme, and if a phone has to scroll sideways."""
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], (page.url, scheme)
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, page.url
    page.set_viewport_size({"width": 1200, "height": 900})


def go(page: Page, path: str) -> None:
    page.goto(f"{re.match(r'http://[^/]+', page.url)[0]}{path}")  # type: ignore[index]


@pytest.mark.backend("auto")
def test_people_play_the_loop_by_clicks_and_each_may_do_what_is_theirs(
    loop: Loop, opened: Callable[[Target], Page]
) -> None:
    name = loop.pipeline
    loop.push()
    ann, bob = person(loop.target, "ann", "Approver"), person(loop.target, "bob", "Operator")
    page = opened(ann)

    # A run proceeds under her eyes, without a reload.
    loop.upload("a.csv", rows(300, seed=1))
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", level=1, name=name).wait_for()
    page.get_by_role("link", name=re.compile("00001$")).first.click()
    page.evaluate("window.wasNotReloaded = true")
    page.get_by_role("heading", level=1, name="Registered").wait_for()
    assert page.evaluate("window.wasNotReloaded")
    go(page, f"/runs/{name}-00001")
    page.get_by_role("heading", name="Gates").wait_for()
    accessible(page)

    # An operator cannot approve: he is told so, and the version still waits.
    operators = opened(bob)
    go(operators, f"/models/{name}/1")
    operators.get_by_label("Why do you approve it?").fill("it looks right")
    operators.get_by_role("button", name="Approve").click()
    assert "AccessDenied" in operators.content() or "not authorized" in operators.content()
    operators.get_by_role("heading", level=1, name="Waits for your decision").wait_for()

    # She can, and the registry names her.
    page.get_by_role("link", name=f"{name}/1").first.click()
    accessible(page)
    page.get_by_label("Why do you approve it?").fill("accuracy <b>is</b> fine")
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("heading", level=1, name="Approved").wait_for()
    arn = lookup.model_arn(loop.target, f"{name}/1")
    described = loop.target.call("sagemaker", "describe_model_package", ModelPackageName=arn)
    assert ":user/ann-" in described["LastModifiedBy"]["IamIdentity"]["Arn"]

    # The release proceeds likewise.
    page.get_by_role("link", name="Releases").click()
    page.get_by_role("heading", level=1, name="production serves v1").wait_for()
    accessible(page)
    for path in ("/", f"/pipelines/{name}/data", f"/pipelines/{name}/why", f"/pipelines/{name}/runs"):
        go(page, path)
        accessible(page)


CANARY = "[{name: production, traffic: {type: canary, percent: 50, bake_s: 15, unwatched: true}}]"
TWO_INSTANCES = "{script: src/inference.py, sample: sample.json, compute: {instance_count: 2}}"
BAD = rows(60, seed=3).replace(b",1\r\n", b",7\r\n")


# Four runs, two releases and a rollback, which a busy machine takes minutes for.
@pytest.mark.timeout(900)
def test_a_person_watches_a_canary_rolls_it_back_and_releases_data_by_clicks(
    loop: Loop, opened: Callable[[Target], Page]
) -> None:
    name = loop.pipeline
    loop.push(pipeline=loop.configure(stages=CANARY, serve=TWO_INSTANCES))
    assert loop.run_after("a.csv", rows(300, seed=1))["status"] == "registered"
    assert loop.release_after(1)["status"] == "released"
    assert loop.run_after("b.csv", rows(300, seed=2))["status"] == "registered"
    bob, dora = person(loop.target, "bob", "Operator"), person(loop.target, "dora", "Developer")

    # The canary proceeds under his eyes, without a reload: first half of the traffic, then all.
    page = opened(bob)
    go(page, f"/pipelines/{name}/releases")
    page.evaluate("window.wasNotReloaded = true")
    loop.decide(2, "Approved")
    page.get_by_role("heading", level=1, name="A release to production is under way").wait_for()
    page.get_by_text(re.compile("^new: weight")).first.wait_for()
    page.get_by_role("heading", level=1, name="production serves v2").wait_for()
    page.get_by_role("link", name="Roll back").wait_for()
    assert page.evaluate("window.wasNotReloaded")

    # A developer may look, and is refused in words.
    others = opened(dora)
    go(others, f"/pipelines/{name}/releases/production/rollback")
    roll_back(others)
    others.get_by_role("alert").get_by_text("Nothing was done").wait_for()
    assert loop.predict()["model_version"] == "2"

    # An operator is asked about both versions by name, and may.
    go(page, f"/pipelines/{name}/releases")
    page.get_by_role("link", name="Roll back").click()
    page.get_by_role("heading", level=1, name="From v2 back to v1?").wait_for()
    accessible(page)
    roll_back(page)
    page.get_by_role("status").get_by_text("is being rolled back from v2").wait_for()
    page.get_by_role("heading", level=1, name="production serves v1").wait_for()
    assert loop.predict()["model_version"] == "1"

    # He reads why data were rejected, and releases them.
    assert loop.run_after("bad.csv", BAD)["status"] == "data_rejected"
    go(page, f"/pipelines/{name}/runs")
    page.get_by_role("link", name=re.compile("00003$")).first.click()
    page.get_by_role("heading", level=1, name="The data were rejected").wait_for()
    page.get_by_text(re.compile(r"y: \d+ rows not one of 0, 1")).first.wait_for()
    go(page, f"/pipelines/{name}/data")
    page.get_by_text("Release it").click()
    page.get_by_label("Why is it right after all?").fill("7 is what the sensor says")
    page.get_by_role("button", name="Release").click()
    page.get_by_role("status").get_by_text("is released: the next build judges it again").wait_for()
    assert "data released" in loop.events()

    compared = f"/compare?model={name}/1&model={name}/2"
    for path in ("models", "releases", "monitoring", "data", "arrivals", "batches", "runs", "why"):
        go(page, f"/pipelines/{name}/{path}")
        accessible(page)
    log = f"/runs/{name}-00001/logs/prepare"
    for path in (f"/pipelines/{name}", f"/models/{name}/2", compared, log, "/notices", "/"):
        go(page, path)
        accessible(page)


def roll_back(page: Page) -> None:
    page.get_by_label("Why?").fill("users complain <script>alert(1)</script>")
    page.get_by_role("button", name="Roll production back to v1").click()
