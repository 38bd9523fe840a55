"""Each thing that a person should know is one sentence, a reason, and a command that runs as it stands."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from typer.main import get_command

from sluice.catalog.records.notices import Notice
from sluice.domain.notices import making
from sluice.domain.notices.making import Told
from sluice.domain.notices.place import Place
from sluice_cli.main import app

AT = "2026-11-29T09:00:00.000Z"
MACHINE = "arn:aws:states:eu-central-1:123456789012:execution:sluice-build-model:reviews-00003"
REVIEWS = {"stack": "sluice", "pipeline": "reviews"}
RUN = {**REVIEWS, "run_id": "reviews-00003", "reasons": ["JobFailedError: no luck"], "ended_at": AT}
RELEASE = {
    **REVIEWS,
    "release_id": "reviews-v3-ab",
    "package_version": 3,
    "stages": ["production"],
    "reasons": ["alarm"],
    "execution_arn": MACHINE,
    "ended_at": AT,
}
STAGE = {
    **REVIEWS,
    "stage": "production",
    "release_id": "reviews-v3-ab",
    "reason": "somebody changed it",
    "at": AT,
}
WINDOW = {
    **STAGE,
    "judged": "requests",
    "start": "2026-11-29T08:00:00.000Z",
    "end": AT,
    "status": "violated",
    "is_estimate": False,
    "reasons": ["drift: age: psi 0.4 > 0.2"],
    "report_uri": "s3://sluice-artifacts/monitoring/reviews/report.html",
}
TRANSFORM = {
    **STAGE,
    "transform_id": "reviews-t1",
    "package_version": 3,
    "status": "failed",
    "key": "in/new.csv",
    "inputs": 1,
    "output_uri": "s3://out/reviews/new.csv.out",
    "ended_at": AT,
}
ALARM = {
    "alarmName": "sluice_dead-letters",
    "state": {"value": "ALARM", "reason": "1 datapoint [2.0]", "timestamp": "2026-11-29T09:00:00.000+0000"},
    "configuration": {"description": "Events wait in the dead-letter queue. Next: aws sqs receive-message"},
}
# What happened, the kind that it is told as, and the words that a reader looks for.
TOLD: list[tuple[str, dict[str, Any], str, str, str]] = [
    (
        "RunEnded",
        {**RUN, "status": "failed"},
        "run_failed",
        "reviews-00003 failed",
        "sluice logs reviews-00003",
    ),
    (
        "RunEnded",
        {**RUN, "status": "data_rejected", "report_uri": "s3://b/datasets/r/report.json"},
        "data_rejected",
        "New data of reviews were rejected",
        "sluice report reviews-00003",
    ),
    (
        "ApprovalAwaited",
        {**REVIEWS, "model": "reviews/3", "package_arn": "arn", "run_id": "reviews-00003", "at": AT},
        "approval_awaited",
        "reviews/3 waits for approval",
        "sluice approve reviews/3",
    ),
    (
        "ApprovalAwaited",
        {**REVIEWS, "model": "reviews/3", "package_arn": "arn", "stage": "production", "at": AT},
        "approval_awaited",
        "reviews/3 waits to be released to production",
        "sluice approve reviews/3 --stage production",
    ),
    (
        "ReleaseEnded",
        {**RELEASE, "outcome": "failed"},
        "release_failed",
        "of reviews v3 to production failed",
        "status",
    ),
    (
        "ReleaseEnded",
        {**RELEASE, "outcome": "refused"},
        "release_refused",
        "was refused",
        "sluice status reviews",
    ),
    (
        "ReleaseEnded",
        {**RELEASE, "outcome": "refused", "package_version": None, "stages": [], "release_id": "reviews-r3"},
        "release_refused",
        "The release of reviews was refused.",
        "sluice status reviews",
    ),
    (
        "ReleaseEnded",
        {**RELEASE, "outcome": "rolled_back", "replaced_version": 4, "release_id": "reviews-r4"},
        "rolled_back",
        "reviews was rolled back from v4: production serves reviews v3.",
        "status",
    ),
    (
        "ReleaseEnded",
        {**RELEASE, "outcome": "rolled_back"},
        "rolled_back",
        "production serves reviews v3",
        "status",
    ),
    (
        "ReleaseEnded",
        {**RELEASE, "outcome": "rollback_failed"},
        "rollback_failed",
        "on production failed",
        "status",
    ),
    (
        "ReleaseEnded",
        {**RELEASE, "outcome": "rollback_refused", "release_id": "reviews-r2", "stages": []},
        "rollback_failed",
        "The rollback of reviews was refused.",
        "status",
    ),
    ("RollbackImpossible", STAGE, "rollback_impossible", "cannot be rolled back", "sluice models reviews"),
    (
        "RollbackImpossible",
        {**STAGE, "why": "held"},
        "rollback_impossible",
        "a person decides",
        "sluice models reviews",
    ),
    (
        "EndpointDeviated",
        {**STAGE, "command": "approve reviews/3 --stage production"},
        "endpoint_deviated",
        "does not serve what was released",
        "sluice approve reviews/3 --stage production",
    ),
    (
        "EndpointRestored",
        STAGE,
        "endpoint_deviated",
        "serves again what was released",
        "sluice status reviews",
    ),
    (
        "MonitoringJudged",
        WINDOW,
        "drift",
        "is not what its model was trained for",
        "sluice monitor show reviews",
    ),
    (
        "MonitoringJudged",
        {**WINDOW, "judged": "labels"},
        "decay",
        "worse by its labels",
        "monitor show reviews",
    ),
    (
        "BudgetReached",
        {**REVIEWS, "reason": "daily budget of 10 used", "until": "2026-11-30T00:00:00.000Z", "at": AT},
        "budget_reached",
        "wait for their budget until 2026-11-30",
        "sluice start reviews",
    ),
    (
        "TransformEnded",
        TRANSFORM,
        "batch_failed",
        "in/new.csv was not scored: reviews v3 on production.",
        "sluice batch run reviews in/new.csv",
    ),
    (
        "TransformEnded",
        {**TRANSFORM, "transform_id": "reviews-t2", "key": None, "inputs": 7},
        "batch_failed",
        "7 files were not scored: reviews v3 on production.",
        "sluice batch list reviews",
    ),
    (
        "TransformEnded",
        {**TRANSFORM, "transform_id": "reviews-t3", "status": "completed"},
        "batch_failed",
        "The results of reviews-t3 are not complete: reviews v3 on production.",
        "sluice batch list reviews",
    ),
    (
        "BatchRefused",
        {**REVIEWS, "key": "in/new.csv", "version_id": "v1", "reasons": ["it has no column x"], "at": AT},
        "batch_failed",
        "in/new.csv was set aside",
        "sluice batch list reviews",
    ),
    (
        making.ALARM_CHANGED,
        ALARM,
        "dead_letters",
        "Events wait in the dead-letter queue.",
        "aws sqs receive-message",
    ),
    (
        making.ALARM_CHANGED,
        {
            **ALARM,
            "alarmName": "sluice_errors-of-start_build",
            "configuration": {"description": "A function."},
        },
        "alarm",
        "start_build has failed for a quarter of an hour.",
        "sluice logs --function start_build",
    ),
    (
        "NoticeTested",
        {"stack": "sluice", "request_id": "1", "at": AT},
        "test",
        "a test",
        "sluice notify list",
    ),
]
IDS = [f"{detail_type} {kind}" for detail_type, _, kind, _, _ in TOLD]


def notice(detail_type: str, detail: dict[str, Any], stack: str = "sluice", at: str = AT) -> Notice:
    made = making.notice_of(Told(detail_type, detail, at, Place(stack, "eu-central-1")))
    assert made is not None
    return made


@pytest.mark.parametrize(("detail_type", "detail", "kind", "title", "command"), TOLD, ids=IDS)
def test_what_happened_is_one_sentence_with_the_command_that_comes_next(
    detail_type: str, detail: dict[str, Any], kind: str, title: str, command: str
) -> None:
    made = notice(detail_type, detail)
    assert made.kind == kind
    assert title in made.title
    assert re.fullmatch(r"[A-Za-z0-9][^\n]*\.", made.title)
    assert command in str(made.command)


@pytest.mark.parametrize("detail_type", sorted({each[0] for each in TOLD}))
def test_a_helper_that_tells_nothing_but_its_pipeline_is_still_told_of(detail_type: str) -> None:
    """Other parts of the stack announce some of these; what they leave out must not lose the notice."""
    made = making.notice_of(
        Told(detail_type, {"stack": "sluice", "pipeline": "reviews"}, AT, Place("sluice", "r"))
    )
    assert made is None or made.title


@cache
def _command() -> Any:
    return get_command(app)


@pytest.mark.parametrize(("detail_type", "detail"), [each[:2] for each in TOLD], ids=IDS)
def test_a_command_exists_and_takes_what_it_is_given(detail_type: str, detail: dict[str, Any]) -> None:
    words = str(notice(detail_type, detail).command).split()
    if words[0] != "sluice":
        return
    command, rest = _command(), words[1:]
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context("sluice", rest)  # raises a usage error


def test_a_command_names_a_stack_that_is_not_the_usual_one() -> None:
    detail_type, detail, *_ = TOLD[0]
    assert notice(detail_type, detail, "two").command == "sluice --stack two logs reviews-00003"


@pytest.mark.parametrize(
    ("stack", "command"), [("sluice", "sluice status"), ("two", "sluice --stack two status")]
)
def test_an_alarms_command_which_names_its_stack_does_so_too(stack: str, command: str) -> None:
    said = {"description": f"Three runs have failed within an hour. Next: sluice --stack {stack} status"}
    assert notice(making.ALARM_CHANGED, {**ALARM, "configuration": said}, stack).command == command


@pytest.mark.parametrize(("detail_type", "detail"), [each[:2] for each in TOLD], ids=IDS)
def test_the_same_thing_has_the_same_key_however_late_and_often_it_is_told(
    detail_type: str, detail: dict[str, Any]
) -> None:
    first = notice(detail_type, detail)
    assert notice(detail_type, detail, at="2026-11-30T23:00:00.000Z").key == first.key


def test_different_things_have_different_keys() -> None:
    keys = [notice(detail_type, detail).key for detail_type, detail, *_ in TOLD]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("detail_type", "detail"),
    [
        ("RunEnded", {**RUN, "status": "registered"}),
        ("RunEnded", {**RUN, "status": "rejected"}),
        ("ReleaseEnded", {**RELEASE, "outcome": "released"}),
        ("TransformEnded", {**TRANSFORM, "is_split": True}),
        ("TransformEnded", {**TRANSFORM, "status": "completed", "reason": None}),
        ("MonitoringJudged", {**WINDOW, "is_estimate": True}),
        ("MonitoringJudged", {**WINDOW, "status": "not_enough_data"}),
        (making.ALARM_CHANGED, {**ALARM, "state": {"value": "INSUFFICIENT_DATA"}}),
        ("ProjectRegistered", REVIEWS),
    ],
)
def test_what_asks_nobody_for_anything_is_not_told(detail_type: str, detail: dict[str, Any]) -> None:
    assert making.notice_of(Told(detail_type, detail, AT, Place("sluice", "eu-central-1"))) is None


@pytest.mark.parametrize(
    ("began", "ended"),
    [
        (("MonitoringJudged", WINDOW), ("MonitoringJudged", {**WINDOW, "status": "ok", "reasons": []})),
        (("EndpointDeviated", STAGE), ("EndpointRestored", STAGE)),
        (
            (making.ALARM_CHANGED, ALARM),
            (making.ALARM_CHANGED, {**ALARM, "state": {**ALARM["state"], "value": "OK"}}),  # type: ignore[dict-item]
        ),
    ],
)
def test_what_is_over_ends_the_trouble_that_began(
    began: tuple[str, dict[str, Any]], ended: tuple[str, dict[str, Any]]
) -> None:
    first, last = notice(*began), notice(*ended)
    assert (first.is_over, last.is_over) == (False, True)
    assert first.trouble == last.trouble is not None
    assert first.key != last.key


def test_a_reason_is_short_however_long_what_it_says() -> None:
    made = notice("RunEnded", {**RUN, "status": "failed", "reasons": ["x" * 5000] * 20})
    assert 0 < len(made.reason) <= 600


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "eu-central-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_a_link_leads_to_the_console_of_its_partition(region: str, host: str) -> None:
    place = Place("sluice", region)
    assert str(place.execution(MACHINE)).startswith(f"https://{host}/states/home?region={region}#")
    assert (
        place.object("s3://b/a b/c.html") == f"https://{host}/s3/object/b?region={region}&prefix=a%20b/c.html"
    )
    assert place.object("https://elsewhere") is None
