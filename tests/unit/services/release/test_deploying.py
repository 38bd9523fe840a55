"""A stage's history is found from what is live, and says what reading all of it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Deployment, Release, Stage
from sluice.domain import names
from sluice.domain.release.releases import RollbackOptions
from sluice.domain.times import from_iso, to_iso
from sluice.services.release import deploying

PIPELINE, STAGE = "reviews", "production"
START = from_iso("2026-11-24T00:00:00.000Z")


@dataclass
class Reads(fakes.FakeCatalog):
    """A catalog that counts the items it is read."""

    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    read: int = 0

    def get(self, key: Mapping[str, str]) -> dict[str, Any] | None:
        self.read += 1
        return super().get(key)

    def query(self, pk: str, prefix: str = "", **options: Any) -> list[dict[str, Any]]:
        found = super().query(pk, prefix, **options)
        self.read += len(found)
        return found


@dataclass
class History:
    """A stage on which releases are promoted, taken back and retired, an hour after one another."""

    catalog: Reads = field(default_factory=Reads)
    at: datetime = START
    released: int = 0

    def __post_init__(self) -> None:
        self.cloud: Any = fakes.Cloud(catalog=self.catalog)

    def make(self, *, under_an_older_stack: bool) -> None:
        stage = Stage(PIPELINE, STAGE, "endpoint")
        if under_an_older_stack:
            self.catalog.create(stage.item())
        else:
            self.catalog.apply(changes.make_stage(stage))

    @property
    def stage(self) -> Stage:
        return Stage.of(self.catalog.get(keys.stage_key(PIPELINE, STAGE)) or {})

    @property
    def live(self) -> Deployment | None:
        return deploying.find_deployment(self.cloud, PIPELINE, STAGE, self.stage.live)

    def promote(self, version: int, bake_minutes: int, *, is_rollback: bool = False) -> None:
        self.released += 1
        release_id = f"{PIPELINE}-v{version}-{self.released:08x}"
        deployment = Deployment(PIPELINE, STAGE, release_id, f"arn:{version}", version, "deploying", "config")
        self.catalog.apply(changes.plan_deployment(deployment))
        self.catalog.apply(changes.lock_stage(PIPELINE, STAGE, release_id))
        at, until = to_iso(self.at), to_iso(self.at + timedelta(minutes=bake_minutes))
        assert self.catalog.apply(changes.promote(self.stage, release_id, at, until))
        promoted = deploying.find_deployment(self.cloud, PIPELINE, STAGE, release_id)
        assert promoted is not None
        assert self.catalog.apply(changes.point_stage(PIPELINE, STAGE, release_id))
        deploying.mark_replaced(self.cloud, promoted, is_rollback=is_rollback)
        self.catalog.apply(changes.unlock_stage(PIPELINE, STAGE, release_id))
        self.at += timedelta(hours=1)

    def fail(self, version: int) -> None:
        """A release that was planned, and one whose promotion was written down and undone."""
        for is_undone in (False, True):
            self.released += 1
            release_id = f"{PIPELINE}-v{version}-{self.released:08x}"
            deployment = Deployment(PIPELINE, STAGE, release_id, f"arn:{version}", version, "deploying", "c")
            self.catalog.apply(changes.plan_deployment(deployment))
            at = to_iso(self.at)
            if is_undone:
                self.catalog.apply(changes.promote(self.stage, release_id, at, at))
                self.catalog.apply(changes.undo_promotion(PIPELINE, STAGE, release_id, at))
            else:
                self.catalog.apply(changes.fail_deployment(PIPELINE, STAGE, release_id, at))

    def retire(self) -> None:
        if live := self.stage.live:
            self.catalog.apply(changes.retire_deployment(PIPELINE, STAGE, live, to_iso(self.at)))
            self.catalog.apply(changes.retire_stage(PIPELINE, STAGE, live))
            self.at += timedelta(hours=1)

    def forget_links(self) -> None:
        """What is there was written by an older stack, which knew no links and forgot what was retired."""
        for item in self.catalog.items.values():
            for name in ("follows", "is_first", "retired", "is_linked"):
                item.pop(name, None)

    def read_all(self) -> list[Deployment]:
        items = self.catalog.query(keys.partition(PIPELINE), keys.deployments_of(STAGE))
        return [Deployment.of(item) for item in items]


def expected(history: list[Deployment], replaced: Deployment, now: str) -> tuple[list[Deployment], list[str]]:
    """What the rules say of a history that is read whole."""
    known_good, reasons = [], []
    for promotions in _by_package(history):
        newest = promotions[0]
        proven = next((each for each in promotions if each.outlived_its_bake(now)), None)
        if newest.is_of(replaced.package_arn, replaced.run_id):
            continue
        if newest.status == "rolled_back":
            reasons.append(f"v{newest.package_version} was itself rolled back ({newest.release_id})")
        elif proven is None:
            reasons.append(
                f"v{newest.package_version} was replaced before it outlived its bake ({newest.release_id})"
            )
        else:
            known_good.append(proven)
    known_good.sort(key=lambda each: str(each.promoted_at), reverse=True)
    return known_good, reasons


def _by_package(history: list[Deployment]) -> Iterator[list[Deployment]]:
    promotions: dict[Any, list[Deployment]] = {}
    promoted = [each for each in history if each.promoted_at is not None]
    for deployment in sorted(promoted, key=lambda each: str(each.promoted_at), reverse=True):
        promotions.setdefault(deployment.model, []).append(deployment)
    yield from promotions.values()


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["promote", "roll back", "fail", "retire", "update the stack"]),
        st.integers(1, 5),
        st.sampled_from([0, 30, 90]),
    ),
    max_size=25,
)


@given(acts=ACTS, is_old=st.booleans())
def test_the_way_back_is_the_same_as_by_reading_all(acts: list[tuple[str, int, int]], is_old: bool) -> None:
    history = History()
    history.make(under_an_older_stack=is_old)
    for act, version, bake_minutes in acts:
        if act in ("promote", "roll back"):
            history.promote(version, bake_minutes, is_rollback=act == "roll back")
        elif act == "fail":
            history.fail(version)
        elif act == "retire":
            history.retire()
        else:
            history.forget_links()
    live, now = history.live, to_iso(history.at)
    if live is None:
        return
    options = RollbackOptions(deploying.find_history(history.cloud, live), live, now)
    known_good, reasons = expected(history.read_all(), live, now)
    assert list(options.known_good()) == known_good
    assert options.reasons() == reasons


def test_the_reasons_are_the_same_whatever_was_read_before() -> None:
    history = History()
    history.make(under_an_older_stack=False)
    for version, bake_minutes in ((1, 90), (2, 30), (3, 90), (4, 30)):
        history.promote(version, bake_minutes)
    live, now = history.live, to_iso(history.at)
    assert live is not None
    options = RollbackOptions(deploying.find_history(history.cloud, live), live, now)
    assert next(options.known_good()).package_version == 2
    assert [reason.partition(" ")[0] for reason in options.reasons()] == ["v3", "v1"]


@pytest.mark.parametrize("count", [10, 10_000])
def test_a_way_back_is_found_without_reading_what_lies_before_it(count: int) -> None:
    history = History()
    history.make(under_an_older_stack=False)
    history.promote(1, 30)
    template = history.live
    assert template is not None
    previous = template.release_id
    for version in range(2, count):
        release_id = f"{PIPELINE}-v{version}-{version:08x}"
        past = replace(
            template, release_id=release_id, package_arn=f"arn:{version}", package_version=version,
            status="superseded", ended_at=to_iso(history.at), follows=previous, is_first=False,
        )  # fmt: skip
        key = keys.deployment_key(PIPELINE, STAGE, release_id)
        history.catalog.items[key["pk"], key["sk"]] = past.item()
        history.catalog.items[tuple(keys.release_key(PIPELINE, release_id).values())] = Release(  # type: ignore[index]
            PIPELINE, release_id, "approval", "released", "me", "arn", to_iso(history.at)
        ).item()
        previous = release_id
    history.catalog.update(keys.stage_key(PIPELINE, STAGE), {"live": previous})
    live = history.live
    assert live is not None
    history.catalog.read = 0
    options = RollbackOptions(deploying.find_history(history.cloud, live), live, to_iso(history.at))
    assert next(options.known_good()).package_version == count - 2
    assert history.catalog.read == 1


@pytest.mark.parametrize(("is_own", "is_named"), [(True, True), (False, True), (True, False)])
def test_whether_a_config_is_the_stacks_is_asked_of_its_own_release(is_own: bool, is_named: bool) -> None:
    """Only a config that is not named for its release, as too long a name is not, is looked for among all."""
    reads = []
    for releases in (2, 200):
        history = History()
        history.make(under_an_older_stack=False)
        for version in range(releases):
            history.promote(version, 0)
        release = f"{PIPELINE}-v1-{2:08x}"
        config = (
            names.endpoint_config_name(history.cloud.stack_name, release, STAGE) if is_named else "config"
        )
        if is_own:
            key = keys.deployment_key(PIPELINE, STAGE, release)
            history.catalog.items[key["pk"], key["sk"]]["endpoint_config_name"] = config
        assert not deploying.is_deployed(history.cloud, PIPELINE, STAGE, history.stage.live, "a-foreign-one")
        before = history.catalog.read
        assert deploying.is_deployed(history.cloud, PIPELINE, STAGE, "no-release", config) is is_own
        reads.append(history.catalog.read - before)
    assert reads == ([2, 2] if is_named else [3, 201])
