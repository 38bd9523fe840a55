"""`approve` and `reject` lead to a release, or say at once why not; `--wait` ends with a verdict."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

import fakes
from release_world import PIPELINE, PIPELINE_YAML, SAMPLE, World
from sluice.catalog import keys
from sluice.catalog.records.releases import Package, Release
from sluice.services import views
from sluice.services.views import awaited
from sluice_cli import decisions, lookup, main, options, serving_commands, stage_releases, versions, waiting
from sluice_cli.console import acts
from sluice_cli.errors import CommandError

APPROVE = ["approve", "--wait", "--json", "-m", "looks right"]
ANNA = "arn:aws:iam::123456789012:user/anna"
BEFORE = f"reviews/1 was approved before, at 2026-11-24T09:01:00.000Z by {ANNA}"
REFUSES = {"status_code": 500, "body": b"no luck", "content_type": "text/plain", "variant": None}


class Stack:
    """The stack of the fakes: what is written to the registry is heard and acted on at once."""

    stack = "sluice"

    def __init__(self, world: World) -> None:
        self.world = world
        self.cloud, self.catalog = world.cloud, world.cloud.catalog
        self.decided: list[str] = []
        self.caller = ANNA
        self.outputs = {"ReleaseModelStateMachineArn": "machine"}

    def call(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        if operation == "get_caller_identity":
            return {"Arn": self.caller}
        if operation == "start_execution":
            self.cloud.workflows.start("release", request["name"], json.loads(request["input"]))
            self.world.run_all()
            return {}
        arn = str(request.get("ModelPackageName") or request.get("ModelPackageArn"))
        package = self.world.cloud.registry.by_arn[arn]
        if operation == "describe_model_package":
            return package
        status = request["ModelApprovalStatus"]
        self.decided.append(status)
        fields = ["ModelApprovalStatus"] if package["ModelApprovalStatus"] != status else []
        self.world.later(minutes=1)
        self.world.decide(arn, status, self.caller)
        self.world.tell_decision(arn, status, fields)
        self.world.run_all()
        return {}


@pytest.fixture
def stack(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any], monkeypatch: pytest.MonkeyPatch) -> Stack:
    stack = Stack(World(cloud, invoke))
    monkeypatch.setattr(options.Options, "target", lambda self: stack)
    monkeypatch.setattr(lookup, "model_arn", lambda target, model: model)
    monkeypatch.setattr(awaited, "decisions", lambda cloud, pipeline: [])
    return stack


def run(command: list[str], arn: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(main.app, [*command, arn])
    assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit), (
        result.exception
    )
    # The functions that ran meanwhile may have logged there.
    return result.exit_code, json.loads(result.stdout[result.stdout.rindex('{\n  "model') :])


def registered(stack: Stack, number: int = 1) -> str:
    """A version that the catalog knows, as register_model leaves it."""
    arn = stack.world.register(number)
    run_id = f"{PIPELINE}-{number:05d}"
    evidence = stack.catalog.get(keys.run_key(PIPELINE, run_id)) or {}
    item = {"pipeline": PIPELINE, "group": PIPELINE, "version": number, "run_id": run_id}
    item["manifest_sha256"] = evidence["manifest_sha256"]
    stack.catalog.create({**keys.package_key(arn), **item})
    return arn


def test_an_approval_is_followed_to_the_end_of_its_own_release(stack: Stack) -> None:
    code, result = run(APPROVE, registered(stack))
    assert (code, result["release"]["status"]) == (0, "released")
    assert stack.decided == ["Approved"]


def test_who_approves_a_model_of_recalled_data_is_told(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views.recalls, "recalled_in", lambda *_: ["reviews/a.csv", "reviews/b.csv"])
    said = CliRunner().invoke(main.app, ["approve", registered(stack)]).stdout
    assert "it was trained with reviews/a.csv and 1 more, which were recalled" in " ".join(said.split())


def test_a_page_of_models_asks_for_remarks_on_what_it_shows_alone(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = [{"arn": registered(stack, number), "command": f"approve reviews/{number}"} for number in (1, 2)]
    stack.catalog.update(keys.pipeline_key(PIPELINE), {"group": PIPELINE})
    asked: list[Any] = []

    def remarked(cloud: Any, pipeline: str, found: list[Any], recalled: Any) -> list[Any]:
        asked.extend(found)
        return found

    monkeypatch.setattr(views.awaited, "decisions", lambda *_: waits)
    monkeypatch.setattr(views.awaited, "with_remarks", remarked)
    found = CliRunner().invoke(main.app, ["models", PIPELINE, "--limit", "1", "--json"])
    (row,) = json.loads(found.stdout)
    assert (row["version"], row["awaits"]) == (2, "approve reviews/2")
    assert asked == waits[1:]


def test_what_was_approved_before_and_is_not_live_is_released_again(stack: Stack) -> None:
    arn = registered(stack)
    stack.world.cloud.endpoints.responses = [REFUSES] * 4
    code, result = run(APPROVE, arn)
    assert (code, result["release"]["status"]) == (1, "failed")
    code, result = run(APPROVE, arn)
    assert (code, result["release"]["status"]) == (0, "released")
    assert "withdrawn and given anew" in result["note"]
    assert stack.decided == ["Approved", "PendingManualApproval", "Approved"]
    assert stack.world.live_version() == 1


def test_what_an_automatic_rollback_put_back_is_released_again_which_ends_the_hold(stack: Stack) -> None:
    world, arn = stack.world, registered(stack)
    run(APPROVE, arn)
    world.later(hours=1)
    run(APPROVE, registered(stack, 2))
    world.fire()
    world.tell_alarm()
    world.run_all()
    world.fire(state="OK")
    world.later(hours=1)
    code, result = run(APPROVE, arn)
    assert (code, result["release"]["status"], result["release"]["cause"]) == (0, "released", "approval")
    assert "serves only by an automatic rollback" in result["note"]
    code, result = run(APPROVE, arn)
    assert result["note"].endswith(", and is live on production: nothing to release")


def test_what_is_live_is_not_released_again_and_the_answer_comes_at_once(stack: Stack) -> None:
    arn = registered(stack)
    run(APPROVE, arn)
    code, result = run(APPROVE, arn)
    assert code == 0
    assert result["release"] is None
    assert result["note"] == f"{BEFORE}, and is live on production: nothing to release"
    assert stack.decided == ["Approved"]


def test_what_a_release_reached_is_said_and_the_stage_that_waits_for_a_person_is_the_next_step(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = registered(stack)
    waits = {"arn": arn, "stage": "production", "command": "approve reviews/1 --stage production"}
    monkeypatch.setattr(awaited, "decisions", lambda cloud, pipeline: [waits])
    said = CliRunner().invoke(main.app, ["approve", "--wait", arn]).output
    assert "released: v1 serves on production" in said
    assert "`sluice approve reviews/1 --stage production` releases it to production" in said


def test_what_was_released_can_be_asked_next_by_its_projects_sample(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = registered(stack)
    said = CliRunner().invoke(main.app, ["approve", "--wait", arn]).output
    assert "next: `sluice predict reviews --sample`" in said
    asked = []

    def answered(target: Any, endpoint: str, body: bytes, *types: str) -> dict[str, Any]:
        asked.append((endpoint, body, *types[:2]))
        return {"Body": io.BytesIO(b"[1]"), "InvokedProductionVariant": "v1"}

    monkeypatch.setattr(serving_commands, "invoke", answered)
    assert CliRunner().invoke(main.app, ["predict", "reviews", "--sample"]).exit_code == 0
    assert asked == [("sluice--reviews--production", SAMPLE, "application/json", "application/json")]
    both = CliRunner().invoke(main.app, ["predict", "reviews", "1", "--sample"])
    assert "not both" in str(both.exception)


def test_a_release_under_way_is_named_and_followed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = registered(stack)
    monkeypatch.setattr(stack.world, "run_all", lambda: None)
    stack.call("sagemaker", "update_model_package", ModelPackageArn=arn, ModelApprovalStatus="Approved")
    (execution,) = stack.world.waiting()
    release_id = execution.rpartition(":")[2]
    running = Release(PIPELINE, release_id, "approval", "running", "me", execution, "2026-11-24")
    stack.catalog.create(running.item())
    code, result = run(["approve", "--json"], arn)
    assert (code, result["release_id"]) == (0, release_id)
    assert "is under way" in result["note"]


def test_an_approval_whose_release_is_not_planned_yet_is_not_withdrawn(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a second terminal finds it: the execution was started, and the catalog has no release of it."""
    arn = registered(stack)
    monkeypatch.setattr(stack.world, "run_all", lambda: None)
    run(["approve", "--json"], arn)
    (execution,) = stack.world.waiting()
    code, result = run(["approve", "--json"], arn)
    assert (code, result["release_id"]) == (0, execution.rpartition(":")[2])
    assert result["note"] == f"{BEFORE}; {result['release_id']} is under way"
    assert stack.decided == ["Approved"]
    # No execution takes so long to plan: this one was lost.
    stack.world.later(seconds=decisions.HEARD_S)
    assert "withdrawn and given anew" in run(["approve", "--json"], arn)[1]["note"]


