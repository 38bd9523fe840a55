"""What the data commands find and refuse, over a stack of fakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, RUN, Invoke, World
from command_world import Hearing
from sluice.catalog import keys
from sluice.catalog.changes.data import add_dataset, index_dataset
from sluice.catalog.records.data import Dataset
from sluice.domain.failures import MissingError
from sluice.domain.times import from_iso, to_iso
from sluice.services.views import data, lineage, uploads
from sluice_cli import data_commands, data_release, gates_commands, lookup, main, project, waiting
from sluice_cli.errors import CommandError
from sluice_cli.options import Options
from sluice_cli.target import Target

COMMANDS = [
    (group, str(command.name))
    for group, app in (
        ("dataset", data_commands.dataset_app),
        ("data", data_commands.data_app),
        ("gates", gates_commands.gates_app),
    )
    for command in app.registered_commands
]


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    return world


@pytest.fixture
def target(world: World) -> Target:
    return Hearing(world, "DataReleaseRequested", "release_data")  # type: ignore[return-value]


@pytest.mark.parametrize(("group", "command"), COMMANDS)
def test_every_command_explains_itself_with_an_example(group: str, command: str) -> None:
    result = CliRunner().invoke(main.app, [group, command, "--help"])
    assert result.exit_code == 0
    assert f"Example: sluice {group} {command}" in result.output.replace("`", "")
    assert "--json" in result.output


def test_a_version_is_found_by_its_first_digits_with_its_objects(world: World, target: Target) -> None:
    world.build("a.csv")
    version = world.catalog_run()["dataset_version"]
    found = data.dataset(target.cloud, PIPELINE, lookup.the_dataset_version(target, PIPELINE, version[:12]))
    assert (found["dataset_version"], found["status"]) == (version, "valid")
    (obj,) = found["objects"]
    assert (obj["key"], obj["version_id"], obj["rows"]) == (f"{PIPELINE}/a.csv", "v1", 2)
    assert [item["dataset_version"] for item in data.dataset_versions(target.cloud, PIPELINE)] == [version]


def test_without_digits_a_version_is_the_newest(
    world: World, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match=f"{PIPELINE} has no data set version yet"):
        lookup.the_dataset_version(target, PIPELINE, None)
    world.build("a.csv")
    version = world.catalog_run()["dataset_version"]
    assert lookup.the_dataset_version(target, PIPELINE, None)["dataset_version"] == version
    assert f"the newest data set of {PIPELINE}: {version[:12]}" in capsys.readouterr().err


@pytest.mark.parametrize("version", ["latest", "abc", "0" * 64, "ABCDEF"])
def test_what_is_no_version_is_refused(world: World, target: Target, version: str) -> None:
    with pytest.raises(CommandError) as caught:
        lookup.the_dataset_version(target, PIPELINE, version)
    assert caught.value.exit_code == 2
    assert "sluice dataset list" in caught.value.hint


def test_a_beginning_that_several_versions_share_names_them(world: World, target: Target) -> None:
    for last in "01":
        version = f"abcdef{last * 58}"
        world.cloud.catalog.create({**keys.dataset_key(PIPELINE, version), "created_at": world.cloud.now.at})
    with pytest.raises(CommandError, match="abcdef000000, abcdef111111") as caught:
        lookup.the_dataset_version(target, PIPELINE, "abcdef")
    assert caught.value.exit_code == 2


def conditions(target: Target, version: str) -> dict[str, str]:
    found = data.verify(target.cloud, PIPELINE, lookup.the_dataset_version(target, PIPELINE, version))
    assert found["is_intact"] == all(obj["condition"] == "intact" for obj in found["objects"])
    return {obj["key"].rpartition("/")[2]: obj["condition"] for obj in found["objects"]}


def test_verifying_names_what_was_overwritten_or_deleted(world: World, target: Target) -> None:
    for name in ("a.csv", "b.csv", "c.csv", "e.csv"):
        world.upload(name)
    world.build("d.csv")
    version = world.catalog_run()["dataset_version"]
    assert set(conditions(target, version).values()) == {"intact"}
    objects = world.cloud.objects
    objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", b"x,y\n9,1\n")
    objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/b.csv", ROWS)
    objects.delete(f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/c.csv")
    objects.purge(f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/e.csv")
    objects.buckets[fakes.DATA_BUCKET][f"{PIPELINE}/d.csv"][0].data = b"x,y\n1,1\n2,1\n"
    found = conditions(target, version)
    of_deleted = {"c.csv": "deleted", "e.csv": "gone"}
    assert found == {"a.csv": "overwritten", "b.csv": "intact", "d.csv": "differs", **of_deleted}


def test_verifying_says_where_what_was_overwritten_is_kept(
    world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.build("a b.csv")
    version = world.catalog_run()["dataset_version"]
    world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a b.csv", b"x,y\n9,1\n")
    monkeypatch.setattr(Options, "target", lambda _: target)
    result = CliRunner().invoke(main.app, ["dataset", "verify", PIPELINE, version])
    assert result.exit_code == 3
    assert f"overwritten {PIPELINE}/a b.csv (version v1)" in result.stdout
    assert f"--key '{PIPELINE}/a b.csv' --version-id v1" in result.output


def test_an_object_that_was_deleted_since_is_listed_as_such(
    world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.build("a.csv")
    key = f"{PIPELINE}/a.csv"
    world.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/{key}")
    detail = {"bucket": {"name": fakes.DATA_BUCKET}, "object": {"key": key, "version-id": "d1"}}
    world.invoke("record_deletion", {"time": world.cloud.now(), "detail": detail})
    monkeypatch.setattr(Options, "target", lambda _: target)
    listed = CliRunner().invoke(main.app, ["data", "list", PIPELINE, "--json"]).stdout
    assert json.loads(listed)["arrivals"][0]["gone"] is True
    shown = " ".join(CliRunner().invoke(main.app, ["data", "list", PIPELINE]).stdout.split())
    said = f"deleted 1 object since the last data set: the next run trains without: {key}"
    assert said in shown
    assert said in " ".join(CliRunner().invoke(main.app, ["status", PIPELINE]).stdout.split())
    assert "deleted since; the next build leaves it out" in shown
    world.later(minutes=1)
    assert world.build("b.csv", b"x,y\n7,1\n") == "registered"
    shown = CliRunner().invoke(main.app, ["data", "list", PIPELINE]).stdout
    assert "deleted since; no longer in the data set" in shown


def test_an_object_that_was_overwritten_since_is_listed_as_such(
    world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rows in (b"x,y\n1,0\n", b"x,y\n2,1\n"):
        world.build("a.csv", rows)
        world.later(minutes=5)
    monkeypatch.setattr(Options, "target", lambda _: target)
    listed = CliRunner().invoke(main.app, ["data", "list", PIPELINE]).stdout
    lines = [line for line in listed.splitlines() if "a.csv" in line]
    assert [line.endswith("overwritten since") for line in lines] == [True, False]


def test_a_manifest_that_was_changed_is_noticed(world: World, target: Target) -> None:
    world.build("a.csv")
    item = world.dataset(world.catalog_run()["dataset_version"])
    world.cloud.objects.write(item["manifest_uri"], b'{"objects": []}')
    found = data.verify(
        target.cloud,
        PIPELINE,
        lookup.the_dataset_version(target, PIPELINE, world.catalog_run()["dataset_version"]),
    )
    assert (found["is_manifest_intact"], found["is_intact"]) == (False, False)


@pytest.mark.parametrize("stored", [b"{", b"\xff", b'{"object": []}', b'{"objects": [{"kex": "k"}]}', b"[]"])
def test_a_manifest_that_is_no_list_any_more_is_told(world: World, target: Target, stored: bytes) -> None:
    world.build("a.csv")
    item = world.dataset(world.catalog_run()["dataset_version"])
    world.cloud.objects.write(item["manifest_uri"], stored)
    row = lookup.the_dataset_version(target, PIPELINE, world.catalog_run()["dataset_version"])
    found = data.verify(target.cloud, PIPELINE, row)
    assert (found["is_manifest_intact"], found["is_intact"], found["objects"]) == (False, False, [])
    with pytest.raises(MissingError, match="was changed, and cannot be read"):
        data.dataset(target.cloud, PIPELINE, row)
    traced = lineage.of_object(target.cloud, PIPELINE, f"{PIPELINE}/a.csv")
    assert traced["missing"] == [world.catalog_run()["dataset_version"]]
    assert lineage.dataset(target.cloud, PIPELINE, traced["missing"][0])["shown"] is None


def test_what_was_set_aside_is_listed_until_it_is_replaced(world: World, target: Target) -> None:
    world.build("a.csv", b"x\n1\n")
    ((item,), reason) = uploads.quarantined(target.cloud, PIPELINE).items, world.catalog_run()["reasons"][0]
    assert item.key == f"{PIPELINE}/a.csv"
    assert reason in item.reason
    world.later(minutes=1)
    world.upload("a.csv")
    assert uploads.quarantined(target.cloud, PIPELINE).items == []


def test_an_incomplete_batch_is_listed_with_what_it_lacks(world: World, target: Target) -> None:
    world.later(minutes=1)
    world.push(pipeline=PIPELINE_YAML.replace("quiet_period_s: 60", "manifest: manifest.json").encode())
    world.upload("a/1.csv")
    world.upload("a/manifest.json", b'["1.csv", "2.csv"]')
    assert data.what_waits(target.cloud, PIPELINE) == {
        "incomplete": [
            {"folder": f"{PIPELINE}/a/", "objects": 1, "missing": [f"{PIPELINE}/a/2.csv is missing"]}
        ],
        "next_build": None,
        "failed": None,
        "deleted": [],
    }


def test_what_waits_as_its_run_failed_is_shown_with_what_builds_it(
    world: World, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    world.push()
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    world.prepare_run()
    world.finish("failed", error={"Error": "Runtime.ExitError", "Cause": ""})
    waiting = data.what_waits(target.cloud, PIPELINE)
    assert waiting["next_build"] is None
    assert waiting["failed"] == {"run_id": "reviews-00001", "objects": 1}
    data_commands.print_waiting(waiting)
    said = " ".join(capsys.readouterr().out.split())
    assert "waits 1 object of reviews-00001, which did not finish" in said
    assert said.endswith("builds it")


def next_build(world: World, target: Target) -> Any:
    now = from_iso(world.cloud.now.at)
    return data.what_waits(target.cloud, PIPELINE, now)["next_build"]


def test_a_build_that_may_not_start_yet_is_shown_with_when_and_why(world: World, target: Target) -> None:
    world.push(pipeline=PIPELINE_YAML.replace("daily_budget: 5", "cooldown_s: 3600").encode())
    assert next_build(world, target) is None
    world.upload("a.csv")
    assert next_build(world, target)["reason"] == "quiet period of 60 s"
    world.build("b.csv")
    started = from_iso(world.pipeline["last_build_at"])
    assert next_build(world, target) is None
    world.upload("c.csv")
    world.later(minutes=2)
    until = {"at": to_iso(started + timedelta(hours=1)), "reason": "cooldown of 3600 s"}
    assert next_build(world, target) == until
    world.later(hours=1)
    assert next_build(world, target) == {"at": world.cloud.now.at, "reason": "1 object uploaded"}


def test_a_push_that_waits_for_a_build_is_shown_with_when_and_why(world: World, target: Target) -> None:
    world.push(pipeline=PIPELINE_YAML.replace("daily_budget: 5", "daily_budget: 1").encode())
    world.build("a.csv")
    world.push(
        pipeline=PIPELINE_YAML.replace("daily_budget: 5", "daily_budget: 1").encode(), train=b"print(2)\n"
    )
    assert next_build(world, target)["reason"] == "daily budget of 1 used"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, None),
        ({"daily_budget: 5": "daily_budget: 1"}, "no run starts before {}: daily budget of 1 used"),
        ({"quiet_period_s: 60": "marker: _SUCCESS"}, "a run starts once _SUCCESS completes the batch"),
    ],
)
def test_an_upload_says_what_it_waits_for(
    world: World,
    target: Target,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    why: str | None,
) -> None:
    world.build("a.csv")
    text = PIPELINE_YAML
    for old, new in given.items():
        text = text.replace(old, new)
    world.push(pipeline=text.encode())
    uploaded = {"uri": "s3://data/reviews/b.csv", "size_bytes": 3, "fate": None, "is_set_aside": False}
    monkeypatch.setattr(Options, "target", lambda self: target)
    monkeypatch.setattr(project, "plan_upload", lambda *_, **__: {"files": [], "left_out": []})
    monkeypatch.setattr(project, "upload_planned", lambda *_: [uploaded])
    called = CliRunner().invoke(main.app, ["upload", PIPELINE, str(tmp_path)])
    said = " ".join(called.stdout.split())
    next_day = to_iso(from_iso(world.cloud.now()).replace(hour=0, minute=0, second=0) + timedelta(days=1))
    assert ("shows the run it starts" in called.stderr) is (why is None)
    assert (why or "").format(next_day) in said


def test_a_release_says_what_it_waits_for(
    world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.push(pipeline=PIPELINE_YAML.replace("daily_budget: 5", "daily_budget: 1").encode())
    world.build("a.csv", b"x\n1\n")
    monkeypatch.setattr(Options, "target", lambda self: target)
    called = CliRunner().invoke(main.app, ["data", "release", f"{PIPELINE}/a.csv"])
    assert "daily budget of 1 used" in called.stdout
    assert "`sluice start reviews` builds at once" in called.stderr


def test_waiting_for_a_run_tells_why_none_starts_and_tells_it_once(
    world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A look takes no longer on a busy machine.
    clock = count(0, 0.005)
    monkeypatch.setattr(waiting, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: next(clock)))
    world.push(pipeline=PIPELINE_YAML.replace("quiet_period_s: 60", "marker: _SUCCESS").encode())
    world.upload("a.csv")
    said: list[str] = []

    def say(why: str) -> None:
        said.append(why)
        world.upload("_SUCCESS", b"")

    with pytest.raises(CommandError, match="in vain"):
        waiting.new_run(target, PIPELINE, (), say, timeout_s=0.5)
    assert said[0] == f"the batch is not complete: {PIPELINE}/_SUCCESS is missing"
    assert len(said) <= 2


def test_who_waits_for_an_upload_follows_no_run_that_began_before_it_came(
    world: World, target: Target
) -> None:
    uploaded = [{"uri": f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/a.csv", "version_id": "v1"}]
    may = waiting.may_read(target, PIPELINE, uploaded)
    before, after = ({"run_id": "reviews-00009", "started_at": f"{year}-01-01"} for year in (2000, 2100))
    assert not may(after)  # the stack has not heard of the upload yet
    world.build("a.csv")
    assert (may(before), may(after)) == (False, True)
    # It began before, and looked for data only then.
    assert may({"run_id": RUN, "started_at": before["started_at"]})


def test_a_released_object_waits_for_the_next_version_and_a_build_is_asked_for(
    world: World, target: Target
) -> None:
    world.build("a.csv", b"x\n1\n")
    world.cloud.build_requests.sent.clear()
    result = data_release.release(target, f"{PIPELINE}/a.csv", "checked")
    assert result["status"] == "pending"
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "pending"}
    assert set(world.cloud.build_requests.sent) == {(PIPELINE, 0)}
    assert world.cloud.objects.tags(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv") == {"sluice:status": "released"}
    (told,) = [each for each in world.timeline() if each["event"] == "data released"]
    assert (told["detail"], told["actor"]) == ("checked", "arn:aws:iam::123456789012:user/ada (unverified)")
    with pytest.raises(CommandError, match="is pending, not quarantined"):
        data_release.release(target, f"{PIPELINE}/a.csv", "")


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [("none.csv", None, "did not arrive"), ("empty.csv", b"", "of no use to any job: zero bytes")],
)
def test_what_cannot_be_released_says_why(
    world: World, target: Target, name: str, body: bytes | None, said: str
) -> None:
    if body is not None:
        world.upload(name, body)
    with pytest.raises(CommandError, match=said):
        data_release.release(target, f"{PIPELINE}/{name}", "")


def test_what_cannot_be_released_suggests_what_can(world: World, target: Target) -> None:
    world.build("part-1.csv", b"x\n1\n")
    for key in ("part-1.csv", f"{PIPELINE}/part_1.csv"):
        with pytest.raises(CommandError, match=f"did you mean '{PIPELINE}/part-1.csv'") as caught:
            data_release.release(target, key, "")
        assert caught.value.exit_code == 2


def test_an_object_is_released_by_the_uri_that_its_upload_named(world: World, target: Target) -> None:
    world.build("a.csv", b"x\n1\n")
    released = data_release.release(target, f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/a.csv", "")
    assert released["key"] == f"{PIPELINE}/a.csv"


def test_what_changed_before_the_stack_heard_of_the_wish_is_refused_by_the_stack(
    world: World, target: Target
) -> None:
    world.build("a.csv", b"x\n1\n")
    target.client("events").before = lambda: world.cloud.objects.put(
        fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", ROWS
    )
    with pytest.raises(CommandError, match=f"{PIPELINE}/a.csv was overwritten since"):
        data_release.release(target, f"{PIPELINE}/a.csv", "checked")
    assert list(world.arrivals().values()) == ["quarantined"]
    assert world.events().count("data not released") == 1


def test_a_stack_that_does_not_answer_is_said(
    world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.build("a.csv", b"x\n1\n")
    monkeypatch.setattr(target.client("events"), "put_events", lambda **_: {"FailedEntryCount": 0})
    with pytest.raises(CommandError, match="did not answer within 0 s") as caught:
        data_release.release(target, f"{PIPELINE}/a.csv", "", timeout_s=0)
    assert "sluice logs --function release_data" in caught.value.hint


def test_an_object_that_is_not_in_the_bucket_any_more_is_not_released(world: World, target: Target) -> None:
    world.build("a.csv", b"x\n1\n")
    world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", ROWS)
    with pytest.raises(CommandError, match="was overwritten since"):
        data_release.release(target, f"{PIPELINE}/a.csv", "")
    world.cloud.objects.delete(f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/a.csv")
    with pytest.raises(CommandError, match="was deleted since"):
        data_release.release(target, f"{PIPELINE}/a.csv", "")
    assert list(world.arrivals().values()) == ["quarantined"]


def test_a_pipeline_that_is_not_there_is_wrong_usage_and_the_nearest_is_named(
    world: World, target: Target
) -> None:
    with pytest.raises(CommandError, match=f"no pipeline 'review'; did you mean '{PIPELINE}'") as caught:
        lookup.the_pipeline(target, "review")
    assert (caught.value.exit_code, caught.value.hint) == (2, f"Pipelines: {PIPELINE}.")
    assert lookup.the_pipeline(target, None) == PIPELINE


@pytest.fixture
def run_report(target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """`sluice report`, off a terminal, with a home of the test's own."""
    monkeypatch.setattr(Options, "target", lambda _: target)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    return lambda *words: CliRunner().invoke(main.app, ["report", *words])


