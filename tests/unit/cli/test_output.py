"""What the command shows: ages, durations, steps, and waiting that ends."""

from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from rich.console import Console

from sluice.domain import failures
from sluice.domain.build import selection
from sluice_cli import (
    cloud,
    leaderboard,
    log_streams,
    output,
    reasons,
    run_page,
    serving_commands,
    story_page,
    waiting,
)
from sluice_cli.errors import CommandError
from sluice_cli.progress import Steps
from sluice_cli.target import Target
from sluice_local.state import state_lock


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_is_followed_is_said_in_place_on_a_terminal_and_now_and_then_elsewhere(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    now, file = [100.0], io.StringIO()
    monkeypatch.setattr("sluice_cli.output.time.monotonic", lambda: now[0])
    console = output.console(file=file, force_terminal=is_terminal)
    monkeypatch.setattr(output, "err", console)
    status = console.status("waiting")
    say = output.following(status, "tiny-00001")
    for doing, at in (("train-0", 100.0), ("train-0 5 s", 105.0), ("evaluate", 110.0), ("[gates]", 119.0)):
        now[0] = at
        say(doing)
    assert file.getvalue() == ("" if is_terminal else "tiny-00001: train-0\ntiny-00001: evaluate\n")
    assert status.status == (r"tiny-00001: \[gates]" if is_terminal else "waiting")


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("2026-01-02T00:00:00.000Z", "0s ago"),
        ("2026-01-01T23:59:18.000Z", "42s ago"),
        ("2026-01-01T23:00:00.000Z", "1h ago"),
        ("2025-12-30T00:00:00.000Z", "3d ago"),
        ("2026-01-02T00:00:59.000Z", "0s ago"),
        ("2026-01-02T00:01:30.000Z", "in 1m"),
        ("2026-01-09T00:00:00.000Z", "in 7d"),
        (None, ""),
    ],
)
def test_an_age_is_told_in_the_largest_fitting_unit(then: str | None, said: str) -> None:
    assert output.age(then, now=datetime(2026, 1, 2, tzinfo=UTC)) == said


@pytest.mark.parametrize(
    ("began", "said"), [("2026-01-01T22:00:00.000Z", "for 2h"), ("2026-01-02T00:01:30.000Z", "for 0s")]
)
def test_what_lasts_does_so_from_its_beginning_which_another_clock_may_see_ahead(
    began: str, said: str
) -> None:
    assert output.lasting(began, now=datetime(2026, 1, 2, tzinfo=UTC)) == said


def test_a_run_that_ended_has_its_status_since_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    began, ended = ((now - timedelta(minutes=minutes)).isoformat() for minutes in (9, 2))
    run = {"run_id": "m-1", "pipeline": "m", "steps": [], "timeline": [], "started_at": began}
    run_page.print_run({**run, "status": "registered", "ended_at": ended})
    run_page.print_run({**run, "status": "running"})
    said = capsys.readouterr().out
    assert "m-1 registered 2m ago" in said
    assert "m-1 running (started 9m ago)" in said


JUDGED = {"step": "gates", "detail": [{"gate": "accuracy >= 1", "passed": False, "reason": "0.9 fails"}]}