def on_stage(stack: Stack, arn: str) -> tuple[int, dict[str, Any]]:
    return run(["approve", "--wait", "--json", "--stage", "production"], arn)


def test_what_serves_on_a_stage_already_is_not_released_there_again(stack: Stack) -> None:
    arn = registered(stack)
    run(APPROVE, arn)
    since = stack.world.deployment(stack.world.stage()["live"])["promoted_at"]
    code, result = on_stage(stack, arn)
    assert (code, result["release"]) == (0, None)
    live = f"reviews/1 is live on production since {since}, released by {ANNA}"
    assert result["note"] == f"{live}: nothing to release"
    assert len(stack.world.releases()) == 1


def test_what_serves_only_until_another_version_is_there_is_released_after_that(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = serving(stack, 1)
    stack.world.plan(registered(stack, 2))
    monkeypatch.setattr(stage_releases, "start_release", lambda *_: "reviews-v1-0a1b2c3d")
    result = stage_releases.release_to(stack, arn, "production", "")  # type: ignore[arg-type]
    assert (result["release_id"], result.get("note")) == ("reviews-v1-0a1b2c3d", None)


def test_what_was_not_approved_is_released_to_no_stage_and_not_called_so(stack: Stack) -> None:
    arn = registered(stack)
    result = CliRunner().invoke(main.app, ["approve", "--stage", "production", arn])
    assert isinstance(result.exception, CommandError)
    assert "reviews/1 is PendingManualApproval, and a stage is for what was approved" in str(result.exception)
    assert (result.exception.hint, result.exception.exit_code) == (
        "`sluice approve reviews/1` approves it.",
        3,
    )
    assert "Approved" not in result.stdout
    assert not stack.world.waiting()


def test_what_is_on_its_way_to_a_stage_is_followed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    execution, _ = stack.world.plan(arn := registered(stack))
    release_id = execution.rpartition(":")[2]
    end = {"release_id": release_id, "status": "released", "reasons": []}
    monkeypatch.setattr(waiting, "this_release_end", lambda *_: end)
    code, result = on_stage(stack, arn)
    assert (code, result["release"]) == (0, end)
    assert result["note"] == f"{release_id} is under way to production already"


def test_a_release_that_another_command_was_quicker_with_counts_as_done(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = registered(stack)
    run(APPROVE, arn)
    # What this terminal saw was before that.
    see, seen = versions.settled, iter([list[Any]()])
    monkeypatch.setattr(versions, "settled", lambda *given: next(seen, see(*given)))
    code, result = on_stage(stack, arn)
    assert (code, result["release"]["status"]) == (0, "released")
    assert result["release"]["release_id"] == stack.world.stage()["live"]
    assert result["note"] == f"{stack.world.stage()['live']} was quicker, by {ANNA}"
    assert [each["status"] for each in stack.world.releases()].count("refused") == 1


def roll_back() -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(main.app, ["rollback", PIPELINE, "--wait", "--json"])
    return result.exit_code, json.loads(result.stdout[result.stdout.rindex('{\n  "') :])


def test_a_rollback_that_is_under_way_is_followed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    serving(stack, 1, 2)
    live = stack.world.stage()["live"]
    back = "reviews-v2-back-0a1b2c3d"
    stack.catalog.update(keys.stage_key(PIPELINE, "production"), {"releasing": back})
    stack.catalog.create(Release(PIPELINE, back, "command", "running", ANNA, "machine", "2026-11-24").item())
    end = {"release_id": back, "status": "released", "reasons": []}
    monkeypatch.setattr(waiting, "this_release_end", lambda *_: end)
    code, result = roll_back()
    assert (code, result["release"], result["takes_back"]) == (0, end, 2)
    assert result["note"] == f"{back} takes it back already since 2026-11-24, by {ANNA}"
    assert stack.world.stage()["live"] == live


def test_a_rollback_that_another_command_was_quicker_with_counts_as_done(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving(stack, 1, 2)
    row = lookup.stage_row(stack, PIPELINE, "production")  # type: ignore[arg-type]
    assert roll_back()[1]["release"]["package_version"] == 1
    # What this terminal saw was before that.
    monkeypatch.setattr(lookup, "stage_row", lambda *_: row)
    code, result = roll_back()
    assert (code, result["release"]["package_version"]) == (0, 1)
    assert result["release"]["release_id"] == stack.world.stage()["live"]
    assert result["note"] == f"{stack.world.stage()['live']} was quicker, by {ANNA} (unverified)"
    assert stack.world.live_version() == 1


def test_the_buttons_of_the_console_do_nothing_twice(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = serving(stack, 1, 2)
    target: Any = stack
    monkeypatch.setattr(lookup, "the_pipeline", lambda target, name: name)
    releases = len(stack.world.releases())
    said = acts.act(target, "release", {"model": arn, "stage": "production", "reason": "again"})
    assert said.endswith(f", released by {ANNA}: nothing to release")
    assert len(stack.world.releases()) == releases
    live = stack.world.stage()["live"]
    form = {"pipeline": PIPELINE, "stage": "production", "version": "2", "rolls_back": live, "reason": "bad"}
    assert acts.act(target, "roll-back", form).startswith("production is being rolled back from v2 (")
    assert stack.world.live_version() == 1
    with pytest.raises(CommandError, match="production serves v1 by now, so nothing was rolled back"):
        acts.act(target, "roll-back", form)
    stack.catalog.update(keys.stage_key(PIPELINE, "production"), {"live": None})
    with pytest.raises(CommandError, match="production serves nothing by now, so nothing was rolled back"):
        acts.act(target, "roll-back", form)


def test_a_decision_of_somebody_else_meanwhile_ends_the_wait(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = registered(stack)
    monkeypatch.setattr(versions, "status", lambda target, arn: "PendingManualApproval")
    monkeypatch.setattr(decisions, "_decide", lambda target, arn, status, reason: None)
    stack.catalog.update(
        keys.package_key(arn), {"approval_status": "Rejected", "approval_epoch": 1, "acted_epoch": 1}
    )
    seen = versions.own_package
    answers = iter([Package(arn, pipeline=PIPELINE)] * 2)
    monkeypatch.setattr(versions, "own_package", lambda target, arn: next(answers, None) or seen(target, arn))
    result = CliRunner().invoke(main.app, [*APPROVE, arn])
    assert "the version is Rejected by now" in str(result.exception)


def test_a_withdrawal_that_is_heard_late_is_no_other_decision(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people approve anew what failed: the second finds it withdrawn by the first, and approves it."""
    arn, world = registered(stack), stack.world
    world.cloud.endpoints.responses = [REFUSES] * 4
    run(APPROVE, arn)
    world.later(minutes=1)
    world.decide(arn, "PendingManualApproval", "arn:aws:iam::123456789012:user/bert")

    def decide(*_: object) -> None:
        world.tell_decision(arn, "PendingManualApproval")
        world.later(minutes=1)
        world.decide(arn, "Approved", ANNA)

    def hear(seconds: float) -> None:
        world.tell_decision(arn, "Approved")
        world.run_all()

    monkeypatch.setattr(decisions, "_decide", decide)
    monkeypatch.setattr("sluice_cli.waiting.time.sleep", hear)
    code, result = run(APPROVE, arn)
    assert (code, result["release"]["status"]) == (0, "released")


def test_who_withdraws_an_approval_that_another_gives_anew_follows_that_one(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack may hear of both at once, and then of no withdrawal."""
    arn, world = registered(stack), stack.world
    world.cloud.endpoints.responses = [REFUSES] * 4
    run(APPROVE, arn)
    decided: list[str] = []

    def decide(target: Any, arn: str, status: str, reason: str) -> None:
        decided.append(status)
        if status == "Approved":
            return  # it is already
        world.later(minutes=1)
        world.decide(arn, "Approved", "arn:aws:iam::123456789012:user/bert")
        what = {"UpdatedModelPackageFields": ["ModelApprovalStatus"], "LastModifiedTime": world.cloud.now.at}
        detail = {"ModelPackageArn": arn, "ModelApprovalStatus": "Approved", **what}
        world.invoke("record_approval", {"detail": detail})
        world.run_all()

    monkeypatch.setattr(decisions, "_decide", decide)
    monkeypatch.setattr(decisions, "HEARD_S", 0)
    monkeypatch.setattr(waiting, "POLL_S", 0)
    code, result = run(APPROVE, arn)
    assert (code, result["release"]["status"]) == (0, "released")
    assert result["release"]["actor"].endswith("user/bert")
    assert decided == ["PendingManualApproval"]


def test_a_rejection_meanwhile_is_not_overruled_by_an_approval_that_is_given_anew(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = registered(stack)
    stack.world.cloud.endpoints.responses = [REFUSES] * 4
    run(APPROVE, arn)
    decide = decisions._decide
    monkeypatch.setattr(
        decisions, "_decide", lambda target, arn, *_: decide(target, arn, "Rejected", "it is biased")
    )
    result = CliRunner().invoke(main.app, ["approve", arn])
    assert "the version is Rejected by now: somebody decided otherwise" in str(result.exception)
    assert stack.decided == ["Approved", "Rejected"]


def test_a_version_that_no_run_registered_is_refused(stack: Stack) -> None:
    arn = fakes.arn("sagemaker", "model-package/theirs/1")
    stack.catalog.create({**keys.package_key(arn), "group": "theirs", "version": 1})
    result = CliRunner().invoke(main.app, [*APPROVE, arn])
    assert "was not registered by this stack" in str(result.exception)


def test_a_wait_that_is_in_vain_says_for_what(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = registered(stack)
    monkeypatch.setattr(decisions, "HEARD_S", 0)
    monkeypatch.setattr(stack.world, "tell_decision", lambda *args: None)
    monkeypatch.setattr(waiting, "POLL_S", 0)
    result = CliRunner().invoke(main.app, [*APPROVE, arn])
    assert "waited 0 s for the stack to hear of the approval" in str(result.exception)


def test_what_was_rejected_before_is_said_with_where_it_is_live_all_the_same(stack: Stack) -> None:
    arn = registered(stack)
    run(APPROVE, arn)
    run(["reject", "--json"], arn)
    assert stack.world.live_version() == 1  # nothing to go back to
    code, result = run(["reject", "--json"], arn)
    assert code == 0
    assert result["note"].startswith(
        f"reviews/1 was rejected before, at 2026-11-24T09:02:00.000Z by {ANNA}, so "
    )
    assert "it is still live on production: `sluice rollback reviews --stage production`" in (result["note"])
    assert stack.decided == ["Approved", "Rejected"]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("approvals: 2", "how many of the 2 approvals that it needs count"),
        ("separation: true", "whether the approval counts, as who pushed the project must not"),
    ],
)
def test_an_approval_that_nobody_waits_for_says_that_it_may_not_be_enough(
    stack: Stack, cloud: fakes.Cloud, invoke: Callable[[str, Any], Any], rules: str, said: str
) -> None:
    cloud.catalog = stack.catalog = fakes.FakeCatalog()
    stack.world = World(cloud, invoke, f"{PIPELINE_YAML}  approval: {{{rules}}}\n")
    shown = CliRunner().invoke(main.app, ["approve", registered(stack)]).output
    assert f"next: `sluice status reviews` shows {said}" in " ".join(shown.split())


def test_two_people_approve_and_the_second_one_releases(
    stack: Stack, cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]
) -> None:
    cloud.catalog = stack.catalog = fakes.FakeCatalog()
    stack.world = World(cloud, invoke, f"{PIPELINE_YAML}  approval: {{approvals: 2}}\n")
    arn = registered(stack)
    code, result = run(APPROVE, arn)
    assert (code, result["release"]) == (0, None)
    assert "1 of 2 approvals" in result["note"]
    code, result = run(APPROVE, arn)
    assert "you approved it before; 1 of 2 approvals" in result["note"]
    refused = CliRunner().invoke(main.app, ["approve", "--stage", "production", arn]).exception
    assert f"reviews/1 has 1 of 2 approvals (by {ANNA}), and a stage is for" in str(refused)
    assert (stack.world.releases(), stack.world.waiting()) == ([], [])
    assert stack.decided == ["Approved"]
    stack.caller = "arn:aws:iam::123456789012:user/bert"
    code, result = run(APPROVE, arn)
    assert (code, result["release"]["status"]) == (0, "released")


# ---------------------------------------------------------------------------------------------- reject --wait

REJECT = ["reject", "--wait", "--json", "-m", "customers complain"]


def serving(stack: Stack, *numbers: int) -> str:
    """Versions that were released one after the other; returns the last one's ARN."""
    arn = ""
    for number in numbers:
        arn = registered(stack, number)
        assert run(APPROVE, arn)[0] == 0
        stack.world.later(hours=1)
    return arn


def test_a_rejection_is_followed_to_the_end_of_its_rollback(stack: Stack) -> None:
    code, result = run(REJECT, serving(stack, 1, 2))
    (release,) = result["releases"]
    assert (code, release["status"], release["package_version"], release["cause"]) == (
        0,
        "released",
        1,
        "rejection",
    )
    assert stack.world.live_version() == 1


def test_a_rejection_of_what_serves_nowhere_waits_for_nothing(stack: Stack) -> None:
    code, result = run(REJECT, registered(stack))
    assert (code, result["releases"], result["note"]) == (
        0,
        [],
        "it serves nowhere, so nothing is rolled back",
    )


def test_a_rejection_that_nothing_can_be_rolled_back_for_says_what_to_do(stack: Stack) -> None:
    found = CliRunner().invoke(main.app, ["reject", "--wait", serving(stack, 1)])
    assert found.exit_code == 3, found.exception
    assert "refused" in found.output
    assert f"sluice retire {PIPELINE} --stage production" in " ".join(found.output.split())


def refuse_while_time_passes(stack: Stack, monkeypatch: pytest.MonkeyPatch, answers: int) -> None:
    """Have endpoints refuse so many requests, and `reconcile` come by whenever the command waits."""
    stack.world.cloud.endpoints.responses = [REFUSES] * answers

    def pass_the_time(seconds: float) -> None:
        stack.world.later(minutes=5)
        stack.world.reconcile()
        stack.world.run_all()

    monkeypatch.setattr("sluice_cli.waiting.time.sleep", pass_the_time)


def test_a_rollback_that_fails_is_waited_for_until_another_attempt_succeeds(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = serving(stack, 1, 2)
    refuse_while_time_passes(stack, monkeypatch, 4)
    code, result = run(REJECT, arn)
    assert (code, result["releases"][0]["status"], stack.world.live_version()) == (0, "released", 1)
    assert [each["status"] for each in stack.world.releases()].count("failed") == 1


def test_a_rollback_that_keeps_failing_ends_with_the_last_attempt(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = serving(stack, 1, 2)
    refuse_while_time_passes(stack, monkeypatch, 100)
    code, result = run(REJECT, arn)
    assert (code, result["releases"][0]["status"]) == (1, "failed")
    assert [each["status"] for each in stack.world.releases()].count("failed") == 3


def test_the_next_step_of_a_rejection_is_what_shows_who_serves_instead(stack: Stack) -> None:
    arn = serving(stack, 1, 2)
    said = CliRunner().invoke(main.app, ["reject", "--wait", arn])
    assert f"sluice why {PIPELINE} --stage production" in " ".join(said.output.split())
    assert "rollback reviews-v2-" in said.output


def test_a_rejection_in_the_canary_waits_until_the_release_is_over(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version serves nowhere yet, and is on its way: what served before serves on."""
    serving(stack, 1)
    world, arn = stack.world, registered(stack, 2)
    execution_arn, _ = world.plan(arn)
    assert execution_arn.endswith(world.stage()["releasing"])
    monkeypatch.setattr(world, "run_all", lambda: None)
    waited: list[float] = []

    def end_the_release(seconds: float) -> None:
        waited.append(seconds)
        world.cloud.catalog.update(
            keys.stage_key(PIPELINE, "production"), {"releasing": None, "tried_at": world.cloud.now()}, None
        )

    monkeypatch.setattr("sluice_cli.waiting.time.sleep", end_the_release)
    code, result = run(REJECT, arn)
    assert len(waited) == 1
    assert (code, [each["package_version"] for each in result["releases"]]) == (0, [1])
