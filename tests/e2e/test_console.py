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
    """Fail for what axe finds wrong on a page, on a phone too, and if a phone has to scroll sideways."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], page.url
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, page.url
    page.set_viewport_size({"width": 1200, "height": 900})


def go(page: Page, path: str) -> None:
    page.goto(f"{re.match(r'http://[^/]+', page.url)[0]}{path}")  # type: ignore[index]


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
    page.locator("svg text", has_text="serves v1").wait_for()
    accessible(page)
    for path in ("/", f"/pipelines/{name}/data", f"/pipelines/{name}/why", f"/pipelines/{name}/runs"):
        go(page, path)
        accessible(page)
