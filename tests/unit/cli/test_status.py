"""What `sluice status` says of one pipeline."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sluice_cli import serving_commands

STAGE = {
    "stage": "production",
    "endpoint_name": "sluice--m--production",
    "live_version": 2,
    "live_group": "sluice--m",
    "endpoint_status": "InService",
    "is_batch": False,
    "releasing": None,
    "shadow": None,
    "takes_back": None,
    "alarms": [],
    "guard_faults": [],
    "recoveries": [],
    "scaling": None,
    "is_rejected": False,
    "deviation": None,
    "hold": None,
}


def said(capsys: pytest.CaptureFixture[str], **item: Any) -> str:
    empty: dict[str, Any] = {
        "pipeline": "m",
        "project_version": "0" * 64,
        "group": "sluice--m",
        "last_run": None,
        "last_release": None,
        "data_set": None,
        "arrivals": {},
        "next_build": None,
        "costs": {"estimate": None, "month": None, "held_back": None},
        **dict.fromkeys(("waiting_steps", "stages", "awaited", "waiting", "quarantined", "timeline"), ()),
    }
    serving_commands.print_status({**empty, **item})
    return capsys.readouterr().out


def test_what_is_in_the_data_set_is_told_apart_from_what_is_in_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "objects  none yet" in said(capsys)
    held = {"dataset_version": "9f2c1a0b77de" + "0" * 52, "objects": 1, "rows": 3500}
    text = said(capsys, data_set=held, arrivals={"included": 1, "building": 2, "pending": 1200})
    assert "data set 9f2c1a0b77de: 1 object, 3,500 rows" in text
    assert "objects  2 taken up by a run, 1,200 waiting" in text
    assert "objects  " not in said(capsys, data_set=held, arrivals={"included": 1})


def test_a_rollback_under_way_says_what_it_takes_back(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, stages=[{**STAGE, "releasing": "m-v2-back-5e0d93a7", "takes_back": 2}])
    assert "taking v2 back: m-v2-back-5e0d93a7" in text


def test_a_rejected_model_that_serves_all_the_same_is_named_with_what_ends_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "rejected" not in said(capsys, stages=[STAGE])
    text = said(capsys, stages=[{**STAGE, "is_rejected": True}])
    assert "rejected: v2 still serves" in text
    assert "`sluice retire m --stage production`" in text
    assert "rejected" not in said(capsys, stages=[{**STAGE, "is_rejected": True, "releasing": "m-v1-0"}])


def test_an_endpoint_that_deviates_is_shown_with_what_a_person_can_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands = [
        "approve m/2 --stage production",
        *(f"{act} m --stage production" for act in ("rollback", "retire")),
    ]
    deviation = {
        "since": "2026-11-28T19:12:36.000Z",
        "faults": ["it serves the config x"],
        "commands": commands,
    }
    text = said(capsys, stages=[{**STAGE, "deviation": deviation}])
    assert re.search(r"has deviated for \d+\w: it serves the config x", text)
    assert "what was done by hand stays" in text
    for command in commands:
        assert f"`sluice {command}`" in text
    assert "deviates" not in said(capsys, stages=[STAGE])


def test_a_rollback_that_is_tried_again_or_impossible_is_told_while_its_alarm_fires(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tried = {"fault": "alarm", "attempt": 2, "attempts": 3, "release_id": "m-v2-1", "problem": None}
    firing = {**STAGE, "alarms": [{"alarm": "m-errors", "state": "ALARM"}]}
    text = said(capsys, stages=[{**firing, "recoveries": [tried]}])
    assert "    rolling back: attempt 2 of 3, m-v2-1\n" in text
    last = {"release_id": "m-v2-1", "status": "refused", "ended_at": "2026-11-28T19:12:36.000Z"}
    text = said(capsys, stages=[{**firing, "recoveries": [tried]}], last_release=last)
    assert "    rollback refused: attempt 2 of 3, m-v2-1\n" in text
    failed = {
        **tried,
        "attempt": 3,
        "problem": "3 attempts failed",
        "command": "rollback m --stage production",
    }
    text = said(capsys, stages=[{**firing, "recoveries": [failed]}])
    assert "rollback impossible: 3 attempts failed; next: `sluice rollback m --stage production`" in text
    assert "rollback" not in said(capsys, stages=[{**STAGE, "recoveries": [failed]}])


def test_a_stage_that_is_held_says_why_since_when_and_what_ends_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hold = {"why": "held", "since": "2026-11-28T19:12:36.000Z", "reason": "an alarm put v2 back"}
    text = said(capsys, stages=[{**STAGE, "hold": {**hold, "command": "approve m/2 --stage production"}}])
    assert re.search(r"held for \d+\w: an alarm put v2 back; `sluice approve m/2 --stage production`", text)


def test_a_retired_stage_has_no_endpoint(capsys: pytest.CaptureFixture[str]) -> None:
    gone = {**STAGE, "live_version": None, "live_group": None, "endpoint_status": "missing"}
    assert "  production: nothing, there is no endpoint\n" in said(capsys, stages=[gone])


@pytest.mark.parametrize("status", ["failed", "refused"])
def test_why_the_last_release_went_wrong_is_told(status: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The hint of `approve` without `--wait` leads here."""
    last = {"release_id": "m-v1-0", "status": status, "reasons": ["the answer [x] is no JSON"]}
    text = said(capsys, last_release=last)
    assert f"  last release m-v1-0 {status}" in text
    assert "    • the answer [x] is no JSON" in text
    assert "m-v1-0" not in said(capsys, last_release={**last, "status": "released", "reasons": []})
    assert "tries it again" not in text
    again = said(capsys, last_release={**last, "command": "approve m/1"})
    assert "`sluice approve m/1` tries it again" in again


