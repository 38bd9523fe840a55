"""`sluice history`, `timeline` and `why`: in words, as JSON, and by their exit codes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

import fakes
import release_world
from command_world import Stack
from release_world import ENDPOINT, PIPELINE, World
from sluice_cli import main, options, output, story_page
from sluice_cli.errors import EXIT_REJECTED, CommandError
from sluice_cli.moments import a_time

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: release_world.Invoke, monkeypatch: pytest.MonkeyPatch) -> World:
    """A version that an alarm put back in the place of the next one."""
    monkeypatch.setattr(options.Options, "target", lambda self: Stack(cloud))
    return World.of_rollback(cloud, invoke)


def said(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main.app, list(words))
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def told(*words: str, code: int = 0) -> Any:
    return json.loads(said(*words, "--json", code=code))


def test_the_history_is_a_table_with_what_serves_now_first(world: World) -> None:
    lines = said("history", PIPELINE).splitlines()
    assert lines[0].split()[:3] == ["stage", "model", "from"]
    assert [("now" in line, "alarm" in line) for line in lines[1:]] == [
        (True, True),
        (False, False),
        (False, False),
    ]
    assert [row["version"] for row in told("history", PIPELINE)] == [1, 2, 1]


def test_what_served_at_a_time_is_a_sentence(world: World) -> None:
    _, second, _ = told("history", PIPELINE)
    text = said("history", PIPELINE, "--at", second["from"], "--stage", "production")
    assert text.startswith(f"production: {PIPELINE}/2 served at ")
    assert f"({second['release_id']})" in text
    assert "and still does" in said("history", PIPELINE, "--at", world.cloud.now.at)


def test_a_time_before_all_releases_is_told_by_the_exit_code_too(world: World) -> None:
    text = said("history", PIPELINE, "--at", "2001-02-03T04:05", code=EXIT_REJECTED)
    assert text == "production: nothing served at 2001-02-03 04:05:00 UTC\n"
    assert told("history", PIPELINE, "--at", "2001-02-03", code=EXIT_REJECTED)[0]["version"] is None


def test_of_a_time_to_come_nothing_is_said(world: World) -> None:
    result = CliRunner().invoke(main.app, ["history", PIPELINE, "--at", "2999-01-01"])
    assert str(result.exception) == "2999-01-01 00:00:00 UTC is yet to come"
    assert result.exit_code != 0


def test_the_timeline_goes_on_behind_an_entry(world: World) -> None:
    whole = told("timeline", PIPELINE)
    first = told("timeline", PIPELINE, "--limit", "2")
    assert first == whole[:2]
    assert told("timeline", PIPELINE, "--limit", "2", "--after", first[-1]["id"]) == whole[2:4]
    result = CliRunner().invoke(main.app, ["timeline", PIPELINE, "--limit", "2"])
    assert f"timeline {PIPELINE} --after '{first[-1]['id']}'" in result.stderr
    assert "rolled back" in said("timeline", PIPELINE)
    assert said("timeline", PIPELINE, "--since", "2090-01-01").startswith("nothing happened since 2090-01-01")


def test_why_tells_the_story_in_order(world: World) -> None:
    text = said("why", PIPELINE)
    assert text.startswith(f"{PIPELINE}/1 serves on production since ")
    heads = ["data", "run", "candidates", "gates", "approvals", "releases", "since then"]
    at = [text.index(f"\n{head}\n") for head in heads]
    assert at == sorted(at)
    assert "Approved by arn:aws:iam::123456789012:user/anna" in text
    assert "released, by its approval, arn:aws:iam::123456789012:user/anna" in text
    assert "rolled back to this version, as the alarm sluice--reviews--production--error-rate fired" in text
    assert "all at once, 60 s of bake" in text
    assert "held for " in text
    assert "so no alarm rolls back further" in " ".join(text.split())
    assert f"`sluice approve {PIPELINE}/1 --stage production` ends that" in " ".join(text.split())
    assert told("why", PIPELINE)["serves"]["version"] == 1


def test_no_line_is_wider_than_a_terminal_but_for_words_that_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.out, "width", 80)
    for words in (("why",), ("timeline",), ("history",), ("history", "--at", world.cloud.now.at)):
        for line in said(words[0], PIPELINE, *words[1:]).splitlines():
            assert len(line) <= 80 or max(map(len, line.split())) > 60, line


def test_an_endpoint_that_deviates_is_said_with_the_way_back(world: World) -> None:
    world.cloud.endpoints.delete_endpoint(ENDPOINT)
    world.invoke("verify_endpoint", {"detail": {"EndpointName": ENDPOINT}})
    text = said("why", PIPELINE, code=EXIT_REJECTED)
    assert f"the endpoint {ENDPOINT} does not exist" in text
    assert "`sluice approve reviews/1 --stage production` puts this version back" in text


def test_a_stage_that_is_not_there_is_wrong_use_and_names_those_that_are(world: World) -> None:
    for words in (("why", PIPELINE, "--stage", "prod"), ("history", PIPELINE, "--stage", "prod")):
        result = CliRunner().invoke(main.app, list(words))
        assert isinstance(result.exception, CommandError)
        assert "production" in result.exception.hint


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("90m", "2026-11-29T10:30:00.000Z"),
        ("7d", "2026-11-22T12:00:00.000Z"),
        ("2 h ago", "2026-11-29T10:00:00.000Z"),
        ("2026-11-29", "2026-11-29T00:00:00.000Z"),
        ("2026-11-29T08:30", "2026-11-29T08:30:00.000Z"),
        ("2026-11-29T08:30+02:00", "2026-11-29T06:30:00.000Z"),
    ],
)
def test_a_time_is_read_as_people_type_it(text: str, time: str) -> None:
    assert a_time(text, NOW) == time


@pytest.mark.parametrize("text", ["", "yesterday", "7y", "2026-13-01", "0001-01-01T00:00+23:59"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(CommandError) as refused:
        a_time(text, NOW)
    assert "2026-11-29T08:30" in refused.value.hint


def test_a_version_that_waits_is_listed_with_since_when_and_the_command(world: World) -> None:
    world.register(3)
    (first, *_) = told("models", PIPELINE)
    assert (first["awaits"], first["awaits_since"]) == (f"approve {PIPELINE}/3", first["created_at"])
    assert re.search(rf"sluice approve {PIPELINE}/3 \(for \d+\w\)", said("models", PIPELINE))


# --------------------------------------------------------------------------------- a version for a pipeline


@pytest.mark.parametrize("spelling", ["{p}/1", "{p}/v1", "{p}/{p}/1", "{arn}"])
def test_why_takes_every_spelling_of_a_version(world: World, spelling: str) -> None:
    arn = next(arn for arn in world.cloud.registry.by_arn if arn.endswith("/1"))
    named = spelling.format(p=PIPELINE, arn=arn)
    assert told("why", named) == told("why", PIPELINE) == told("why", named, "--stage", "production")
    assert told("manifest", "show", named) == told("manifest", "show", f"{PIPELINE}/1")


def test_why_a_version_that_does_not_serve_is_refused_with_what_tells_of_it(world: World) -> None:
    result = CliRunner().invoke(main.app, ["why", f"{PIPELINE}/2"])
    assert isinstance(result.exception, CommandError)
    assert (result.exception.exit_code, str(result.exception)) == (3, f"{PIPELINE}/2 serves nowhere")
    assert f"`sluice lineage {PIPELINE}/2`" in result.exception.hint


def test_why_a_version_on_a_stage_where_it_does_not_serve_says_where_it_does(world: World) -> None:
    result = CliRunner().invoke(main.app, ["why", f"{PIPELINE}/1", "--stage", "staging"])
    assert str(result.exception) == f"{PIPELINE}/1 serves on production, and not on staging"


@pytest.mark.parametrize(
    "command", [["history"], ["timeline"], ["status"], ["rollback"], ["scale", "--count", "1"]]
)
def test_what_takes_a_pipeline_says_so_of_a_version(world: World, command: list[str]) -> None:
    result = CliRunner().invoke(main.app, [*command[:1], f"{PIPELINE}/1", *command[1:]])
    assert isinstance(result.exception, CommandError)
    assert (result.exception.exit_code, str(result.exception)) == (
        2,
        f"{PIPELINE}/1 is a version, and this asks for a pipeline",
    )
    assert PIPELINE in result.exception.hint


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    "command",
    ["rollback", "history", "why", "pin", "scale --min 1 --max 2", "retire --yes", "predict", "monitor show"],
)
def test_an_unknown_stage_suggests_the_nearest(command: str) -> None:
    first, *others = command.split(" --")
    options = [word for each in others for word in f"--{each}".split()]
    body = ["{}"] if first == "predict" else []
    error = (
        CliRunner()
        .invoke(main.app, [*first.split(), PIPELINE, *body, *options, "--stage", "prodction"])
        .exception
    )
    assert isinstance(error, CommandError), error
    assert str(error).endswith("; did you mean 'production'?")


@pytest.mark.parametrize(
    ("changes", "is_compared"), [({"new": 2}, False), ({"new": 1}, True), ({"new": 2, "deleted": 1}, True)]
)
def test_a_first_data_set_is_compared_with_none_before(
    changes: dict[str, int], is_compared: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"version": "ab" * 32, "created_at": "2026-11-24T11:00:00Z", "objects": 2, "rows": 9}
    story_page._print_data({**data, "changes": changes, "checks": None})
    assert ("data set before" in capsys.readouterr().out) is is_compared
