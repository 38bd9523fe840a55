"""`sluice monitor` judges what serves and shows how it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import fakes
from command_world import Hearing
from release_world import PIPELINE, Invoke
from sluice_cli import main, options
from watched_world import Watching


def target(watching: Watching) -> Hearing[Any]:
    return Hearing(watching.world, "MonitoringRequested", "monitor_endpoint")


@pytest.fixture
def watching(
    cloud: fakes.Cloud,
    invoke: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine_at_hand: None,
) -> Watching:
    found = Watching(cloud, invoke, tmp_path)
    monkeypatch.setattr(options.Options, "target", lambda self: target(found))
    return found


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["monitor", *arguments])


def test_run_judges_at_once_and_says_no_if_something_drifted(watching: Watching) -> None:
    watching.ask(200)
    watching.later(minutes=5)
    good = call("run", PIPELINE)
    assert good.exit_code == 0
    assert "production: 200 predictions" in good.stdout
    assert "ok" in good.stdout
    watching.ask(200, shift=0.6)
    watching.later(minutes=5)
    drifted = call("run", PIPELINE, "--json")
    assert drifted.exit_code == 3
    (judged,) = json.loads(drifted.stdout)["judged"]
    assert [window["status"] for window in judged["windows"]] == ["violated"]
    assert judged["labels"] == []


def test_of_too_few_predictions_it_says_how_many_there_are_and_how_many_it_takes(watching: Watching) -> None:
    watching.ask(1)
    watching.later(minutes=5)
    assert "production: 1 of 100 predictions" in call("run", PIPELINE).stdout
    assert "1 of 100" in call("show", PIPELINE).stdout
    (found,) = json.loads(call("show", PIPELINE, "--json").stdout)["stages"]
    assert (found["min_rows"], found["windows"][0]["rows"]) == (100, 1)


def test_of_a_window_without_requests_it_says_that_captured_ones_come_late(watching: Watching) -> None:
    watching.later(minutes=5)
    none = call("run", PIPELINE)
    assert "what was asked just now is in the next window" in " ".join(none.output.split())
    watching.ask(200)
    watching.later(minutes=5)
    some = call("run", PIPELINE)
    assert "what was asked just now" not in " ".join(some.output.split())


def test_show_lists_windows_newest_first_with_values_and_reasons(watching: Watching) -> None:
    labels = watching.ask(200, shift=0.6, accuracy=0.6)
    watching.later(hours=1, minutes=1)
    watching.watch()
    watching.upload(labels)
    (found,) = json.loads(call("show", PIPELINE, "--json").stdout)["stages"]
    assert found["windows"][0]["status"] == "violated"
    assert (found["labels"][0]["status"], found["labels"][0]["is_final"]) == ("violated", False)
    assert found["asked"] == ["drift"]
    said = call("show", PIPELINE).stdout
    assert "violated" in said
    assert "estimate" in said
    assert "200 of 200" in said
    assert "asked for a build: drift" in said


def test_a_page_is_offered_once_there_is_one(watching: Watching) -> None:
    said = call("show", PIPELINE).output
    assert "windows of 3600 s, none has begun yet" in said
    assert "--html" not in said
    assert f"`sluice monitor run {PIPELINE}` judges" in said
    watching.ask(200)
    watching.later(minutes=5)
    call("run", PIPELINE)
    assert f"`sluice monitor show {PIPELINE} --html` opens the report" in call("show", PIPELINE).output


def test_the_page_of_the_newest_window_is_saved(watching: Watching, tmp_path: Path) -> None:
    none = call("show", PIPELINE, "--out", str(tmp_path / "page.html"))
    assert none.exit_code == 1
    assert isinstance(none.exception, Exception)
    watching.ask(200)
    watching.later(hours=1, minutes=1)
    watching.watch()
    assert call("show", PIPELINE, "--out", str(tmp_path / "page.html")).exit_code == 0
    assert "<h1" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("monitor", "stage", "why"),
    [("", None, "is not watched"), ("monitor: {}\n", "staging", "nothing serves on reviews/staging")],
)
def test_what_is_not_watched_is_said_with_the_next_step(
    cloud: fakes.Cloud,
    invoke: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    monitor: str,
    stage: str | None,
    why: str,
) -> None:
    found = Watching(cloud, invoke, tmp_path, monitor=monitor)
    monkeypatch.setattr(options.Options, "target", lambda self: target(found))
    arguments: list[Any] = ["show", PIPELINE, *(["--stage", stage] if stage else [])]
    assert why in str(call(*arguments).exception)