def test_a_digest_in_the_timeline_is_as_short_as_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    entries = [
        {"at": "2026-11-28T19:12:36.000Z", "subject": subject, "event": "project registered"}
        for subject in ("ab" * 32, "m-00001")
    ]
    lines = said(capsys, timeline=entries).splitlines()[-2:]
    assert lines == [
        "  2026-11-28T19:12:36.000Z  abababababab  project registered",
        "  2026-11-28T19:12:36.000Z  m-00001  project registered",
    ]


@pytest.mark.parametrize(
    ("status", "is_retried"), [("failed", True), ("stopped", True), ("registered", False)]
)
def test_a_run_that_failed_is_named_with_how_to_go_on(
    status: str, is_retried: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    last = {"run_id": "m-00003", "status": status, "started_at": "2026-01-01T00:00:00.000Z"}
    text = said(capsys, last_run=last)
    assert ("`sluice retry m-00003` goes on from where it was" in text) is (status != "registered")


def test_a_script_that_failed_leads_to_a_push_of_a_better_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A retry runs the same script."""
    reasons = [
        "NoCandidateError: train-0 Failed: AlgorithmError: the script ended with exit code 2: train.py"
    ]
    last = {"run_id": "m-00003", "status": "failed", "started_at": "2026-01-01T00:00:00.000Z"}
    text = said(capsys, last_run={**last, "reasons": reasons})
    assert "`sluice push DIR` builds with the script as you mend it" in " ".join(text.split())
    again = said(capsys, last_run={**last, "reasons": reasons, "reproduces": "m-00001"})
    assert "push" not in again


@pytest.mark.parametrize(
    "reason",
    [
        "NoCandidateError: train-0 Stopped: it ran longer than max_runtime_s, 5 s",
        "JobFailedError: m-00003-prepare: out of memory: ml.m5.large has 8 GB",
        "NoCandidateError: train-0 Failed: it was ended (a limit of Lambda: set compute.backend to auto)",
        "RequestRefusedError: compute.backend is lambda, and numpy 1.24.1 has no wheel: set it to auto",
        "NoCandidateError: train-0 did not report accuracy: no line of the log matches the regex",
        "NoCandidateError: train-0 reported accuracy as no finite number",
        "EvaluationError: the candidate's evaluation.json was not written",
    ],
)
def test_what_only_a_change_of_the_project_mends_leads_to_a_push(
    reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    last = {"run_id": "m-00003", "status": "failed", "started_at": "2026-01-01T00:00:00.000Z"}
    text = " ".join(said(capsys, last_run={**last, "reasons": [reason]}).split())
    assert "`sluice push DIR` builds with the project as you change it" in text
    assert "retry m-00003" not in text


def test_of_a_long_reason_for_setting_data_aside_the_beginning_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    aside = {"key": "m/a.csv", "reason": f"x: 1 row below 0{'; y: 1 row below 0' * 50}"}
    line = next(line for line in said(capsys, quarantined=[aside]).splitlines() if "m/a.csv" in line)
    assert line.startswith("  quarantined m/a.csv: x: 1 row below 0; y: 1 row")
    assert len(line) < 240


def test_what_a_retry_would_be_refused_for_again_leads_to_a_new_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reasons = ["DatasetChangedError: 3 objects changed since the data set 0123456789ab was made: m/a.csv"]
    last = {"run_id": "m-00003", "status": "failed", "started_at": "2026-01-01T00:00:00.000Z"}
    text = said(capsys, last_run={**last, "reasons": reasons})
    assert "`sluice start m` builds on the data as they are now" in text
    assert "sluice retry" not in text
    assert "sluice" not in said(capsys, last_run={**last, "reasons": reasons, "reproduces": "m-00001"})


def test_a_shadow_is_told_with_how_it_does_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    shadow = {"version": 2, "percent": 50, "said": "40 requests mirrored, errors 0.00%"}
    told = said(capsys, stages=[{**STAGE, "releasing": "m-v2-0", "shadow": shadow}])
    assert "shadow: v2 answers too, for nobody: 40 requests mirrored" in " ".join(told.split())
