"""Whoever decides first has decided: the named changes, over random interleavings of those who write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
from sluice.catalog import keys
from sluice.catalog.changes import Change, Delete, Put, Update, arrivals, builds, progress, releases, tasks
from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.builds import JobTask, Pipeline, Project, Run, RunEnd, Step
from sluice.catalog.records.progress import Hashing
from sluice.catalog.records.releases import Approval, Deployment, Package, Release, ReleaseEnd, Stage

PIPELINE, RUN, STAGE = "reviews", "reviews-00001", "production"
AT = "2026-11-28T09:00:00.000Z"
ARN = fakes.arn("sagemaker", "model-package/group/1")


def catalog_of(*records: Any) -> fakes.FakeCatalog:
    catalog = fakes.FakeCatalog()
    for record in records:
        assert catalog.create(record.item())
    return catalog


def applied(catalog: fakes.FakeCatalog, changes: Sequence[Change]) -> list[bool]:
    return [catalog.apply(change) for change in changes]


def run_of(catalog: fakes.FakeCatalog) -> Run:
    return Run.of(catalog.get(keys.run_key(PIPELINE, RUN)) or {})


def stage_of(catalog: fakes.FakeCatalog) -> Stage:
    return Stage.of(catalog.get(keys.stage_key(PIPELINE, STAGE)) or {})


def pipeline_of(catalog: fakes.FakeCatalog) -> Pipeline:
    return Pipeline.of(catalog.get(keys.pipeline_key(PIPELINE)) or {})


# ------------------------------------------------------------------------------------------------- builds

RUN_ENDS = st.builds(
    builds.end_run,
    st.just(PIPELINE),
    st.just(RUN),
    st.sampled_from(get_args(RunEnd)),
    st.lists(st.text(max_size=3), max_size=2),
    st.just(AT),
)
WHAT_A_RUN_DOES = st.one_of(
    st.builds(builds.reach, st.just(PIPELINE), st.just(RUN), st.just("judged"), st.text(min_size=1)),
    st.builds(builds.record_execution, st.just(PIPELINE), st.just(RUN), st.just("arn")),
    st.builds(builds.read_data, st.just(PIPELINE), st.just(RUN), st.just("d1")),
    st.builds(builds.register_model, st.just(PIPELINE), st.just(RUN), st.just(ARN), st.just("s3"), st.none()),
    st.builds(builds.tell_end, st.just(PIPELINE), st.just(RUN), st.just(AT)),
)


@given(ends=st.lists(RUN_ENDS, min_size=1), others=st.lists(WHAT_A_RUN_DOES), data=st.data())
def test_no_two_ends_of_a_run_both_succeed(
    ends: list[Update], others: list[Update], data: st.DataObject
) -> None:
    catalog = catalog_of(Run(PIPELINE, RUN, "running", "v1", AT))
    order = data.draw(st.permutations([*ends, *others]))
    results = applied(catalog, order)
    counted = [change for change, done in zip(order, results, strict=True) if done and change in ends]
    first = next(change for change in order if change in ends)
    assert len(counted) == 1
    assert run_of(catalog).status == first.set["status"]
    assert list(run_of(catalog).reasons) == first.set["reasons"]


def test_a_run_that_never_was_does_not_end() -> None:
    catalog = fakes.FakeCatalog()
    assert not catalog.apply(builds.end_run(PIPELINE, RUN, "failed", [], AT))
    assert not catalog.items


def test_a_run_is_started_once() -> None:
    run = Run(PIPELINE, RUN, "running", "v1", AT)
    assert applied(fakes.FakeCatalog(), [builds.start_run(run)] * 2) == [True, False]


@given(times=st.lists(st.text(min_size=1), min_size=1))
def test_the_first_attempt_at_a_milestone_says_when_it_was(times: list[str]) -> None:
    catalog = catalog_of(Run(PIPELINE, RUN, "running", "v1", AT))
    results = applied(catalog, [builds.reach(PIPELINE, RUN, "validated", at) for at in times])
    assert results == [True] + [False] * (len(times) - 1)
    assert run_of(catalog).validated_at == times[0]


@given(
    seqs=st.lists(st.sampled_from(["claim", "stale claim", "unlock", "unlock of another"]), max_size=20),
)
def test_the_build_lock_is_held_by_one_run_at_a_time_and_no_number_is_given_twice(seqs: list[str]) -> None:
    catalog = fakes.FakeCatalog()
    assert catalog.apply(builds.make_pipeline(Pipeline(PIPELINE, "v1")))
    stale, numbers = pipeline_of(catalog), list[int]()
    for what in seqs:
        now = pipeline_of(catalog)
        if what.startswith("unlock"):
            holder = now.in_flight if what == "unlock" else "nobody-00009"
            done = catalog.apply(builds.release_build_lock(PIPELINE, str(holder)))
            assert done is (now.in_flight is not None and holder == now.in_flight)
            continue
        seen = now if what == "claim" else stale
        run_id = f"reviews-{seen.build_seq + 1:05d}"
        claim = builds.claim_build(seen, run_id, "new objects", AT, budget_day="2026-11-28", budget_used=1)
        done = catalog.apply(claim)
        assert done is (now.in_flight is None and seen.build_seq == now.build_seq)
        numbers += [seen.build_seq + 1] if done else []
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_claim_says_what_is_built_and_what_a_skipped_run_puts_back() -> None:
    catalog = fakes.FakeCatalog()
    catalog.apply(
        builds.make_pipeline(Pipeline(PIPELINE, "v1", project_content="c1", last_build_at="before"))
    )
    catalog.apply(builds.request_build(PIPELINE, AT))
    before = pipeline_of(catalog)
    assert catalog.apply(
        builds.claim_build(before, RUN, "new objects", AT, budget_day="2026-11-28", budget_used=3)
    )
    claimed = pipeline_of(catalog)
    assert (claimed.in_flight, claimed.build_seq, claimed.build_requested_for) == (RUN, 1, None)
    assert (claimed.built_project_version, claimed.built_content) == ("v1", "c1")
    assert catalog.apply(builds.release_build_lock(PIPELINE, RUN, skipped=claimed))
    freed = pipeline_of(catalog)
    assert (freed.in_flight, freed.budget_used, freed.last_build_at) == (None, 2, "before")


def test_data_become_the_base_of_later_ones_only_while_their_run_holds_the_lock() -> None:
    catalog = catalog_of(Pipeline(PIPELINE, "v1", in_flight="reviews-00002"))
    assert not catalog.apply(builds.base_on(PIPELINE, "d1", RUN))
    assert catalog.apply(builds.base_on(PIPELINE, "d2", "reviews-00002"))
    assert pipeline_of(catalog).dataset_version == "d2"


def test_of_two_pushes_that_saw_the_same_project_one_is_activated() -> None:
    catalog = catalog_of(Pipeline(PIPELINE, "v1", project_pushed_at="1", build_requested_for=AT))
    pushes = [
        builds.activate_project(Pipeline(PIPELINE, version, project_pushed_at=at), "1")
        for version, at in (("v2", "2"), ("v3", "3"))
    ]
    assert applied(catalog, pushes) == [True, False]
    assert pipeline_of(catalog).project_version == "v2"
    assert pipeline_of(catalog).build_requested_for is None


def test_a_refusal_replaces_a_refusal_and_never_an_active_project() -> None:
    def refuse(catalog: fakes.FakeCatalog, reason: str) -> bool:
        changes = builds.refuse_project(Project(PIPELINE, "v1", "refused", reasons=[reason]))
        return any(catalog.apply(change) for change in changes)

    def project(catalog: fakes.FakeCatalog) -> Project:
        return Project.of(catalog.get(keys.project_key(PIPELINE, "v1")) or {})

    catalog = fakes.FakeCatalog()
    assert refuse(catalog, "one")
    assert refuse(catalog, "two")
    assert project(catalog) == Project(PIPELINE, "v1", "refused", reasons=["two"])
    described = Project(PIPELINE, "v1", "registering", config="{}", bundle_uri="s3://b")
    assert catalog.apply(builds.describe_project(described))
    assert catalog.apply(builds.finish_project(PIPELINE, "v1", AT, "id", {}))
    assert not refuse(catalog, "three")
    assert (project(catalog).status, project(catalog).reasons) == ("active", ())


def test_a_comparison_is_left_out_for_one_run() -> None:
    catalog = catalog_of(Project(PIPELINE, "v1", "active"))
    assert catalog.apply(builds.replace_champion(PIPELINE, "v1", AT, "me"))
    runs = [builds.use_up_replacement(PIPELINE, "v1", run) for run in ("reviews-00001", "reviews-00002")]
    assert applied(catalog, runs) == [True, False]


STEP = Step(RUN, "train-0", "Starting", "training_job", job_name="job")


@given(order=st.permutations(["start", "end", "quota", "give up"]))
def test_nothing_that_comes_late_takes_back_how_a_job_ended(order: list[str]) -> None:
    catalog = catalog_of(STEP)
    changes: dict[str, Sequence[Update]] = {
        "start": builds.start_step(RUN, "train-0", AT),
        "end": [builds.end_step(RUN, "train-0", {"status": "Completed"}, None, AT, "sagemaker")],
        "quota": [builds.await_quota(RUN, "train-0", "used up")],
        "give up": builds.give_up_step(RUN, "train-0", "its run has ended", AT),
    }
    for what in order[: order.index("end") + 1]:
        applied(catalog, changes[what])
    ended = catalog.get(STEP.item())
    for what in order[order.index("end") + 1 :]:
        assert not any(applied(catalog, changes[what]))
    assert catalog.get(STEP.item()) == ended


@pytest.mark.parametrize("waits", [True, False])
def test_a_job_starts_once_whether_or_not_it_waited(waits: bool) -> None:
    catalog = catalog_of(STEP)
    assert not waits or catalog.apply(builds.await_quota(RUN, "train-0", "used up"))
    assert applied(catalog, builds.start_step(RUN, "train-0", AT)).count(True) == 1
    assert not any(applied(catalog, builds.start_step(RUN, "train-0", AT)))
    assert Step.of(catalog.get(STEP.item()) or {}).waits_for is None


def test_only_the_newest_attempts_token_closes_a_task() -> None:
    catalog = fakes.FakeCatalog()

    def task(token: str) -> JobTask:
        return JobTask("job", token, "training_job", PIPELINE, RUN, "train-0", "open", 1, AT)

    assert applied(catalog, [builds.await_job(task("old")), builds.await_job(task("new"))]) == [True, True]
    assert not catalog.apply(tasks.close_task("job", "old"))
    assert len(catalog.listing(keys.TASKS)) == 1
    assert catalog.apply(tasks.close_task("job", "new"))
    assert catalog.listing(keys.TASKS) == []


# ----------------------------------------------------------------------------------------------- releases

RELEASE_IDS = ["reviews-v1-aaaaaaaa", "reviews-v2-bbbbbbbb", "reviews-v3-cccccccc"]


@given(ends=st.lists(st.sampled_from(get_args(ReleaseEnd)), min_size=1))
def test_no_two_ends_of_a_release_both_succeed(ends: list[ReleaseEnd]) -> None:
    release = Release(PIPELINE, RELEASE_IDS[0], "approval", "running", "me", "arn", AT)
    catalog = catalog_of(release)
    results = applied(catalog, [releases.end_release(PIPELINE, RELEASE_IDS[0], end, [], AT) for end in ends])
    assert results == [True] + [False] * (len(ends) - 1)
    assert Release.of(catalog.get(release.item()) or {}).status == ends[0]


@given(faults=st.lists(st.lists(st.text(min_size=1), max_size=2), min_size=1, max_size=4))
def test_of_all_who_find_an_endpoint_changed_one_notes_it(faults: list[list[str]]) -> None:
    seen = Stage(PIPELINE, STAGE, "endpoint", live=RELEASE_IDS[0])
    catalog = catalog_of(seen)
    noted = applied(catalog, [releases.note_deviation(seen, each, AT) for each in faults])
    assert noted == [True, *[False] * (len(faults) - 1)]
    stage = stage_of(catalog)
    assert (stage.known_faults, stage.has_untold) == (faults[0], True)
    told = applied(catalog, [releases.tell_deviation(stage)] * 2)
    # What is over leaves nothing that a second one could note.
    assert told == [True, False]
    assert stage_of(catalog).deviates is bool(faults[0])
    assert not stage_of(catalog).has_untold


@given(
    acts=st.lists(
        st.tuples(st.sampled_from(["lock", "unlock", "point", "retire"]), st.sampled_from(RELEASE_IDS))
    )
)
def test_a_stage_is_changed_by_the_release_that_holds_it_alone(acts: list[tuple[str, str]]) -> None:
    catalog = catalog_of(Stage(PIPELINE, STAGE, "endpoint"))
    for act, release_id in acts:
        before = stage_of(catalog)
        change = {
            "lock": releases.lock_stage,
            "unlock": releases.unlock_stage,
            "point": releases.point_stage,
            "retire": releases.retire_stage,
        }[act](PIPELINE, STAGE, release_id)
        may = {
            "lock": before.releasing is None,
            "unlock": before.releasing == release_id,
            "point": before.releasing == release_id,
            "retire": before.releasing is None and before.live == release_id,
        }[act]
        assert catalog.apply(change) is may
        if not may:
            assert stage_of(catalog) == before


DEPLOYMENT = Deployment(PIPELINE, STAGE, RELEASE_IDS[0], ARN, 1, "deploying", "config", "model")
ENDS_OF_A_DEPLOYMENT = {
    "superseded": releases.supersede(DEPLOYMENT, AT),
    "rolled_back": releases.take_back(DEPLOYMENT, AT),
    "retired": (releases.retire_deployment(PIPELINE, STAGE, RELEASE_IDS[0], AT),),
    "failed": (releases.fail_deployment(PIPELINE, STAGE, RELEASE_IDS[0], AT),),
    "undone": (releases.undo_promotion(PIPELINE, STAGE, RELEASE_IDS[0], AT),),
}


@given(
    was_promoted=st.booleans(),
    ends=st.lists(st.sampled_from(sorted(ENDS_OF_A_DEPLOYMENT)), min_size=1),
)
def test_a_deployment_ends_once_and_as_what_it_was(was_promoted: bool, ends: list[str]) -> None:
    catalog = catalog_of(DEPLOYMENT)
    promotion = releases.promote(Stage(PIPELINE, STAGE, "endpoint"), RELEASE_IDS[0], AT, AT)
    assert not was_promoted or catalog.apply(promotion)
    results = [catalog.apply(*ENDS_OF_A_DEPLOYMENT[end]) for end in ends]
    possible = [(end != "failed") if was_promoted else (end == "failed") for end in ends]
    assert results.count(True) == any(possible)
    assert True not in results or results.index(True) == possible.index(True)
    noted = catalog.get(keys.taken_back_key(PIPELINE, STAGE, ARN))
    assert (noted is not None) is (True in results and ends[results.index(True)] == "rolled_back")


def test_a_promotion_is_written_down_once() -> None:
    catalog = catalog_of(Deployment(PIPELINE, STAGE, RELEASE_IDS[0], ARN, 1, "deploying", "config"))
    promotions = [
        releases.promote(Stage(PIPELINE, STAGE, "endpoint", live=live), RELEASE_IDS[0], at, at)
        for at, live in (("1", RELEASE_IDS[1]), ("2", None))
    ]
    assert applied(catalog, promotions) == [True, False]
    found = Deployment.of(catalog.get(keys.deployment_key(PIPELINE, STAGE, RELEASE_IDS[0])) or {})
    assert (found.promoted_at, found.replaces) == ("1", RELEASE_IDS[1])


@given(data=st.data())
def test_decisions_about_a_package_are_numbered_without_a_gap(data: st.DataObject) -> None:
    catalog = catalog_of(Package(ARN, "group", 1))
    seen = [Package(ARN, "group", 1)]
    epochs = []
    for _ in range(data.draw(st.integers(1, 8))):
        by = data.draw(st.sampled_from(seen))
        if catalog.apply(releases.decide(by, data.draw(st.sampled_from(["Approved", "Rejected"])))):
            epochs.append(by.epoch + 1)
        seen.append(Package.of(catalog.get(keys.package_key(ARN)) or {}))
    assert epochs == list(range(1, len(epochs) + 1))
    assert seen[-1].epoch == len(epochs)


def test_a_decision_is_finished_only_while_it_is_the_last() -> None:
    catalog = catalog_of(Package(ARN, "group", 1, approval_status="Approved", approval_epoch=2))
    assert not catalog.apply(releases.finish_decision(ARN, 1))
    assert catalog.apply(releases.finish_decision(ARN, 2))
    assert not Package.of(catalog.get(keys.package_key(ARN)) or {}).is_unfinished


def test_an_approval_is_recorded_once() -> None:
    records = [
        releases.record_approval(Approval(ARN, 1, "Approved", who, "", AT, AT)) for who in ("you", "me")
    ]
    catalog = fakes.FakeCatalog()
    assert applied(catalog, records) == [True, False]
    assert (catalog.get(keys.approval_key(ARN, 1)) or {})["approver"] == "you"


def test_a_package_that_takes_anothers_arn_takes_none_of_its_decisions() -> None:
    former = Package(
        ARN, "group", 1, "old", PIPELINE, "reviews-00001", approval_status="Approved", approval_epoch=2
    )
    catalog = catalog_of(former)
    again = releases.register_again(
        former, Package(ARN, "group", 1, pipeline=PIPELINE, run_id="reviews-00002")
    )
    assert applied(catalog, [again, again]) == [True, False]
    found = Package.of(catalog.get(keys.package_key(ARN)) or {})
    assert (found.run_id, found.stack, found.status) == ("reviews-00002", None, "PendingManualApproval")
    assert (found.epoch, found.is_unfinished, found.decided_before) == (2, False, 2)


def test_a_release_starts_once_and_is_listed_until_it_ends() -> None:
    release = Release(PIPELINE, RELEASE_IDS[0], "command", "running", "me", "arn", AT)
    catalog = fakes.FakeCatalog()
    assert not catalog.apply(releases.note_release(PIPELINE, RELEASE_IDS[0]))
    catalog.apply(builds.make_pipeline(Pipeline(PIPELINE, "v1")))
    assert applied(catalog, [releases.start_release(release)] * 2) == [True, False]
    assert catalog.apply(releases.note_release(PIPELINE, RELEASE_IDS[0]))
    assert pipeline_of(catalog).last_release == RELEASE_IDS[0]
    assert len(catalog.listing(keys.RUNNING_RELEASES)) == 1
    assert catalog.apply(releases.end_release(PIPELINE, RELEASE_IDS[0], "failed", [], AT))
    assert catalog.listing(keys.RUNNING_RELEASES) == []


def test_what_is_made_once_is_a_put() -> None:
    made = [
        builds.add_step(STEP),
        releases.see_package(Package(ARN)),
        releases.make_stage(Stage(PIPELINE, STAGE, "endpoint")),
        releases.plan_deployment(Deployment(PIPELINE, STAGE, RELEASE_IDS[0], ARN, 1, "deploying", "config")),
        releases.start_release(Release(PIPELINE, RELEASE_IDS[0], "command", "running", "me", "arn", AT)),
    ]
    assert all(isinstance(change, Put) for change in made)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([Put({"pk": "p", "sk": str(number)}) for number in range(101)], "101 changes are more than the 100"),
        ([Put({"pk": "p", "sk": "s"}), Delete({"pk": "p", "sk": "s"})], "changes an item once"),
        ([Update({"pk": "p", "sk": "s"}, {}), Put({"pk": "p", "sk": "t"})], "sets something"),
    ],
)
def test_a_transaction_that_dynamodb_would_refuse_is_refused_before_it_is_sent(
    changes: list[Change], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        fakes.FakeCatalog().apply(*changes)


# ----------------------------------------------------------------------------------------------- arrivals

PENDING = Arrival(PIPELINE, f"{PIPELINE}/a.csv", "1", 3, AT, "pending", "0" * 64, batch="former")
TAKEN = replace(PENDING, status="included", dataset_version="d1", taken_up_by=RUN)


def arrivals_of(catalog: fakes.FakeCatalog) -> list[Arrival]:
    found = (catalog.query(keys.partition(PIPELINE), state) for state in keys.STATES)
    return [Arrival.of(item) for items in found for item in items]


def test_an_arrival_is_in_one_place_whatever_happens_to_it() -> None:
    catalog = catalog_of(PENDING)
    assert catalog.apply(*arrivals.take_up(PENDING, "d1", "batch", RUN))
    (taken,) = arrivals_of(catalog)
    assert (taken.status, taken.dataset_version, taken.batch, taken.taken_up_by) == (
        "included",
        "d1",
        "batch",
        RUN,
    )
    assert catalog.apply(*arrivals.quarantine(taken, "bad", AT, AT))
    (held,) = arrivals_of(catalog)
    assert (held.status, held.state, held.reason) == ("quarantined", keys.QUARANTINED, "bad")
    assert catalog.apply(*arrivals.release(held, "request"))
    (released,) = arrivals_of(catalog)
    assert (released.status, released.state, released.reason) == ("pending", keys.WAITING, "")


@given(order=st.permutations(["quarantine", "put back", "put back failed", "settle"]))
def test_of_those_who_saw_an_arrival_taken_up_the_first_decides(order: list[str]) -> None:
    catalog = catalog_of(TAKEN)
    changes: dict[str, Sequence[Change]] = {
        "quarantine": arrivals.quarantine(TAKEN, "bad", AT),
        "put back": [arrivals.put_back(TAKEN)],
        "put back failed": [arrivals.put_back_failed(TAKEN, RUN)],
        "settle": arrivals.settle(PIPELINE, [TAKEN], None),
    }
    assert [catalog.apply(*changes[name]) for name in order] == [True, False, False, False]
    assert len(arrivals_of(catalog)) == 1


def test_a_control_object_that_is_put_back_is_open_again() -> None:
    catalog = catalog_of(replace(TAKEN, is_control=True))
    assert catalog.apply(arrivals.put_back(replace(TAKEN, is_control=True)))
    assert [(each.status, each.is_waiting) for each in arrivals_of(catalog)] == [("control", True)]


def test_what_is_settled_is_counted_once_by_whoever_settles_it() -> None:
    other = replace(TAKEN, version_id="2", status="control")
    catalog = catalog_of(TAKEN, other)
    settlers = [arrivals.settle(PIPELINE, [TAKEN, other], None) for _ in range(2)]
    assert [catalog.apply(*changes) for changes in settlers] == [True, False]
    assert (catalog.get(keys.counts_key(PIPELINE)) or {})["included"] == 1
    more = replace(TAKEN, version_id="3")
    assert catalog.create(more.item())
    assert not catalog.apply(*arrivals.settle(PIPELINE, [more], 0))
    assert catalog.apply(*arrivals.settle(PIPELINE, [more], 1))
    assert (catalog.get(keys.counts_key(PIPELINE)) or {})["included"] == 2


def test_one_at_a_time_computes_a_digest() -> None:
    begun = Hashing("a", "1", taken_until=AT, expires_at=9)
    catalog = fakes.FakeCatalog()
    assert applied(catalog, [progress.begin_hashing(begun)] * 2) == [True, False]
    assert catalog.apply(progress.leave_hashing(begun))
    left = Hashing.of(catalog.get(keys.hashing_key("a", "1")) or {}, "a", "1")
    assert left.taken_until is None
    assert applied(catalog, [progress.take_hashing(left, AT, 10)] * 2) == [True, False]
