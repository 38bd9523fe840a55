"""What serves is watched: drift within its window, decay once labels are complete, each told once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import fakes
from handlers import LambdaContext, load_function
from monitored import record
from release_world import ENDPOINT, PIPELINE, Invoke
from sluice.catalog import keys
from sluice.domain.monitor import truth
from sluice.services.monitoring.requests import INDEX
from watched_world import MONITOR, YAML, Watching


@pytest.fixture
def watching(cloud: fakes.Cloud, invoke: Invoke, tmp_path: Path) -> Watching:
    return Watching(cloud, invoke, tmp_path)


def document(watching: Watching, uri: str | None) -> Any:
    return json.loads(watching.cloud.objects.read(str(uri)))


def told_of_decay(watching: Watching) -> list[str]:
    found = watching.cloud.catalog.query(keys.partition(PIPELINE), keys.TIMELINE)
    return [each["event"] for each in found if each["event"].startswith("decay")]


def test_a_watched_endpoint_captures(watching: Watching) -> None:
    described = watching.cloud.endpoints.by_name[ENDPOINT]
    config = watching.cloud.endpoints.configs[described["EndpointConfigName"]]
    assert config["DataCaptureConfig"]["DestinationS3Uri"] == "s3://sluice-artifacts/capture/reviews"


def test_requests_like_the_training_data_are_ok_and_documented(watching: Watching) -> None:
    watching.ask(300)
    watching.later(hours=1, minutes=1)
    assert [each["status"] for each in watching.watch()] == ["ok"]
    (window,) = watching.windows()
    assert (window.status, window.requests, window.rows, window.unreadable) == ("ok", 300, 300, 0)
    assert (window.baseline, window.predictions_baseline) == ("ab" * 32, "hold-out data")
    for name in ("statistics.json", "constraints.json", "constraint_violations.json", "report.html"):
        assert watching.cloud.objects.read(f"{window.folder_uri}requests/{name}")
    page = watching.cloud.objects.read(f"{window.folder_uri}report.html").decode()
    assert "OK" in page
    assert "hold-out data" in page
    assert watching.told() == [("requests", "ok", False)]
    _, dimensions, values, _ = watching.measured()[0]
    assert dimensions == {"Stack": "sluice", "Pipeline": PIPELINE, "Stage": "production"}
    assert (values["DriftFound"], values["Predictions"]) == (0, 300)
    assert watching.retrain_cause() is None


def test_drift_of_requests_and_of_predictions_is_found_told_and_asks_for_a_build_once(
    watching: Watching,
) -> None:
    for _ in range(2):
        watching.ask(300, shift=0.6)
        watching.later(hours=1, minutes=1)
        watching.watch()
    first, second = watching.windows()
    assert first.status == second.status == "violated"
    assert set(first.reasons or {}) == {"drift", "predictions"}
    assert watching.told() == [("requests", "violated", False)] * 2
    assert watching.measured()[0][2]["DriftFound"] == 1
    assert str(watching.retrain_cause()).startswith("monitoring: drift on production: x: ")
    assert [pipeline for pipeline, _ in watching.cloud.build_requests.sent] == [PIPELINE]
    assert list(watching.progress().asked) == ["drift"]
    page = watching.cloud.objects.read(f"{first.folder_uri}report.html").decode()
    assert "Violated" in page
    violations = document(watching, f"{first.folder_uri}requests/constraint_violations.json")["violations"]
    assert {each["constraint_check_type"] for each in violations} == {"baseline_drift_check"}


def test_drift_that_was_over_asks_again(watching: Watching) -> None:
    for shift in (0.6, 0.0, 0.6):
        watching.ask(300, shift=shift)
        watching.later(hours=1, minutes=1)
        watching.watch()
    assert len(watching.cloud.build_requests.sent) == 2


def test_an_hour_without_traffic_is_no_data_and_few_requests_are_no_verdict(watching: Watching) -> None:
    watching.later(hours=1, minutes=1)
    watching.watch()
    watching.ask(40)
    watching.later(hours=1)
    watching.watch()
    assert [window.status for window in watching.windows()] == ["no_data", "not_enough_data"]
    assert [status for _, status, _ in watching.told()] == ["no_data", "not_enough_data"]
    assert all("DriftFound" not in values for _, _, values, _ in watching.cloud.metrics.values)


def test_what_breaks_the_contract_and_what_cannot_be_read_are_told(watching: Watching) -> None:
    good = [record({"x": 0.4, "kind": "a"}, [0], f"g{i}") for i in range(100)]
    bad = [record({"kind": "a"}, [0], f"b{i}") for i in range(20)]
    broken = [record("<xml>", [0], f"u{i}") for i in range(20)]
    watching.capture([*good, *bad, *broken])
    watching.later(hours=1, minutes=1)
    watching.watch()
    (window,) = watching.windows()
    assert (window.requests, window.rows, window.unreadable) == (140, 120, 20)
    reasons = (window.reasons or {})["data"]
    assert any("20 of 140 records: the request is neither JSON" in each for each in reasons)
    assert any(each.startswith("x: ") for each in reasons)


def test_of_few_requests_a_broken_contract_is_told_and_drift_is_not(watching: Watching) -> None:
    watching.ask(40, shift=0.6)
    watching.later(hours=1, minutes=1)
    watching.watch()
    watching.capture(record({"kind": "a"}, [0], f"b{i}", at=watching.cloud.now()) for i in range(5))
    watching.later(hours=1)
    watching.watch()
    moved, broken = watching.windows()
    assert (moved.status, moved.reasons) == ("not_enough_data", None)
    assert (broken.status, list(broken.reasons or {})) == ("violated", ["data"])


def test_an_hour_of_which_nothing_can_be_read_has_a_verdict_and_a_page(watching: Watching) -> None:
    watching.capture(record("<xml>", [0], f"u{i}", at=watching.cloud.now()) for i in range(20))
    watching.later(hours=1, minutes=1)
    watching.watch()
    (window,) = watching.windows()
    assert (window.status, window.requests, window.rows) == ("violated", 20, 0)
    assert watching.cloud.objects.read(f"{window.folder_uri}report.html")


def test_each_window_is_judged_once_however_often_it_is_asked_for(watching: Watching) -> None:
    watching.ask(120)
    watching.later(hours=2, minutes=1)
    assert [each["status"] for each in watching.watch()] == ["ok", "no_data"]
    assert watching.watch() == []
    assert len(watching.told()) == len(watching.windows()) == 2


def test_windows_that_no_event_told_of_are_judged_by_the_next(watching: Watching) -> None:
    for _ in range(5):
        watching.ask(120)
        watching.later(hours=1)
    watching.later(minutes=1)
    assert [each["status"] for each in watching.watch()] == ["ok"] * 5


def test_a_person_may_end_the_window_under_way(watching: Watching) -> None:
    watching.ask(150)
    watching.later(minutes=1)
    assert watching.watch() == []
    assert [each["status"] for each in watching.watch(request_id="r1")] == ["ok"]
    assert watching.progress().answered == "r1"
    watching.later(seconds=2)
    assert watching.watch(request_id="r1") == []
    watching.later(seconds=2)
    assert watching.watch(request_id="r2", stage="staging") == []


def test_labels_are_an_estimate_until_they_are_complete_and_then_a_verdict(watching: Watching) -> None:
    labels = watching.ask(200, accuracy=0.6)
    watching.later(hours=1, minutes=1)
    watching.watch()
    early = dict(list(labels.items())[:100])
    assert watching.upload(early, "a.jsonl")["status"] == "joined"
    (estimated,) = watching.label_windows()
    assert (estimated.status, estimated.is_final, estimated.labelled) == ("violated", False, 100)
    assert watching.told()[-1] == ("labels", "violated", True)
    assert told_of_decay(watching) == ["decay estimated"]
    assert watching.retrain_cause() is None
    watching.upload(dict(list(labels.items())[100:]), "b.jsonl")
    watching.later(days=3)
    watching.watch()
    final = watching.label_windows()[0]
    assert (final.status, final.is_final, final.labelled, final.rows) == ("violated", True, 200, 200)
    assert "accuracy is 0." in final.reasons[0]
    assert ("labels", "violated", False) in watching.told()
    assert told_of_decay(watching)[-1] == "decay"
    assert str(watching.retrain_cause()).startswith("monitoring: quality on production: accuracy is 0.")
    assert any(values.get("DecayFound") == 1 for _, _, values, _ in watching.cloud.metrics.values)
    statistics = document(watching, f"{final.folder_uri}statistics.json")
    assert statistics["binary_classification_metrics"]["accuracy"]["value"] == pytest.approx(0.6, abs=0.1)
    assert document(watching, f"{final.folder_uri}constraint_violations.json")["violations"]


def test_windows_of_labels_that_no_time_is_left_for_are_judged_by_the_next_pass(
    watching: Watching,
) -> None:
    for day in range(2):
        labels = watching.ask(100)
        watching.later(days=1, minutes=1)
        watching.watch()
        watching.upload(labels, f"{day}.jsonl")
    watching.later(days=3)

    def final() -> list[bool]:
        return sorted(window.is_final for window in watching.label_windows() if window.labelled)

    class Hurried(LambdaContext):
        def get_remaining_time_in_millis(self) -> int:
            return 5_000 if any(final()) else 300_000

    load_function("monitor_endpoint").lambda_handler({"detail": {"pipeline": PIPELINE}}, Hurried())
    assert final() == [False, True]
    watching.watch()
    assert final() == [True, True]


def test_a_good_model_is_ok_and_a_window_of_few_labels_is_not(watching: Watching) -> None:
    labels = watching.ask(200)
    watching.later(hours=1, minutes=1)
    watching.watch()
    watching.upload(dict(list(labels.items())[:20]), "few.jsonl")
    watching.later(days=3)
    watching.watch()
    few = watching.label_windows()[0]
    assert (few.status, few.is_final, few.labelled) == ("not_enough_labels", True, 20)
    assert not any("DecayFound" in values for _, _, values, _ in watching.cloud.metrics.values)
    watching.upload(labels, "all.jsonl")
    late = watching.label_windows()[0]
    assert (late.status, late.is_final, late.labelled) == ("ok", True, 200)
    assert late.measured[0]["value"] == pytest.approx(0.9, abs=0.08)
    assert watching.told()[-1] == ("labels", "ok", False)


def test_a_corrected_label_judges_its_window_anew_and_the_same_labels_do_not(watching: Watching) -> None:
    labels = watching.ask(100)
    watching.later(hours=1, minutes=1)
    watching.watch()
    watching.upload(labels, "a.jsonl")
    told = len(watching.told())
    watching.later(minutes=1)
    watching.upload(labels, "again.jsonl")
    assert len(watching.told()) == told
    watching.later(minutes=1)
    watching.upload({identity: 1 - label for identity, label in labels.items()}, "corrected.jsonl")
    assert watching.label_windows()[0].status == "violated"
    assert len(watching.told()) == told + 1


def test_an_event_of_labels_twice_changes_nothing(watching: Watching) -> None:
    labels = watching.ask(100)
    watching.later(hours=1, minutes=1)
    watching.watch()
    watching.upload(labels, "a.jsonl")
    before = (watching.told(), watching.world.timeline())
    watching.tell_labels("ground-truth/reviews/a.jsonl", "v1")
    assert (watching.told(), watching.world.timeline()) == before


def test_labels_that_come_before_their_window_is_judged_are_kept(watching: Watching) -> None:
    labels = watching.ask(100)
    watching.later(minutes=5)
    assert watching.upload(labels)["judged"] == []
    watching.later(hours=1)
    watching.watch()
    watching.later(days=3)
    watching.watch()
    assert (watching.label_windows()[0].status, watching.label_windows()[0].labelled) == ("ok", 100)


def test_labels_of_nobody_and_files_without_labels_do_no_harm(watching: Watching) -> None:
    assert watching.upload({"stranger": 1}) == {"status": "joined", "labels": 1, "judged": []}
    version = watching.cloud.objects.put(fakes.DATA_BUCKET, "ground-truth/reviews/x.csv", b"a,b\n1,2\n")
    assert watching.tell_labels("ground-truth/reviews/x.csv", version)["status"] == "refused"
    assert "labels refused" in watching.world.events()
    version = watching.cloud.objects.put(fakes.DATA_BUCKET, "ground-truth/others/x.csv", b"id,y\na,1\n")
    assert watching.tell_labels("ground-truth/others/x.csv", version)["status"] == "unclaimed"
    assert watching.tell_labels("ground-truth/reviews/gone.csv", "v1")["status"] == "gone"


def test_a_file_of_labels_that_is_too_large_is_refused_before_it_is_read(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truth, "MAX_BYTES", 10)
    read = watching.cloud.objects.read_bytes
    assert watching.upload({"id-1": 1})["status"] == "refused"
    assert watching.cloud.objects.read_bytes == read
    entries = watching.cloud.catalog.query(keys.partition(PIPELINE), keys.TIMELINE)
    (detail,) = [entry["detail"] for entry in entries if entry["event"] == "labels refused"]
    assert detail.endswith("bytes, at most 10: upload several files")


def test_labels_of_a_window_whose_documents_are_gone_belong_to_nobody(watching: Watching) -> None:
    labels = watching.ask(120)
    watching.later(hours=1, minutes=1)
    watching.watch()
    (window,) = watching.windows()
    watching.cloud.objects.delete(f"{window.folder_uri}{INDEX}")
    assert watching.upload(labels) == {"status": "joined", "labels": 120, "judged": []}


def test_labels_are_looked_for_in_older_windows_until_all_are_found(watching: Watching) -> None:
    first = watching.ask(120)
    watching.later(hours=1, minutes=1)
    watching.watch()
    second = watching.ask(120)
    watching.later(hours=1)
    watching.watch()
    watching.upload(second, "second.jsonl")
    watching.upload({**dict(list(first.items())[:60]), **dict(list(second.items())[:60])}, "both.jsonl")
    (judged,) = watching.label_windows()
    assert judged.labelled == 180


def test_a_slice_that_decays_is_named(watching: Watching) -> None:
    good = watching.ask(300, accuracy=0.92)
    watching.later(hours=1, minutes=1)
    watching.watch()
    rows = [
        json.loads(line)
        for line in watching.cloud.objects.read(
            f"{watching.windows()[0].folder_uri}predictions.jsonl"
        ).splitlines()
    ]
    kinds = {row["id"].partition("#")[0]: row["columns"]["kind"] for row in rows}
    wrong = {i: 1 - label if kinds[i] == "a" else label for i, label in good.items()}
    watching.upload(wrong)
    (window,) = watching.label_windows()
    assert any(reason.startswith("kind = a: ") for reason in window.reasons)
    assert not any(reason.startswith("kind = b: ") for reason in window.reasons)


BIASED = YAML.replace(
    "data: {", "data: {bias: {facets: [{column: kind, values: [a]}], favorable_labels: [1]}, "
)


@pytest.mark.parametrize(("x_of_a", "faults"), [(0.1, ["DPPL of ", "DI of "]), (0.9, [])])
def test_bias_of_predictions_is_judged_with_requests_and_what_needs_labels_with_these(
    cloud: fakes.Cloud, invoke: Invoke, tmp_path: Path, x_of_a: float, faults: list[str]
) -> None:
    """The model answers 1 above 0.5: of a kind that is below, nobody has the favorable answer."""
    limits = "bias: {DPPL: 0.2, DI: 0.2, AD: 0.3}"
    watching = Watching(
        cloud, invoke, tmp_path, MONITOR.replace("every_s: 3600", f"every_s: 3600\n  {limits}"), BIASED
    )
    lines, labels = [], {}
    for number in range(200):
        kind, x = ("a", x_of_a) if number % 2 else ("b", 0.9)
        lines.append(record({"x": x, "kind": kind}, [int(x > 0.5)], f"i{number}", at=cloud.now()))
        labels[f"i{number}"] = 1
    watching.capture(lines)
    watching.later(hours=1, minutes=1)
    watching.watch()
    (window,) = watching.windows()
    found = (window.reasons or {}).get("bias", [])
    assert [each[: each.index("kind")] for each in found] == faults
    assert all("farther than 0.2 from " in each for each in found)
    watching.upload(labels)
    (judged,) = watching.label_windows()
    assert any(each.startswith("AD of kind") for each in judged.reasons or []) is bool(faults)


def test_another_release_cuts_the_window_and_begins_one_of_its_own_labels(watching: Watching) -> None:
    assert watching.watch() == []
    watching.ask(120)
    watching.later(minutes=30)
    arn = watching.world.register(2)
    second = watching.world.approve(arn)
    watching.later(minutes=1)
    watching.ask(130)
    watching.later(hours=1, minutes=1)
    watching.watch()
    before, after = watching.windows()[:2]
    assert (before.release_id, before.rows) == (watching.release_id, 120)
    assert (after.release_id, after.rows) == (second, 130)
    assert [each.release_id for each in watching.label_windows()] == [watching.release_id, second]


def test_a_crash_between_verdict_and_telling_is_made_good(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching.ask(120, shift=0.6)
    watching.later(hours=1, minutes=1)
    announce = watching.cloud.bus.announce

    def fail(*_: Any) -> None:
        raise RuntimeError("gone")

    monkeypatch.setattr(watching.cloud.bus, "announce", fail)
    with pytest.raises(RuntimeError):
        watching.watch()
    assert watching.windows()[0].told_at is None
    monkeypatch.setattr(watching.cloud.bus, "announce", announce)
    watching.watch()
    assert watching.told() == [("requests", "violated", False)]
    assert watching.windows()[0].told_at


def test_the_schedule_asks_for_each_pipeline_that_serves(watching: Watching) -> None:
    assert watching.invoke("monitor_endpoint", {"detail": {}}) == {"asked": [PIPELINE]}
    assert watching.cloud.bus.announced == [("MonitoringDue", {"stack": "sluice", "pipeline": PIPELINE})]


def test_a_model_that_is_not_watched_costs_nothing(
    cloud: fakes.Cloud, invoke: Invoke, tmp_path: Path
) -> None:
    watching = Watching(cloud, invoke, tmp_path, monitor="")
    watching.later(hours=2)
    assert watching.watch() == []
    assert cloud.catalog.query(keys.partition(PIPELINE), keys.MONITORS) == []


def test_age_alone_may_ask_for_a_build(cloud: fakes.Cloud, invoke: Invoke, tmp_path: Path) -> None:
    monitor = MONITOR.replace("[drift, quality]", "[schedule]") + "  retrain_every: 2d\n"
    watching = Watching(cloud, invoke, tmp_path, monitor=monitor.replace("every_s: 3600", "every_s: 86400"))
    watching.later(days=1)
    watching.watch()
    assert watching.retrain_cause() is None
    watching.later(days=1, minutes=1)
    watching.watch()
    watching.watch()
    assert watching.retrain_cause() == ("monitoring: schedule on production: the live model is older than 2d")
    assert len(cloud.build_requests.sent) == 1


def test_the_sample_is_of_a_pipeline_that_is_due(watching: Watching, sample: Any) -> None:
    watching.later(hours=1, minutes=1)
    assert [
        each["status"] for each in watching.invoke("monitor_endpoint", sample("monitor_endpoint"))["judged"]
    ] == ["no_data"]
