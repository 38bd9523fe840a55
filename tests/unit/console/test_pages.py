"""What each page shows of what happened, and that no text of others does harm there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest

import browsing
import build_world
import fakes
import release_world
from sluice.catalog import keys
from sluice.catalog.changes import recalls as changes
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.notices import Notice
from sluice.catalog.records.recalls import Recall
from sluice.catalog.records.transforms import Awaited, SetAside, Transform
from sluice.console import rendering, requests
from sluice.console.pages import monitoring
from sluice.console.pages import run as run_page
from sluice.domain import canonical
from sluice.domain.build import gate_report
from sluice.domain.build import gates as judging
from sluice.domain.build.verdicts import Facts
from sluice.domain.predictions.table import Predictions
from sluice.domain.times import from_iso
from sluice.services.data import arrivals
from sluice.services.release import releasing
from sluice.services.views import pipeline_pages

BUILDS, RELEASES = build_world.PIPELINE, release_world.PIPELINE
RUN = build_world.RUN
TURNED = "\u202e\u2066"
HOSTILE = f'"><script>alert(1)</script><img src=x onerror=alert(2)>{TURNED} x\x1b[2J'
_VOID = {"meta", "link", "input", "br", "rect", "path", "circle", "line", "img"}


def ask(cloud: fakes.Cloud, path: str, *, may_act: bool = True) -> tuple[int, str]:
    given = {"person": "arn:aws:iam::123456789012:user/ada", "form_token": "0f" if may_act else ""}
    return browsing.ask(cloud, path, authorizer={"lambda": given})


class Page(HTMLParser):
    """A page as a browser reads it: fails if an element is not closed, or closed twice."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.names: list[str] = []
        self.forms: list[dict[str, str | None]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.names += given
        self.links += [str(given[name]) for name in ("href", "src", "action") if name in given]
        if tag == "form":
            self.forms.append(given)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def page(cloud: fakes.Cloud, path: str, **given: Any) -> Page:
    status, html = ask(cloud, path, **given)
    assert status == 200, html
    return Page(html)


@pytest.fixture
def built(cloud: fakes.Cloud, invoke: build_world.Invoke) -> build_world.World:
    """A pipeline with a run that registered a model."""
    return build_world.World.of_started_run(cloud, invoke).begin("played", build_world.World.play)


@pytest.fixture
def released(cloud: fakes.Cloud, invoke: release_world.Invoke) -> release_world.World:
    """A pipeline of which a version serves, and a newer one waits for a person."""
    world = release_world.World(cloud, invoke)
    world.approve(world.register(1))
    world.later(hours=1)
    world.register(2)
    return world


def test_a_run_shows_its_verdict_first_and_each_step_with_its_time(built: build_world.World) -> None:
    shown = page(built.cloud, f"/runs/{RUN}")
    words = shown.words.partition("Skip to the content")[2]
    assert words.index("Registered") < words.index("Steps") < words.index("Gates")
    for step in ("prepare", "train-0", "evaluate-candidate", "register"):
        assert step in words
    assert f"/runs/{RUN}/logs/prepare" in shown.links
    assert not shown.forms, "what has ended well can neither be stopped nor retried"


def test_a_failed_run_shows_the_last_lines_of_the_script_before_all_else(built: build_world.World) -> None:
    catalog = built.cloud.catalog
    catalog.update(keys.run_key(BUILDS, RUN), {"status": "failed", "reasons": ["prepare failed"]})
    tail = ["Traceback (most recent call last):", "KeyError: 'label'"]
    said = {"status": "Failed", "failure_reason": "it ended with 1", "log_tail": tail}
    catalog.update(keys.step_key(RUN, "prepare"), said)
    shown = page(built.cloud, f"/runs/{RUN}")
    assert shown.words.index("KeyError: 'label'") < shown.words.index("Steps")
    assert [form["action"] for form in shown.forms] == ["/acts/retry"]


def test_a_run_says_what_a_script_left_running(built: build_world.World) -> None:
    left = "ended 1 process that the script left running: sleep"
    built.cloud.catalog.update(keys.step_key(RUN, "train-0"), {"left_behind": left})
    assert left in page(built.cloud, f"/runs/{RUN}").words


def test_while_a_run_is_under_way_the_page_asks_again_and_offers_to_stop_it(
    cloud: fakes.Cloud, invoke: build_world.Invoke
) -> None:
    build_world.World.of_started_run(cloud, invoke)
    status, html = ask(cloud, f"/runs/{RUN}")
    assert status == 200
    assert f'hx-get="/runs/{RUN}"' in html
    assert 'hx-trigger="every 2s"' in html
    assert [form["action"] for form in Page(html).forms] == ["/acts/stop"]


def test_what_was_compared_with_nothing_says_so_wherever_it_waits(
    cloud: fakes.Cloud, invoke: build_world.Invoke
) -> None:
    cloud.allows_automatic_approval = True
    world = build_world.World(cloud, invoke)
    world.push(pipeline=f"{build_world.PIPELINE_YAML}register: {{approval: automatic}}\n".encode())
    assert world.build("a.csv") == "registered"
    why = "a person decides, although approval is automatic: there is no champion"
    for path in ("/", f"/pipelines/{BUILDS}", f"/runs/{RUN}", f"/models/{BUILDS}/1"):
        assert why in page(cloud, path).text, path
    for path in (f"/runs/{RUN}", f"/models/{BUILDS}/1"):
        assert "nothing compared" in page(cloud, path).text


def test_gates_of_slices_are_drawn_on_a_runs_page(built: build_world.World) -> None:
    """By the report's own templates, with the console's filters."""
    rows = [*map(str, range(120))]
    table = Predictions(rows, ["1"] * 120, ["1"] * 120, None, {"length": ["long", "short"] * 60})
    gate = "for each length with n >= 30: accuracy >= 0.6"
    document = gate_report.document(
        judging.judge([gate], {}, None, Facts(table)),
        pipeline=BUILDS,
        run_id=RUN,
        project_version="ab",
        judged_at="2026-11-29T01:02:03.000Z",
        evaluation_sha256="cd",
        champion=None,
        models=(),
    )
    place = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{BUILDS}/{RUN}/gates/gates.json"
    built.cloud.objects.write(place, canonical.to_json(document))
    assert "long 60" in page(built.cloud, f"/runs/{RUN}").words


def test_a_step_is_drawn_as_long_as_it_took() -> None:
    """On Lambda with its cold start, which is over once the script begins."""
    step: dict[str, Any] = {
        **{"step": "train-0", "status": "Completed", "took_s": 10.0},
        **{"started_at": "2026-11-24T09:00:09.000Z", "ended_at": "2026-11-24T09:00:10.000Z"},
    }
    _, took, _, began, ended, _ = run_page._span(step, 0.0)
    end = from_iso(step["ended_at"]).timestamp()
    assert (took, began, ended) == ("10.0 s", end - 10, end)
    _, took, _, began, ended, _ = run_page._span({**step, "cached": {"run_id": RUN}}, 0.0)
    assert (took, began, ended) == ("cached", end - 1, end)


def test_a_step_under_way_says_how_long_it_has_run_on_the_page(
    cloud: fakes.Cloud, invoke: build_world.Invoke
) -> None:
    world = build_world.World.of_prepared_run(cloud, invoke)
    world.start("prepare")
    world.later(seconds=75)
    assert "1 min 15 s so far" in page(cloud, f"/runs/{RUN}").words


def test_an_approver_sees_whose_name_stands_under_which_digests(built: build_world.World) -> None:
    shown = page(built.cloud, f"/models/{BUILDS}/1")
    run = built.catalog_run()
    assert "arn:aws:iam::123456789012:user/ada" in shown.words
    for digest in (run["manifest_sha256"], run["dataset_version"], run["project_version"]):
        assert digest in shown.words
    assert [form["action"] for form in shown.forms] == ["/acts/approve", "/acts/reject"]


def test_a_model_of_changes_that_nobody_committed_says_so(
    cloud: fakes.Cloud, invoke: build_world.Invoke
) -> None:
    world = build_world.World(cloud, invoke)
    world.push()
    project = keys.project_key(BUILDS, world.pipeline["project_version"])
    cloud.catalog.update(project, {"source": {"commit": "c" * 40, "branch": "main", "is_clean": False}})
    assert world.build("a.csv") == "registered"
    told = "commit cccccccccccc on main with changes that are not committed"
    assert page(cloud, f"/models/{BUILDS}/1").words.count(told) == 2


def test_without_a_person_behind_it_a_page_has_commands_in_place_of_forms(
    released: release_world.World,
) -> None:
    shown = page(released.cloud, f"/models/{RELEASES}/2", may_act=False)
    assert shown.forms == []
    assert f"sluice approve {RELEASES}/2" in shown.words


def test_a_rollback_is_confirmed_with_both_versions_by_name(released: release_world.World) -> None:
    path = f"/pipelines/{RELEASES}/releases/production/rollback"
    assert "There is nothing to go back to" in page(released.cloud, path).words
    released.approve(next(arn for arn in released.cloud.registry.by_arn if arn.endswith("/2")))
    released.later(hours=1)
    shown = page(released.cloud, path)
    assert "From v2 back to v1?" in shown.words
    assert [form["action"] for form in shown.forms] == ["/acts/roll-back"]


def test_a_stage_shows_what_its_alarms_judged_against_their_limits(released: release_world.World) -> None:
    alarms, path = released.cloud.alarms, f"/pipelines/{RELEASES}/releases"
    (name,) = (each for each in alarms.by_name if each.endswith("--error-rate"))
    limit = alarms.by_name[name]["Threshold"]
    assert "nothing was judged" in page(released.cloud, path).words
    now = from_iso(released.cloud.now())
    far, near = now - timedelta(hours=2), now - timedelta(minutes=3)
    alarms.measured[name] = [(far, 0.9), (near, limit * 3), (near + timedelta(minutes=1), 0.0)]
    _, html = ask(released.cloud, path)
    words = Page(html).words
    assert f"error-rate 0 %, limit {limit * 100:g} %, rolls back" in words
    assert (html.count('class="dot bad"'), html.count('class="dot "')) == (1, 1), "one is beyond the limit"
    assert f"UTC: {limit * 300:g} %" in words


def test_a_window_without_labels_is_shown_as_one(released: release_world.World) -> None:
    """Catalog items lack what is 0 or unknown, and templates must not count on it."""
    view = {"start": "2026-11-24T09:00:00.000Z", "status": "open", "is_final": False, "measured": []}
    stage = {
        "stage": "production",
        "live_version": 1,
        "limits": {"requests": [], "quality": []},
        "metric": None,
        "windows": [{**view, "package_version": 1}],
        "labels": [view],
        "alarms": [],
    }
    shown = monitoring.page({"pipeline": RELEASES, "stages": [stage], "history": []})
    words = Page(rendering.render(shown, requests.Frame())).words
    assert "\u2013 of \u2013" in words
    assert "estimate" not in words  # there is no value yet


def test_what_is_watched_says_first_what_was_found_and_draws_limits(released: release_world.World) -> None:
    start, later = "2026-11-24T09:00:00.000Z", "2026-11-24T10:00:00.000Z"
    windows = [
        {"start": at, "status": "ok", "package_version": 1, "rows": 200, "figures": {"drift": 0.1}}
        for at in (later, start)
    ]
    measured = [{"slice": "", "value": 0.8, "baseline": 0.9, "interval": [0.7, 0.85]}]
    labels = [{"start": start, "status": "violated", "is_final": True, "measured": measured}]
    stage = {
        "stage": "production",
        "live_version": 1,
        "metric": "accuracy",
        "windows": windows,
        "labels": labels,
        "limits": {"requests": [500.0], "drift": [0.2], "quality": [0.85]},
        "alarms": [{"alarm": "sluice--m--production--decay", "state": "ALARM"}],
    }
    shown = monitoring.page({"pipeline": RELEASES, "stages": [stage], "history": [], "watched": []})
    html = rendering.render(shown, requests.Frame())
    words = Page(html).words
    assert "Decay was found" in words
    assert [f"limit {value}" in words for value in ("0.85", "500", "0.2")] == [True] * 3
    assert html.count('class="limit"') == 3


def test_a_shadow_is_shown_beside_what_serves(released: release_world.World) -> None:
    catalog, key = released.cloud.catalog, keys.stage_key(RELEASES, "production")
    live = catalog.get(keys.deployment_key(RELEASES, "production", (catalog.get(key) or {})["live"])) or {}
    catalog.update(key, {"releasing": "reviews-v2-00000000"})
    shadow = {
        "status": "mirroring", "percent": 20, "since": released.cloud.now.at, "until": released.cloud.now.at,
        "requests": 400, "compared": 380, "agreement": 0.95, "error_rate": 0.01, "live_error_rate": 0.0,
        "latency_ms": 31.5, "live_latency_ms": 40.0,
    }  # fmt: skip
    trying = {**keys.without_key(live), "package_version": 2, "status": "deploying", "shadow": shadow}
    catalog.update(keys.deployment_key(RELEASES, "production", "reviews-v2-00000000"), trying)
    words = page(released.cloud, f"/pipelines/{RELEASES}/releases").words
    assert "A release to production is under way" in words
    assert "v2 answers 20 % of the requests too, for nobody" in words
    for said in ("of 400 requests", "0%1.0%", "40 ms31.5 ms", "95.0% of 380 rows"):
        assert said in words


def test_batches_show_what_scores_what_waits_and_what_went_wrong(released: release_world.World) -> None:
    cloud = released.cloud
    stage = cloud.catalog.get(keys.stage_key(RELEASES, "production")) or {}
    live = keys.deployment_key(RELEASES, "production", stage["live"])
    path = f"/pipelines/{RELEASES}/batches"
    assert "No stage of reviews scores batches" in page(cloud, path).words
    cloud.catalog.update(live, {"is_batch": True})
    assert "Nothing has been scored yet: sluice batch run reviews FILE" in page(cloud, path).words
    for number in range(25):
        transform = Transform(
            RELEASES, f"reviews-batch-{number:05}", "failed" if number == 24 else "completed", "production",
            stage["live"], "arn", 1, f"job-{number}", f"s3://results/{number}", cloud.now.at,
            inputs=[{"key": HOSTILE + "x" * 10_000, "version_id": "v", "size_bytes": 3}], rows=7,
            reason=HOSTILE if number == 24 else None, faults=["a row is missing"] if number == 23 else (),
            cost_usd=0.25, is_split=number == 24,
        )  # fmt: skip
        cloud.catalog.create(transform.item())
    cloud.catalog.create(Awaited(RELEASES, "batch/reviews/next.csv", "v").item())
    aside = SetAside(RELEASES, "batch/reviews/bad.csv", "v", cloud.now.at, f"no JSON {HOSTILE}")
    cloud.catalog.create(aside.item())
    shown = page(cloud, path)
    for words in ("reviews-batch-00024 failed", "each of its files is scored alone once more", "$0.25",
                  "completed 1 fault", "s3://results/23", "batch/reviews/next.csv",
                  "batch/reviews/bad.csv no JSON"):  # fmt: skip
        assert words in shown.words
    assert "reviews-batch-00004" not in shown.words
    (older,) = [link for link in shown.links if "after=" in link]
    assert "reviews-batch-00004" in page(cloud, f"{path}{older}").words
    assert "<script>alert" not in ask(cloud, path)[1]
    twin = json.loads(ask(cloud, f"{path}.json")[1])
    assert (twin["package_version"], len(twin["transforms"]), len(twin["waiting"])) == (1, 20, 1)


def test_what_the_next_run_costs_is_said_of_one_that_computes_every_step(built: build_world.World) -> None:
    shown = page(built.cloud, f"/pipelines/{BUILDS}").words
    assert re.search(r"next run ?about \$[0-9.]+ if it computes every step", shown)


def test_a_recall_that_nothing_was_trained_without_is_among_what_waits(built: build_world.World) -> None:
    at = built.cloud.now()
    recall = Recall(BUILDS, "0" * 64, f"{BUILDS}/a.csv", "open", at, "ada", "a person asked", "r1")
    built.cloud.catalog.apply(changes.recall(recall))
    waits = page(built.cloud, f"/pipelines/{BUILDS}").words
    assert f"recalled {BUILDS}/a.csv" in waits
    assert "no model was trained without it yet" in waits


def test_home_tells_what_serves_and_what_waits_for_whom(released: release_world.World) -> None:
    words = page(released.cloud, "/").words
    assert "1 thing on this page waits for a person." in words
    assert f"waits for you {RELEASES}/2 to be approved" in words
    assert "v1 since" in words


def test_what_a_person_pinned_is_said_where_it_serves_and_can_be_let_go(
    released: release_world.World,
) -> None:
    path = f"/pipelines/{RELEASES}/releases"
    acts = [form["action"] for form in page(released.cloud, path).forms]
    assert acts == ["/acts/pin"]
    stage = released.cloud.catalog.get(keys.stage_key(RELEASES, "production")) or {}
    pin = {"release_id": stage["live"], "is_on": True, "at": released.cloud.now(), "actor": "ada"}
    released.cloud.catalog.update(keys.key_of(stage), {"pin": {**pin, "reason": "until Monday"}})
    shown = page(released.cloud, path)
    assert "they only call a person: ada pinned v1: until Monday" in shown.words
    assert [form["action"] for form in shown.forms] == ["/acts/let-go"]
    ends = f"sluice pin {RELEASES} --stage production --off ends that"
    for path in ("/", f"/pipelines/{RELEASES}", f"/pipelines/{RELEASES}/why"):
        words = page(released.cloud, path).words
        assert "ada pinned v1: until Monday" in words
        assert words.replace("ada pinned v1", "").count("pinned") == 1
        assert ends in words


def test_a_shadow_is_shown_with_how_it_does_beside_what_serves(released: release_world.World) -> None:
    _, task = released.plan(released.register(9))
    found = released.deployment(task["release_id"])
    shadow = {
        "status": "mirroring",
        "percent": 50,
        "since": released.cloud.now(),
        "until": released.cloud.now(),
        "requests": 40,
        "compared": 0,
        "agreement": None,
        "error_rate": 0.05,
        "live_error_rate": 0.0,
    }
    released.cloud.catalog.update(keys.key_of(found), {"shadow": shadow})
    path = f"/pipelines/{RELEASES}/releases"
    shown = page(released.cloud, path).words
    assert "answers 50 % of the requests too, for nobody" in shown
    assert "40 requests mirrored, errors 5.00% (serving 0.00%)" in shown
    released.cloud.catalog.update(keys.key_of(found), {"shadow": {**shadow, "status": "passed"}})
    assert "for nobody" not in page(released.cloud, path).words


def test_of_a_pipeline_that_was_only_pushed_home_says_what_comes_next(
    cloud: fakes.Cloud, invoke: build_world.Invoke
) -> None:
    build_world.World(cloud, invoke).push()
    assert f"Next: sluice upload {BUILDS} FILE trains its first model." in page(cloud, "/").words


def test_what_people_were_told_is_on_the_home_page_and_all_of_it_on_its_own(
    released: release_world.World,
) -> None:
    assert "Nobody was told anything" in page(released.cloud, "/notices").words
    for number in range(60):
        told = Notice(
            f"2026-11-{number:02}", "run_failed", released.cloud.now(), f"Thing {number:02}", "since"
        )
        released.cloud.catalog.create(told.item())
    home, first = page(released.cloud, "/"), page(released.cloud, "/notices")
    assert [number for number in range(60) if f"Thing {number:02}" in home.words] == [55, 56, 57, 58, 59]
    (older,) = (link for link in first.links if "after=" in link)
    words = page(released.cloud, f"/notices{older}").words
    assert [number for number in range(60) if f"Thing {number:02}" in words] == list(range(10))


def test_notices_of_a_pipeline_are_found_behind_those_of_others(released: release_world.World) -> None:
    create = released.cloud.catalog.create
    create(
        Notice("2026-11-00", "run_failed", released.cloud.now(), "Ours", "since", pipeline=RELEASES).item()
    )
    for number in range(1, 200):
        create(Notice(f"2026-11-{number:03}", "run_failed", released.cloud.now(), "Else", "since").item())
    found = page(released.cloud, f"/notices?pipeline={RELEASES}")
    assert ("Ours" in found.words, "Else" in found.words) == (True, False)
    assert "None of those looked at is of nowhere" in page(released.cloud, "/notices?pipeline=nowhere").words


def test_models_are_found_by_their_decision(released: release_world.World) -> None:
    def listed(query: str) -> list[int]:
        links = page(released.cloud, f"/pipelines/{RELEASES}/models{query}").links
        return [number for number in (1, 2) if f"/models/{RELEASES}/{number}" in links]

    assert listed("?status=Approved") == [1]
    assert listed("?status=PendingManualApproval") == [2]
    assert listed("?status=Rejected") == []
    assert listed("?status=nonsense") == listed("") == [1, 2]


def test_models_are_compared_by_what_their_runs_had(built: build_world.World) -> None:
    catalog, one = built.cloud.catalog, f"{BUILDS}/1"
    (arn,) = built.cloud.registry.by_arn
    for run_id, number in ((RUN, 1), (OTHER_RUN, 2)):
        run = catalog.get(keys.run_key(BUILDS, RUN)) or {}
        uri = f"{run['manifest_uri']}-{number}"
        document = {"environments": [{"steps": [], "python": "3.10", "packages": {"numpy": "1.0"}}]}
        packages = {"numpy": f"2.{number}", "pandas": "3.0"}
        document["environments"].append({"steps": ["train-1"], "python": "3.11", "packages": packages})
        stored = json.dumps(document).encode()
        built.cloud.objects.write(uri, stored)
        now = {"manifest_uri": uri, "manifest_sha256": hashlib.sha256(stored).hexdigest()}
        catalog.update(keys.run_key(BUILDS, run_id), {**keys.without_key(run), **now})
        for step in catalog.query(keys.steps_partition(RUN)):
            catalog.update(keys.step_key(run_id, keys.step_of(step)), keys.without_key(step))
    second = built.cloud.registry.by_arn[arn.removesuffix("/1") + "/2"] = {
        **built.cloud.registry.by_arn[arn],
        "ModelPackageArn": arn.removesuffix("/1") + "/2",
        "ModelPackageVersion": 2,
    }
    package = {**keys.without_key(catalog.get(keys.package_key(arn)) or {}), "run_id": OTHER_RUN}
    catalog.update(keys.package_key(second["ModelPackageArn"]), package)
    shown = page(built.cloud, f"/compare?model={one}&model={BUILDS}/2")
    differs, _, same = shown.words.partition("What is the same")
    assert "2 models compared" in differs
    assert "packages numpy2.12.2" in differs
    assert "pandas" not in shown.words
    assert "how many22" in same
    status, html = ask(built.cloud, f"/compare?model={one}&model={BUILDS}/9")
    assert (status, f"There is no model &#39;{BUILDS}/9&#39;" in html) == (404, True)


def test_runs_of_a_status_are_found_however_many_others_lie_between(built: build_world.World) -> None:
    catalog, path = built.cloud.catalog, f"/pipelines/{BUILDS}/runs"
    run = catalog.get(keys.run_key(BUILDS, RUN)) or {}
    for number in range(2, 400):
        status = "failed" if number in (5, 390) else "registered"
        catalog.update(
            keys.run_key(BUILDS, f"{BUILDS}-{number:05}"), {**keys.without_key(run), "status": status}
        )

    def shown(query: str) -> tuple[list[str], str]:
        found = json.loads(ask(built.cloud, f"{path}.json{query}")[1])
        return [each["run_id"][-5:] for each in found["runs"]], str(found["after"])[-5:]

    assert shown("?status=failed") == (["00390"], "00100")
    assert shown(f"?status=failed&after={BUILDS}-00100") == (["00005"], "None")
    found, ends = shown("")
    assert (found[0], len(found), ends) == ("00399", 30, "00370")
    found, ends = shown("?status=registered")
    assert (found[0], len(found), ends) == ("00399", 30, "00369")
    assert (
        "No such run is on record" in page(built.cloud, f"{path}?status=stopped&after={BUILDS}-00100").words
    )


OTHER_RUN = f"{BUILDS}-00002"


class Asked(fakes.FakeCatalog):
    """A catalog that notes its queries."""

    def __init__(self, items: dict[Any, Any]) -> None:
        self.items = items
        self.queries: list[str] = []

    def query(self, pk: str, prefix: str = "", **options: Any) -> Any:
        self.queries.append(f"{pk} {prefix}")
        return super().query(pk, prefix, **options)


def test_however_many_pipelines_there_are_home_asks_for_none_of_them_alone(built: build_world.World) -> None:
    copied = json.dumps([[*pair, item] for pair, item in built.cloud.catalog.items.items()])
    asked = Asked({})
    for number in range(9):
        items = json.loads(copied.replace(BUILDS, f"p-{number}"))
        asked.items |= {(pk, sk): item for pk, sk, item in items}
    many = fakes.Cloud(catalog=asked, registry=built.cloud.registry)
    words = page(many, "/").words
    assert words.count("registered") == 9
    assert asked.queries == ["NOTICES NOTICE#"]
    asked.queries.clear()
    # What is set aside is known by name; in a pipeline of an older stack it looks.
    version = many.objects.put(fakes.DATA_BUCKET, "p-3/bad.csv", b"bad")
    bad = Arrival("p-3", "p-3/bad.csv", version, 3, many.now.at, "quarantined", state=keys.QUARANTINED)
    arrivals.note_aside(many, bad)
    asked.create(bad.item())
    asked.update(keys.pipeline_key("p-5"), {"is_glanceable": None})
    assert "quarantined 1 object" in page(many, "/").words
    looked = [each for each in sorted(asked.queries) if not each.startswith("NOTICES")]
    assert looked == ["PIPELINE#p-5 QUARANTINED#", "PIPELINE#p-5 STAGE#"]
    many.objects.put(fakes.DATA_BUCKET, "p-3/bad.csv", b"good")
    assert "quarantined" not in page(many, "/").words, "what was uploaded again waits for nobody"


def test_home_asks_no_registry_and_knows_what_waits(released: release_world.World) -> None:
    cloud = released.cloud
    waits = f"waits for you {RELEASES}/2 to be approved"
    known = page(cloud, "/").words
    cloud.catalog.update(keys.pipeline_key(RELEASES), {"newest_package": next(iter(cloud.registry.by_arn))})
    assert waits in known
    registry = Registry()
    registry.by_arn = cloud.registry.by_arn
    (arn,) = (each for each in registry.by_arn if each.endswith("/2"))
    cloud.catalog.update(keys.pipeline_key(RELEASES), {"newest_package": arn})
    for each in registry.by_arn:
        package = {"pipeline": RELEASES, "version": int(each[-1]), "created_at": cloud.now.at}
        cloud.catalog.update(keys.package_key(each), package)
    asking = dataclasses.replace(cloud, registry=registry)
    assert waits in page(asking, "/").words
    assert registry.asked == 0


class Registry(fakes.FakeRegistry):
    """A registry that counts how often it is asked for versions."""

    asked = 0

    def packages(self, *given: Any) -> Any:
        self.asked += 1
        return super().packages(*given)

    def describe_package(self, arn: str) -> Any:
        self.asked += 1
        return super().describe_package(arn)


PATHS = (
    "/",
    "/pipelines/{p}",
    "/pipelines/{p}/runs",
    "/pipelines/{p}/data",
    "/pipelines/{p}/arrivals",
    "/pipelines/{p}/batches",
    "/pipelines/{p}/models",
    "/pipelines/{p}/releases",
    "/pipelines/{p}/monitoring",
    "/pipelines/{p}/why",
    "/runs/{p}-00001",
    "/runs/{p}-00001/logs/prepare",
    "/models/{p}/1",
    "/notices",
)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_says_the_same_as_json_and_which_command_says_it(built: build_world.World, path: str) -> None:
    shown = page(built.cloud, path.format(p=BUILDS))
    (twin,) = [link for link in shown.links if link.endswith(".json")]
    status, text = ask(built.cloud, twin)
    assert status == 200
    assert isinstance(json.loads(text), dict)
    assert re.search(r"The same in a terminal: sluice \w+", shown.words)


@pytest.mark.parametrize("path", PATHS)
def test_no_text_of_others_runs_hides_or_turns_anything(built: build_world.World, path: str) -> None:
    poison(built.cloud)
    shown = page(built.cloud, path.format(p=BUILDS))
    _, html = ask(built.cloud, path.format(p=BUILDS))
    assert "<script>alert" not in html
    assert not [name for name in shown.names if name.startswith("on")]
    assert not set(TURNED + "\x1b") & set(html)
    assert len(html.encode()) < 100_000
    assert not [link for link in shown.links if not link.startswith(("/", "?", "#"))]


SERVING = ("", "/releases", "/releases/production/rollback", "/monitoring", "/why", "/data", "/batches")


@pytest.mark.parametrize("path", SERVING)
def test_no_text_about_what_serves_does_any_harm(released: release_world.World, path: str) -> None:
    poison(released.cloud)
    status, html = ask(released.cloud, f"/pipelines/{RELEASES}{path}")
    assert status == 200
    assert "<script>alert" not in html
    assert not [name for name in Page(html).names if name.startswith("on")]
    assert not set(TURNED + "\x1b") & set(html)
    assert len(html.encode()) < 100_000


def poison(cloud: fakes.Cloud) -> None:
    """Put hostile text, and far too much of it, where people and scripts may write."""
    free = {
        "cause",
        "actor",
        "reason",
        "failure_reason",
        "detail",
        "approver",
        "description",
        "why",
        "subject",
    }
    long = HOSTILE + "x" * 10_000
    for item in cloud.catalog.items.values():
        for name, value in item.items():
            if name in free and isinstance(value, str):
                item[name] = long
            elif name in ("reasons", "log_tail"):
                item[name] = [long] * 20
        if item["sk"].startswith((keys.SETTLED, keys.QUARANTINED, keys.WAITING)):
            item["key"] = long[:1000]
    for number in range(20):
        told = Notice(f"{number:05}", "run_failed", cloud.now(), long, reason=long, command=long)
        cloud.catalog.create(told.item())
    for stage in releasing.find_stages(cloud, BUILDS):
        pin = {"release_id": stage.live, "is_on": True, "at": cloud.now(), "actor": long, "reason": long}
        deviation = {"release_id": stage.live, "at": cloud.now(), "faults": [long] * 5}
        cloud.catalog.update(keys.stage_key(BUILDS, stage.name), {"pin": pin, "deviation": deviation})
    run = cloud.catalog.items[keys.run_key(BUILDS, RUN)["pk"], keys.run_key(BUILDS, RUN)["sk"]]
    run |= {"cause": long, "actor": long, "reasons": [long] * 20}


def test_a_data_set_version_is_found_by_its_first_digits_with_what_came_from_it(
    built: build_world.World,
) -> None:
    version = str(built.catalog_run()["dataset_version"])
    shown = page(built.cloud, f"/pipelines/{BUILDS}/data/{version[:12]}")
    assert version[:12] in shown.words
    assert f"/runs/{RUN}" in shown.links
    status, html = ask(built.cloud, f"/pipelines/{BUILDS}/data/ffffffffffff")
    assert (status, "has no data set versions that begin with" in html) == (404, True)


def test_of_two_versions_that_begin_alike_none_is_shown(built: build_world.World) -> None:
    version = str(built.catalog_run()["dataset_version"])
    key, twin = keys.dataset_key(BUILDS, version), f"{version[:12]}{'0' * 52}"
    item = built.cloud.catalog.get(key) or {}
    built.cloud.catalog.create({**item, **keys.dataset_key(BUILDS, twin)})
    made = item["created_at"]
    built.cloud.catalog.create({**keys.version_index_key(BUILDS, made, twin), "version": twin})
    uri = item["manifest_uri"].rpartition("/")[0] + "/report.html"
    built.cloud.objects.write(uri, b"<p>This is the report.</p>")
    for page in ("", "/report"):
        status, html = ask(built.cloud, f"/pipelines/{BUILDS}/data/{version[:12]}{page}")
        assert (status, "has 2 data set versions that begin with" in html) == (404, True)
        assert ask(built.cloud, f"/pipelines/{BUILDS}/data/{version}{page}")[0] == 200


def test_data_that_were_deleted_are_told_until_a_run_left_them_out_and_then_by_that_run(
    built: build_world.World,
) -> None:
    (name,) = [obj.rpartition("/")[2].partition("#")[0] for obj in built.objects_of(RUN)]
    built.delete(name)
    data, pipeline = (page(built.cloud, f"/pipelines/{BUILDS}{path}").words for path in ("/data", ""))
    said = f"1 object was deleted since the last data set, and the next run trains without: {BUILDS}/{name}"
    assert said in data
    assert "1 object, which the next run trains without" in pipeline
    assert built.build("other.csv", b"x,y\n7,1\n8,0\n") == "registered"
    assert "deleted since the last data set" not in page(built.cloud, f"/pipelines/{BUILDS}/data").words
    assert "1 object new, 1 deleted" in page(built.cloud, "/runs/reviews-00002").words


def test_a_data_report_is_its_page_and_where_there_is_none_that_is_said(built: build_world.World) -> None:
    version = str(built.catalog_run()["dataset_version"])
    path = f"/pipelines/{BUILDS}/data/{version[:12]}/report"
    uri = built.dataset(version)["manifest_uri"].rpartition("/")[0] + "/report.html"
    built.cloud.objects.write(uri, b"<p>This is the report.</p>")
    assert ask(built.cloud, path) == (200, "<p>This is the report.</p>")
    built.cloud.objects.delete(uri)
    status, html = ask(built.cloud, path)
    assert (status, f"The data set {version[:12]} has no report." in html) == (404, True)
    assert ask(built.cloud, f"/pipelines/{BUILDS}/data/ffffffffffff/report")[0] == 404


def test_drift_of_each_version_is_shown_by_its_method_and_of_columns_that_have_it(
    built: build_world.World,
) -> None:
    version = built.dataset(str(built.catalog_run()["dataset_version"]))
    columns = [
        {"column": "x", "distances": {"psi": {"value": 0.31}, "ks": {"value": 0.8}}},
        {"column": "note", "distances": {"ks": {"value": 0.7}}},
    ]
    report = {"drift": {"method": "psi", "max": 0.25, "columns": columns}}
    uri = f"s3://{fakes.ARTIFACT_BUCKET}/drift.json"
    built.cloud.objects.write(uri, json.dumps(report).encode())
    key = keys.dataset_key(BUILDS, str(built.catalog_run()["dataset_version"]))
    built.cloud.catalog.update(key, {"report_uri": uri})
    (drift,) = pipeline_pages.data_page(built.cloud, BUILDS)["drift"]
    assert (drift["method"], drift["max"], drift["columns"]) == ("psi", 0.25, {"x": 0.31})
    assert drift["created_at"] == version["created_at"]
    built.cloud.objects.delete(uri)
    assert pipeline_pages.data_page(built.cloud, BUILDS)["drift"] == []
    assert ask(built.cloud, f"/pipelines/{BUILDS}/data")[0] == 200


def test_a_step_without_a_job_has_no_lines(built: build_world.World) -> None:
    built.cloud.job_logs.tail = None  # type: ignore[assignment]
    assert ask(built.cloud, f"/runs/{RUN}/logs/gates")[0] == 200


def test_what_a_stage_does_not_have_is_said_in_a_sentence(released: release_world.World) -> None:
    for path, said in (
        ("releases/nowhere/rollback", "Nothing serves on nowhere of reviews"),
        ("monitoring?stage=nowhere", "Nothing is watched on nowhere of reviews"),
        ("why?stage=nowhere", "reviews has no stage &#39;nowhere&#39;"),
    ):
        status, html = ask(released.cloud, f"/pipelines/{RELEASES}/{path}")
        assert (status, said in html) == (404, True)


def test_a_model_of_no_known_run_is_compared_with_nothing(built: build_world.World) -> None:
    (arn,) = built.cloud.registry.by_arn
    built.cloud.catalog.update(keys.package_key(arn), {"run_id": None})
    status, html = ask(built.cloud, f"/compare?model={BUILDS}/1&model={BUILDS}/2")
    assert (status, f"Nobody knows which run trained {BUILDS}/1" in html) == (404, True)


def test_what_does_not_exist_is_said_in_a_sentence(built: build_world.World) -> None:
    for path in ("/pipelines/nowhere", "/runs/nowhere-00001", "/models/nowhere/1", "/compare?run=a-1"):
        status, html = ask(built.cloud, path)
        assert status == 404
        assert Page(html).words
    for path, said in (
        (f"/runs/{RUN}/logs/nothing", f"{RUN} has no step &#39;nothing&#39;."),
        (f"/compare?run={RUN}&run={BUILDS}-00009", f"There is no run &#39;{BUILDS}-00009&#39;."),
    ):
        status, html = ask(built.cloud, path)
        assert (status, said in html) == (404, True)
    hostile = quote(HOSTILE, safe="")
    assert ask(built.cloud, f"/pipelines/{hostile}")[0] == 404