@pytest.mark.parametrize(
    ("ended", "next_step"),
    [
        (
            {"status": "registered", "model": "m/7"},
            "approve m/7",
        ),
        ({"status": "data_rejected"}, "data list m --quarantined"),
        ({"status": "registered", "model": "m/7", "model_status": "Approved"}, "status m"),
        ({"status": "rejected", "steps": [JUDGED]}, "report m-00001 --gates"),
        ({"status": "failed"}, "retry m-00001"),
        ({"status": "stopped"}, "retry m-00001"),
    ],
)
def test_a_run_ends_with_the_next_step(
    ended: dict[str, str], next_step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_page.print_run({"run_id": "m-00001", "pipeline": "m", "steps": [], "timeline": [], **ended})
    assert f"next: `sluice {next_step}`" in capsys.readouterr().err


def test_a_run_that_a_pipeline_of_sagemaker_rejected_has_no_gates_to_show(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = {"run_id": "m-00001", "pipeline": "m", "steps": [], "timeline": [], "status": "rejected"}
    run_page.print_run(run)
    assert "--gates" not in capsys.readouterr().err


def test_a_failed_run_shows_the_end_of_the_log_that_may_say_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step that failed; else the last job, which did not do what was expected of it."""
    monkeypatch.setattr(
        log_streams, "step_log", lambda target, step: [f"{step['job_name']} {n}" for n in range(30)]
    )
    steps = [
        {"step": "prepare", "job_name": "m-prepare"},
        {"step": "train-0", "job_name": "m-train"},
        {"step": "gates"},
        {"step": "evaluate-champion", "job_name": "m-champion"},  # whatever it wrote fails no run
    ]
    run = {"run_id": "m-00001", "pipeline": "m", "status": "failed", "timeline": [], "steps": steps}
    told = log_streams.with_log_tails(
        Target("sluice", boto3.Session()), run | {"reasons": ["train-0 did not report acc"]}
    )
    assert [("log_tail" in step) for step in told["steps"]] == [False, True, False, False]
    assert told["steps"][1]["log_tail"] == [f"m-train {n}" for n in range(10, 30)]
    run_page.print_run(told)
    shown = capsys.readouterr()
    assert "the log of train-0 ends:\n    m-train 10\n" in shown.out
    assert "next: `sluice logs m-00001 train-0`" in shown.err


def test_of_a_reused_step_that_did_not_report_the_objective_the_log_is_that_of_its_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = list[tuple[str, str]]()

    def lines(target: Target, group: str, prefix: str) -> list[str]:
        read.append((group, prefix))
        return ["accurracy: 1"]

    monkeypatch.setattr(log_streams, "log_lines", lines)
    remark = f"{selection.UNREPORTED} accuracy"
    cached = {"run_id": "m-00001", "step": "train-0", "job_name": "sluice--m-00001-train-0"}
    step = {"step": "train-0", "cached": cached, "remark": remark, "log_group": "/a/group"}
    found = log_streams.with_log_tails(
        Target("sluice", boto3.Session()), {"status": "failed", "steps": [step]}
    )
    assert found["steps"][0]["log_tail"] == ["accurracy: 1"]
    assert read == [("/a/group", "sluice--m-00001-train-0/")]


def test_logs_that_end_alike_are_shown_once_and_an_empty_one_is_no_next_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = {"run_id": "m-00001", "pipeline": "m", "status": "failed", "timeline": []}
    run_page.print_run(
        run | {"steps": [{"step": f"train-{n}", "log_tail": ["ValueError: x"]} for n in range(2)]}
    )
    text = capsys.readouterr().out
    assert text.count("ValueError") == 1
    assert "the log of train-1 ends as that of train-0" in text
    run_page.print_run(run | {"steps": [{"step": "train-0", "log_tail": []}]})
    assert "log of train-0" not in capsys.readouterr().out  # its job was never created
    run_page.print_run(run | {"steps": [{"step": "evaluate-candidate", "log_tail": [], "job_arn": "arn"}]})
    shown = capsys.readouterr()
    assert ("is empty" in shown.out, "logs" in shown.err) == (True, False)


TRACEBACK = (
    "NoCandidateError: train-0 Failed: AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n"
    'ErrorMessage "  File x.py, line 1\nValueError: C is None"\nCommand "python train.py -C 1", exit code: 1'
)


def test_a_reason_of_several_lines_is_one_line_in_a_list_and_indented_in_full(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert reasons.first_reasons({"reasons": [TRACEBACK, "another"]}) == (
        "NoCandidateError: train-0 Failed: AlgorithmError: ExecuteUserScriptError: […] "
        "ValueError: C is None (+1)"
    )
    assert failures.brief("two\nlines") == "two lines"
    longer = TRACEBACK.replace("C is None", "C is None\nHave a look at the guide:\n    https://guide")
    assert failures.brief(longer) == failures.brief(TRACEBACK)
    run = {"run_id": "m-00001", "pipeline": "m", "status": "failed", "timeline": [], "steps": []}
    run_page.print_run(run | {"reasons": [TRACEBACK]})
    assert '\n    Command "python train.py -C 1", exit code: 1\n' in capsys.readouterr().out


def test_a_failure_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    step = {"step": "prepare", "status": "Failed", "failure_reason": "AlgorithmError: exit code: 1"}
    reasons = ["JobFailedError: m-00001-prepare: AlgorithmError: exit code: 1"]
    run = {"run_id": "m-00001", "pipeline": "m", "status": "failed", "timeline": [], "steps": [step]}
    run_page.print_run(run | {"reasons": reasons})
    assert capsys.readouterr().out.count("AlgorithmError") == 1
    run_page.print_run(run | {"reasons": ["another"]})
    assert capsys.readouterr().out.count("AlgorithmError") == 1
    step = {"step": "train-0", "status": "Completed", "remark": "did not report accuracy"}
    run_page.print_run(run | {"steps": [step], "reasons": ["train-0 did not report accuracy"]})
    assert capsys.readouterr().out.count("did not report") == 1


def test_what_a_script_left_running_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    left = "ended 1 process that the script left running: [sleep]"
    step = {"step": "train-0", "status": "Completed", "left_behind": left, "log_tail": ["done", left]}
    run = {"run_id": "m-00001", "pipeline": "m", "status": "registered", "timeline": [], "steps": [step]}
    run_page.print_run(run)
    said = capsys.readouterr().out
    assert f"train-0: {left}" in said
    assert said.index("the log of train-0 ends:") < said.index("    done")


def test_the_log_to_read_is_that_of_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    left = {"step": "prepare", "status": "Completed", "left_behind": "ended 1 process", "log_tail": ["done"]}
    failed = {"step": "train-0", "status": "Failed", "failure_reason": "no rows", "log_tail": ["no rows"]}
    run = {"run_id": "m-00001", "pipeline": "m", "status": "failed", "timeline": [], "steps": [left, failed]}
    run_page.print_run(run)
    assert "`sluice logs m-00001 train-0` has all" in " ".join(capsys.readouterr().err.split())


def test_a_failure_that_the_log_shows_is_not_written_out_again(capsys: pytest.CaptureFixture[str]) -> None:
    failure = TRACEBACK.removeprefix("NoCandidateError: train-0 Failed: ")
    step = {"step": "train-0", "status": "Failed", "failure_reason": failure}
    run = {"run_id": "m-00001", "pipeline": "m", "status": "failed", "timeline": []}
    run |= {"reasons": [f"NoCandidateError: train-0 Failed: {failures.brief(failure)}"]}
    run_page.print_run(run | {"steps": [{**step, "log_tail": ["Traceback", "ValueError: C is None"]}]})
    assert capsys.readouterr().out.count("C is None") == 2
    # Of a candidate that was passed over no reason of the run tells.
    registered = run | {"status": "registered", "reasons": []}
    run_page.print_run(registered | {"steps": [{**step, "log_tail": ["Traceback", "ValueError: C is None"]}]})
    told = capsys.readouterr().out
    assert "train-0: AlgorithmError: ExecuteUserScriptError: […] ValueError: C is None\n" in told
    assert "File x.py" not in told
    # Without a log its lines are nowhere else.
    run_page.print_run(run | {"steps": [step]})
    assert "File x.py, line 1" in capsys.readouterr().out


def test_a_job_that_was_stopped_with_its_run_does_not_repeat_why(capsys: pytest.CaptureFixture[str]) -> None:
    why = "stopped by ada: wrong data"
    told = f"stopped by sluice, as its run had ended as stopped ({why})"
    step = {"step": "train-0", "status": "Stopped", "failure_reason": told, "stopped_because": told}
    run = {"run_id": "m-00001", "pipeline": "m", "status": "stopped", "timeline": [], "steps": [step]}
    run_page.print_run(run | {"reasons": [why]})
    assert capsys.readouterr().out.count("wrong data") == 1


def test_a_next_step_is_what_works_from_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is found, and goes to the stack of the command that names it; other advice is about any."""
    monkeypatch.setattr(output, "invocation", output.Invocation("../.venv/bin/sluice", "--aws --stack other"))
    output.hint("next: `sluice runs m`, or `sluice status`")
    output.hint("Start it with `sluice up`.")
    assert capsys.readouterr().err.splitlines() == [
        "next: `../.venv/bin/sluice --aws --stack other runs m`, or "
        "`../.venv/bin/sluice --aws --stack other status`",
        "Start it with `../.venv/bin/sluice up`.",
    ]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_table_is_folded_for_a_terminal_alone(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads a pipe reads a row a line."""
    text = io.StringIO()
    console = output.console(file=text, width=20, force_terminal=is_terminal, no_color=True)
    monkeypatch.setattr(output, "out", console)
    output.print_table(("key", "why"), [("part-1.csv", "a reason of some length")], empty="nothing")
    assert (len(text.getvalue().splitlines()) == 2) != is_terminal


@pytest.mark.parametrize("is_terminal", [True, False])
def test_json_is_written_as_it_is_whatever_is_in_it_and_however_wide(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read by programs: nothing in it is markup, a picture's name, or to be wrapped."""
    text = io.StringIO()
    monkeypatch.setattr(output, "out", output.console(file=text, width=20, force_terminal=is_terminal))
    value = {"pattern": "[a-z]+ [/b] [red]x", "key": "a:key:b", "long": "w " * 6000}
    output.print_json(value)
    assert json.loads(text.getvalue()) == value


def test_what_a_person_reads_has_no_pictures_for_words_between_colons() -> None:
    text = io.StringIO()
    console = output.console(file=text)
    for soft_wrap in (False, True):
        console.print("metric a:key:b", soft_wrap=soft_wrap)
    assert text.getvalue() == "metric a:key:b\n" * 2


WIDE = (
    ("run", "status", "dataset", "why"),
    [
        (
            "reviews-sentiment-00001",
            "failed",
            "9f2c1a0b77de",
            "one\ntwo three-four `sluice logs x --step y` five",
        ),
        ("reviews-sentiment-00002", "registered", "9f2c1a0b77de", None),
    ],
)


def shown(monkeypatch: pytest.MonkeyPatch, width: int, columns: Any, rows: Any) -> list[str]:
    text = io.StringIO()
    console = output.console(file=text, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(output, "out", console)
    output.print_table(columns, rows, empty="nothing")
    return text.getvalue().splitlines()


def test_what_does_not_fit_beside_a_row_stands_beneath_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, 50, *WIDE) == [
        "run                      status      dataset",
        "reviews-sentiment-00001  failed      9f2c1a0b77de",
        "    one two three-four `sluice logs x --step y`",
        "      five",
        "reviews-sentiment-00002  registered  9f2c1a0b77de",
    ]


def test_as_many_columns_as_needed_stand_beneath_a_row_with_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shown(monkeypatch, 40, *WIDE) == [
        "run                      status",
        "reviews-sentiment-00001  failed",
        "    dataset: 9f2c1a0b77de",
        "    why: one two three-four",
        "      `sluice logs x --step y` five",
        "reviews-sentiment-00002  registered",
        "    dataset: 9f2c1a0b77de",
    ]


def test_no_value_is_broken_however_narrow_a_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, 30, *WIDE) == [
        "reviews-sentiment-00001",
        "    status: failed",
        "    dataset: 9f2c1a0b77de",
        "    why: one two three-four",
        "      `sluice logs x --step y`",
        "      five",
        "reviews-sentiment-00002",
        "    status: registered",
        "    dataset: 9f2c1a0b77de",
    ]


def test_the_lines_of_a_value_are_one_where_a_row_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, 200, *WIDE)[1].endswith("one two three-four `sluice logs x --step y` five")


@pytest.mark.parametrize("width", [20, 40, 80])
def test_prose_is_wrapped_between_words_and_a_long_word_left_alone(width: int) -> None:
    text = io.StringIO()
    console = output.console(file=text, width=width, force_terminal=True, color_system=None)
    address = "s3://bucket/" + "x" * 100
    console.print(f"  [red]-[/] a reason of several words in {address} and more")
    lines = text.getvalue().splitlines()
    assert " ".join(line.strip() for line in lines) == f"- a reason of several words in {address} and more"
    assert all(len(line) <= width for line in lines if address not in line)
    assert all(line.startswith("    ") for line in lines[1:])


def test_no_color_is_no_bold_either(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, plain in (("1", True), ("", False)):
        monkeypatch.setenv("NO_COLOR", value)
        monkeypatch.setenv("TERM", "xterm-256color")
        text = io.StringIO()
        output.console(file=text, force_terminal=True).print("[bold]a[/] [dim]b[/] [red]c[/]")
        assert (text.getvalue() == "a b c\n") is plain


def test_what_acts_on_a_terminal_is_spelt_and_not_sent_to_it() -> None:
    """An object's key may hold anything."""
    text = io.StringIO()
    console = output.console(file=text, force_terminal=True, color_system=None)
    console.print(output.escape("a\x1b[31m\x9b[b]\tü😀"))
    assert text.getvalue() == "a\\x1b[31m\\x9b[b]\tü😀\n".expandtabs()


def test_what_is_no_text_is_spelt_as_the_terminal_would_refuse_it() -> None:
    """A file's name may be any bytes, and JSON may have half of a character."""
    said = output.printable(os.fsdecode(b"bad\xff.csv") + "\ud83d")
    assert said == "bad\\xff.csv\\ud83d"
    assert said.encode()


def test_columns_and_hints_are_spelt_too(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(["candidate", "a\x1bc"], [["train-0", 1]], empty="")
    output.hint("next: `sluice upload m a\x1bb.csv`")
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "a\\x1bc" in said.out


def test_a_duration_needs_both_ends() -> None:
    assert output.duration("2026-01-02T00:00:00.000Z", "2026-01-02T00:00:01.250Z") == "1.2s"
    assert output.duration("2026-01-02T00:00:00.000Z", None) == ""


def test_waiting_in_vain_says_for_what_and_what_to_look_at() -> None:
    with pytest.raises(CommandError, match="waited 0 s for a run to start in vain") as caught:
        waiting.until(lambda: None, timeout_s=0, what="a run to start")
    assert "sluice status" in caught.value.hint


def test_waiting_returns_what_is_found_even_when_it_is_false() -> None:
    assert waiting.until(lambda: False, timeout_s=0, what="anything") is False


def test_who_is_slow_to_answer_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    clock, took = [0.0], [0.03125, 0.125, 8.0, 0.0]
    monkeypatch.setattr("sluice_cli.waiting.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("sluice_cli.waiting.time.sleep", rests.append)

    def look() -> bool | None:
        clock[0] += took[len(rests)]
        return len(rests) == 3 or None

    assert waiting.until(look, timeout_s=60, what="anything")
    assert rests == [waiting.POLL_S, 0.5, 1.0]


def test_steps_are_timed_and_a_failed_one_keeps_its_reason() -> None:
    text = io.StringIO()
    steps = Steps(Console(file=text, width=120))
    with steps.step("upload") as step:
        step.detail = "1 object"
    with pytest.raises(ValueError, match="no model"), steps.step("train"):
        raise ValueError("no model")
    steps.failed()
    upload, train = text.getvalue().splitlines()
    assert upload.startswith("✔ upload")
    assert "1 object" in upload
    assert train.startswith("✘ train")
    assert train.endswith("no model")
    assert [step["name"] for step in steps.as_dicts()] == ["upload", "train"]
    assert "\x1b" not in text.getvalue()


def test_a_process_that_ignores_the_request_to_end_is_made_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "STOP_TIMEOUT_S", 0.2)
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        monkeypatch.setattr(cloud, "_started", set[int]())
        cloud.adopt(process)
        born = state_lock.birth(process.pid)
        assert cloud.is_alive(process.pid, born)
        cloud.stop_process(process.pid)
        assert not cloud.is_alive(process.pid, born)


def test_a_command_may_end_before_what_it_leaves_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "_started", set[int]())
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    pid = process.pid
    cloud.adopt(process)
    del process  # else it warns of a process that still runs, which is an error here
    gc.collect()
    assert cloud.is_alive(pid, state_lock.birth(pid))
    cloud.stop_process(pid)


@pytest.mark.parametrize(
    ("body", "shown"),
    [(b'{"a": 1}', {"a": 1}), (b"great", "great"), (b'{"a": NaN}', '{"a": NaN}'), (b"\xe4", "\ufffd")],
)
def test_an_answer_is_shown_as_json_only_if_it_is(body: bytes, shown: object) -> None:
    """What --json prints must be read by others than Python."""
    assert serving_commands._parse_body(body) == shown


def test_numbers_of_a_table_have_commas_and_other_values_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(
        ("rows", "version", "new"), [(1_462_865, "1462865", True), (12, "v2", None)], empty="none"
    )
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["1,462,865", "1462865", "True"],
        ["12", "v2"],
    ]


def test_a_run_of_a_story_names_who_pushed_its_project(capsys: pytest.CaptureFixture[str]) -> None:
    run: dict[str, Any] = dict.fromkeys(("actor", "cost_usd", "started_at", "ended_at", "cause", "source"))
    pushers = {"pushed_by": ["anna", "bert"], "project_version": "f33c474ebd4c00", "overrides": {}}
    story_page._print_run({**run, **pushers, "run_id": "m-00001"})
    assert "project f33c474ebd4c, pushed by anna, bert" in capsys.readouterr().out


def test_a_traceback_of_a_commands_error_tells_what_to_do_too() -> None:
    error = CommandError("the local cloud did not start", hint="Its log is cloud.log")
    assert "".join(traceback.format_exception(error)).endswith("did not start\nIts log is cloud.log\n")


def test_what_keeps_many_gates_from_being_judged_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    why = "the candidate's predictions were not written: let evaluate.script write them"
    bare = {"passed": True, "reason": "there is no champion", "uncompared": True}
    run_page.print_gates(
        [
            {"gate": "a >= 1", "passed": False, "reason": why},
            {"gate": "b >= 1", "passed": False, "reason": why},
            {
                "gate": "c >= 1",
                "passed": True,
                "reason": "2 passes with limit 1",
                "note": "evaluation.json has 3",
            },
            {"gate": "d better_than champion", **bare},
            {"gate": "e better_than champion", **bare},
        ]
    )
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        f"✘ a >= 1: {why}",
        "✘ b >= 1: as above",
        "✔ c >= 1: 2 passes with limit 1",
        "note: evaluation.json has 3",
        "✔ d better_than champion: there is no champion",
        "✔ e better_than champion: there is no champion",
    ]


@pytest.mark.parametrize(("value", "text"), [(0.77070063, "0.7707"), (45123.678, "45,124"), (1, "1")])
def test_a_metric_is_written_as_all_numbers_are(value: float, text: str) -> None:
    assert output.metric("rmse", value) == f"rmse {text}"
    assert leaderboard.metric_text(value) == text
