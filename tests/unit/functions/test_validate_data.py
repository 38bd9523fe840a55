"""A data set is judged by its contract; bad data are named, set aside, and harm nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, RUN, Invoke, World
from handlers import ROOT
from sluice.catalog import keys
from sluice.quality import part_results, run
from sluice.quality.engine import EngineLimitError
from sluice.services.data import datasets


@pytest.fixture(autouse=True)
def judged_once(in_this_process: None) -> None:
    """Here the judgement itself is tested: none is remembered."""


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    return world


def validate(world: World, run_id: str = RUN) -> Any:
    version = world.catalog_run(run_id)["dataset_version"]
    return world.invoke("validate_data", {**world.common(run_id), "dataset_version": version})


def begin(world: World, **bodies: bytes) -> None:
    for name, body in bodies.items():
        world.upload(f"{name}.csv", body)
    world.later(minutes=2)
    world.ask()
    world.prepare_run(world.pipeline["in_flight"])


def test_valid_data_become_the_base_of_the_next_version(world: World) -> None:
    begin(world, a=ROWS, b=ROWS)
    assert validate(world)["is_valid"]
    version = world.catalog_run()["dataset_version"]
    assert (world.dataset(version)["status"], world.dataset(version)["rows"]) == ("valid", 4)
    assert world.pipeline["dataset_version"] == version


def test_the_rows_of_each_object_are_beside_the_manifest_and_no_part_of_the_version(world: World) -> None:
    begin(world, a=ROWS, b=ROWS + b"3,1\n")
    validate(world)
    version = world.catalog_run()["dataset_version"]
    head = datasets.find_head(world.cloud, PIPELINE, version)
    assert head is not None
    rows = datasets.read_rows(world.cloud, PIPELINE, [each.digest for each in head.segments])
    assert rows == {f"{PIPELINE}/a.csv": 2, f"{PIPELINE}/b.csv": 3}
    assert datasets.find_manifest(world.cloud, PIPELINE, version).version == head.version == version


def test_bad_data_are_rejected_with_a_report_and_their_arrivals_set_aside(world: World) -> None:
    begin(world, a=b"x,y\n1,0\n200,1\n")
    verdict = validate(world)
    reason = f"x: 1 row above 100 (such as {PIPELINE}/a.csv row 2)"
    assert (verdict["is_valid"], verdict["reasons"]) == (False, [reason])
    report = json.loads(world.cloud.objects.read(verdict["report_uri"]))
    assert report["violations"][0]["examples"] == [{"object": f"{PIPELINE}/a.csv", "row": 2, "value": "200"}]
    assert world.dataset(world.catalog_run()["dataset_version"])["status"] == "rejected"
    arrival = world.arrival(f"{PIPELINE}/a.csv")
    assert (arrival["status"], arrival["reason"]) == ("quarantined", reason)
    assert "dataset_version" not in world.pipeline


def test_judging_twice_is_judging_once(world: World) -> None:
    begin(world, a=b"x\n1\n")
    assert validate(world) == validate(world)
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "quarantined"}


def test_a_crash_between_verdict_and_quarantine_is_made_good_by_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(world, a=b"x\n1\n")
    query = world.cloud.catalog.query

    def crash_on_arrivals(pk: str, prefix: str = "", **given: Any) -> Any:
        if prefix == keys.WAITING:
            raise RuntimeError
        return query(pk, prefix, **given)

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.catalog, "query", crash_on_arrivals)
        with pytest.raises(RuntimeError):
            validate(world)
    validate(world)
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "quarantined"}


def test_the_very_versions_of_the_manifest_are_read(world: World) -> None:
    begin(world, a=ROWS)
    world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", b"no csv at all")
    assert validate(world)["rows"] == 2


def test_a_stricter_contract_rejects_the_run_but_not_what_was_valid(world: World) -> None:
    assert world.build("a.csv") == "registered"
    world.later(minutes=1)
    world.push(pipeline=PIPELINE_YAML.replace("max: 100", "max: 1").encode())
    world.ask()
    assert world.play("reviews-00002") == "data_rejected"
    assert world.dataset(world.catalog_run()["dataset_version"])["status"] == "valid"
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "included"}


def test_a_violating_value_is_in_the_report_and_never_logged_or_recorded(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(world, a=b"x,y\nsecret,0\n1,secret\n", b=b"x,y\nsecret\n")
    verdict = validate(world)
    assert b"secret" in world.cloud.objects.read(verdict["report_uri"])
    assert "secret" not in capsys.readouterr().out + json.dumps(verdict)
    assert "secret" not in str(world.cloud.catalog.items)


def test_reasons_stay_few_whatever_the_report_holds(world: World) -> None:
    columns = ", ".join(f"c{index}: {{type: number, required: true}}" for index in range(40))
    world.later(minutes=1)
    world.push(pipeline=PIPELINE_YAML.replace("schema: {", f"schema: {{{columns}, ").encode())
    begin(world, a=ROWS)
    verdict = validate(world)
    assert len(verdict["reasons"]) == 20
    assert len(json.loads(world.cloud.objects.read(verdict["report_uri"]))["violations"]) == 40


OF_ALL = f"the data set has {3 * len(ROWS)} bytes"


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("label: y", "label: y\n  mode: replace", f"{OF_ALL}, at most 14 fit here: give"),
        ("label: y", "label: y", f"it has {2 * len(ROWS)} bytes, at most 14 fit here: give"),
        (
            "min: 0",
            "unique: true, min: 0",
            f"{OF_ALL}, at most 14 fit here, and all must be for unique of x: give",
        ),
    ],
)
def test_what_the_storage_has_no_room_for_is_set_aside_before_it_is_read_and_the_rest_is_built(
    world: World, monkeypatch: pytest.MonkeyPatch, was: str, becomes: str, said: str
) -> None:
    world.later(minutes=1)
    world.push(pipeline=PIPELINE_YAML.replace(was, becomes).encode())
    begin(world, a=ROWS, b=ROWS * 2)
    usage = shutil.disk_usage("/")
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=len(ROWS) * 2))
        patched.setattr(world.cloud.objects, "download", None)
        verdict = validate(world)
    assert verdict["reasons"][0].startswith(f"{PIPELINE}/b.csv: {said}")
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "pending", f"{PIPELINE}/b.csv#v1": "quarantined"}
    world.finish("data_rejected")
    world.ask()
    world.prepare_run("reviews-00002")
    assert validate(world, "reviews-00002")["is_valid"]


def test_objects_that_fit_into_the_storage_only_one_by_one_are_read_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(world, a=ROWS, b=ROWS, c=ROWS)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=len(ROWS) * 2))
    verdict = validate(world)
    assert (verdict["is_valid"], verdict["rows"]) == (True, 6)


def test_data_that_take_more_time_than_there_is_are_set_aside_and_not_tried_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(world, a=ROWS)
    monkeypatch.setattr("sluice.quality.engine.database.Database.query", beyond_time)
    reason = "the data could not be checked"
    assert validate(world)["reasons"] == [reason]
    assert world.arrivals() == {f"{PIPELINE}/a.csv#v1": "quarantined"}


def test_more_objects_than_can_be_opened_are_set_aside_before_they_are_fetched_and_the_rest_is_built(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluice.quality.part_results.OBJECTS_MAX", 2)
    world.later(minutes=1)
    world.push(pipeline=PIPELINE_YAML.replace("label: y", "label: y\n  mode: replace").encode())
    begin(world, a=ROWS, b=ROWS, c=ROWS)
    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.objects, "download", None)
        verdict = validate(world)
    assert verdict["reasons"][0].startswith(f"{PIPELINE}/c.csv: the data set has 3 objects, at most 2 are ")
    assert world.arrivals()[f"{PIPELINE}/c.csv#v1"] == "quarantined"
    world.finish("data_rejected")
    world.ask()
    world.prepare_run("reviews-00002")
    assert validate(world, "reviews-00002")["is_valid"]


def test_the_process_that_waits_does_not_load_the_engine() -> None:
    loads = "import app, sys; sys.exit('duckdb' in sys.modules)"
    folder = ROOT / "functions" / "validate_data"
    assert subprocess.run([sys.executable, "-c", loads], cwd=folder, check=False).returncode == 0


def beyond_time(*_: Any) -> Any:
    raise EngineLimitError("the data could not be checked")


def document(world: World, uri: str, name: str) -> bytes:
    return world.cloud.objects.read(uri.replace("report.json", name))


@pytest.mark.parametrize("rows", [ROWS, b"x,y\n200,1\n"])
def test_a_profile_a_page_and_model_monitors_files_lie_beside_the_report(world: World, rows: bytes) -> None:
    begin(world, a=rows)
    uri = validate(world)["report_uri"]
    assert json.loads(document(world, uri, "profile.json"))["rows"] == rows.count(b"\n") - 1
    assert document(world, uri, "report.html").startswith(b"<!doctype html>")
    assert json.loads(document(world, uri, "statistics.json"))["dataset"]["item_count"] > 0
    assert {f["name"] for f in json.loads(document(world, uri, "constraints.json"))["features"]} == {"x", "y"}
    assert json.loads(document(world, uri, "constraint_violations.json")) == {"violations": []}


def contract(world: World, line: str) -> None:
    world.later(minutes=1)
    changed = PIPELINE_YAML.replace("  label: y\n", f"  label: y\n  mode: replace\n  {line}\n")
    world.push(pipeline=changed.encode())


def numbers(start: int) -> bytes:
    return ("x,y\n" + "".join(f"{start + row % 40},{row % 2}\n" for row in range(2000))).encode()


def test_data_are_held_against_the_profile_of_the_last_valid_version(world: World) -> None:
    contract(world, "drift: {max: 0.2}")
    begin(world, a=numbers(0))
    assert validate(world)["is_valid"]
    first = world.pipeline["dataset_version"]
    world.cloud.objects.put(fakes.DATA_BUCKET, f"{PIPELINE}/a.csv", b"gone")
    world.finish("registered")
    begin(world, b=numbers(50))
    verdict = validate(world, "reviews-00002")
    assert not verdict["is_valid"]
    assert verdict["reasons"][0].startswith("x: psi ")
    report = json.loads(world.cloud.objects.read(verdict["report_uri"]))
    assert (report["drift"]["baseline"], report["violations"][0]["check"]) == (first, "drift")


def test_a_baseline_of_another_format_is_none_and_does_not_stop_the_pipeline(world: World) -> None:
    contract(world, "drift: {max: 0.2}")
    begin(world, a=numbers(0))
    profile = validate(world)["report_uri"].replace("report.json", "profile.json")
    world.cloud.objects.write(profile, b'{"version":0,"rows":2000,"columns":{}}', "application/json")
    world.finish("registered")
    begin(world, b=numbers(50))
    verdict = validate(world, "reviews-00002")
    assert verdict["is_valid"]
    assert "drift" not in json.loads(world.cloud.objects.read(verdict["report_uri"]))


def test_the_number_of_rows_is_held_against_the_last_valid_version(world: World) -> None:
    contract(world, "quality: [{check: row_count, max_change: 0.5}]")
    begin(world, a=numbers(0))
    validate(world)
    world.finish("registered")
    begin(world, b=ROWS)
    reasons = validate(world, "reviews-00002")["reasons"]
    assert reasons == ["2 rows after 2000, a change of 0.999, more than 0.5"]


def test_a_pinned_baseline_that_is_not_there_is_an_error_and_no_pass(world: World) -> None:
    contract(world, f"drift: {{max: 0.2, baseline: {'a' * 64}}}")
    begin(world, a=ROWS)
    with pytest.raises(LookupError, match="a version of reviews without a profile"):
        validate(world)


def test_bias_beyond_its_limit_rejects_or_warns(world: World) -> None:
    facet = "facets: [{column: x, threshold: 1}], favorable_labels: [1], limits: {DPL: 0.1}"
    contract(world, f"bias: {{{facet}, severity: warn}}")
    begin(world, a=b"x,y\n1,0\n1,0\n2,1\n2,1\n")
    verdict = validate(world)
    report = json.loads(world.cloud.objects.read(verdict["report_uri"]))
    assert verdict["is_valid"]
    assert [(v["check"], v["severity"]) for v in report["violations"]] == [("bias", "warn")]
    assert report["bias"]["is_biased"]


def test_values_of_a_redacted_column_are_in_no_report(world: World) -> None:
    line = "schema: {x: {type: string, max_length: 3}, y: {type: integer}}\n  redact: [x]"
    changed = PIPELINE_YAML.replace(
        next(row for row in PIPELINE_YAML.splitlines() if "schema:" in row), f"  {line}"
    )
    world.later(minutes=1)
    world.push(pipeline=changed.encode())
    begin(world, a=b"x,y\n" + b"secret,1\n" * 40)
    uri = validate(world)["report_uri"]
    for name in (
        "report.json",
        "report.html",
        "statistics.json",
        "constraints.json",
        "constraint_violations.json",
    ):
        assert b"secret" not in document(world, uri, name), name


def judged(world: World, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The objects that each judgement to come reads."""
    read: list[list[str]] = []
    validate_ = run.validate

    def watched(work: run.Work, **given: Any) -> Any:
        read.append([file.key.rpartition("/")[2] for file in work.files])
        return validate_(work, **given)

    monkeypatch.setattr(run, "validate", watched)
    return read