def test_the_report_of_a_run_or_a_version_is_a_file_whose_path_is_said(
    world: World, run_report: Callable[..., Any], tmp_path: Path
) -> None:
    world.build("a.csv")
    run = world.catalog_run()
    version, run_id = run["dataset_version"], next(iter(views_of_runs(world)))
    for words in ([run_id], [PIPELINE], [PIPELINE, version[:12]]):
        path = Path(run_report(*words).stdout.strip())
        assert path == tmp_path / f"home/reports/{PIPELINE}-{version[:12]}.html"
        assert path.read_text().startswith("<!doctype html>")
    elsewhere = tmp_path / "new/page.html"
    found = json.loads(run_report(run_id, "--out", str(elsewhere), "--json").stdout)
    assert found == {
        "pipeline": PIPELINE,
        "dataset_version": version,
        "status": "valid",
        "uri": f"s3://{fakes.ARTIFACT_BUCKET}/datasets/{PIPELINE}/{version}/report.html",
        "file": str(elsewhere),
    }
    assert elsewhere.is_file()


def views_of_runs(world: World) -> list[str]:
    items = world.cloud.catalog.query(keys.partition(PIPELINE), "RUN#")
    return [item["sk"].removeprefix("RUN#") for item in items]


def test_a_report_that_is_not_there_is_said_with_what_there_is(
    world: World, run_report: Callable[..., Any]
) -> None:
    assert "no data set yet" in str(run_report(PIPELINE).exception)
    assert str(run_report(f"{PIPELINE}-00099").exception) == f"there is no run '{PIPELINE}-00099'"
    version = "ab" * 32
    made = Dataset(PIPELINE, version, "new", "s3://b/d/m.json", 1, 1, "2026-11-24T11:00:00Z")
    assert world.cloud.catalog.apply(add_dataset(made), index_dataset(made))
    assert "has no report: it is new" in str(run_report(PIPELINE).exception)


def test_the_report_of_a_pipeline_is_of_the_newest_version_that_was_judged(
    world: World, run_report: Callable[..., Any]
) -> None:
    world.build("a.csv")
    judged = str(world.catalog_run()["dataset_version"])
    made = Dataset(PIPELINE, "ab" * 32, "new", "s3://b/d/m.json", 1, 1, "2030-11-24T11:00:00Z")
    assert world.cloud.catalog.apply(add_dataset(made), index_dataset(made))
    found = run_report(PIPELINE, "--json")
    assert json.loads(found.stdout)["dataset_version"] == judged
    assert "abababababab, was not judged" in " ".join(found.stderr.split())