MORE = ROWS + b"3,1\n4,1\n5,0\n"


def built(world: World, **bodies: bytes) -> Any:
    """The verdict on the data of a second run, after one of five rows."""
    assert world.build("first.csv", MORE) == "registered"
    world.later(minutes=1)
    begin(world, **bodies)
    return validate(world, "reviews-00002")


def test_of_a_version_that_grew_only_what_is_new_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = judged(world, monkeypatch)
    verdict = built(world, b=b"x,y\n4,1\n")
    assert (read, verdict["is_valid"], verdict["rows"]) == ([["first.csv"], ["b.csv"]], True, 6)
    folder = f"s3://{fakes.ARTIFACT_BUCKET}/datasets/{PIPELINE}/{world.pipeline['dataset_version']}"
    assert json.loads(world.cloud.objects.read(f"{folder}/part.json"))["rows"] == 6
    assert json.loads(world.cloud.objects.read(f"{folder}/profile.json"))["rows"] == 6


def test_what_is_bad_of_a_version_that_grew_is_told_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = judged(world, monkeypatch)
    verdict = built(world, b=b"x,y\n400,1\n", c=b"x,y\n4,1\n")
    assert read[1:] == [["b.csv", "c.csv"]]
    assert verdict["reasons"] == [f"x: 1 row above 100 (such as {PIPELINE}/b.csv row 1)"]
    arrivals = world.arrivals()
    assert arrivals[f"{PIPELINE}/b.csv#v1"] == "quarantined"
    assert arrivals[f"{PIPELINE}/c.csv#v1"] == "pending"


def test_a_version_that_overwrites_what_was_judged_is_read_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = judged(world, monkeypatch)
    verdict = built(world, first=b"x,y\n4,1\n", b=ROWS)
    assert read[1:] == [["b.csv", "first.csv"]]
    assert (verdict["is_valid"], verdict["rows"]) == (True, 3)


def test_data_that_doubled_beyond_what_can_be_read_are_judged_by_what_is_new(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = judged(world, monkeypatch)
    built(world, b=MORE, c=MORE)
    world.finish("registered", "reviews-00002")
    world.later(minutes=1)
    monkeypatch.setattr(part_results, "OBJECTS_MAX", 3)
    begin(world, d=ROWS)
    verdict = validate(world, "reviews-00003")
    assert (verdict["is_valid"], verdict["rows"], read[1:]) == (True, 17, [["b.csv", "c.csv"], ["d.csv"]])


def test_data_that_doubled_are_read_whole_as_is_what_a_check_must_see_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = judged(world, monkeypatch)
    built(world, b=MORE, c=MORE)
    world.finish("registered", "reviews-00002")
    world.later(minutes=1)
    begin(world, d=ROWS)
    assert validate(world, "reviews-00003")["rows"] == 17
    assert read[1:] == [["b.csv", "c.csv"], ["d.csv"], ["b.csv", "c.csv", "d.csv", "first.csv"]]
