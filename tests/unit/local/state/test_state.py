"""What is saved comes back; what a crash tore is found by its digest, and left out with a word."""

from __future__ import annotations

import pickle
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from sluice_local.state import pickles, saver
from sluice_local.state.files import StateFiles, TornError
from sluice_local.state.pickles import Body, NotPlainError
from sluice_local.state.saver import Continued, Saver, last_port, resume
from sluice_local.state.stores import Store

BODY = bytes(range(256)) * 64
ABOUT = {"port": 4566, "account": "000000000000", "region": "us-east-1"}


class World:
    """A store with small values, and one with large bytes, as a cloud has them."""

    def __init__(self) -> None:
        self.table: dict[Any, Any] = {("a", 1): {"n": 1, "raw": b"\0"}}
        self.objects: dict[Any, Any] = {"key": {"body": BODY, "size": len(BODY)}}
        self.captured = 0

    @property
    def stores(self) -> list[Store]:
        return [
            Store("table", lambda put: self.table, self._restore_table),
            Store("s3", self._capture_objects, self._restore_objects),
        ]

    def saver(self, directory: Path) -> Saver:
        return Saver(directory, self.stores, ABOUT)

    def _capture_objects(self, put: Any) -> Any:
        self.captured += 1
        return pickles.without_bodies(self.objects, put)

    def _restore_table(self, value: Any) -> None:
        self.table = value

    def _restore_objects(self, value: Any) -> None:
        self.objects = value


def resumed(directory: Path) -> tuple[World, list[str]]:
    """A new world with what was saved, and what was left out."""
    world = World()
    world.table, world.objects = {}, {}
    continued = resume(directory, world.stores)
    assert continued is not None
    return world, continued.left_out


def objects(directory: Path) -> dict[str, Path]:
    return {path.name: path for path in (directory / "objects").iterdir()}


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    world = World()
    world.saver(tmp_path).save()
    again, left_out = resumed(tmp_path)
    assert (again.table, again.objects, left_out) == (world.table, world.objects, [])
    assert last_port(tmp_path) == 4566


def test_of_nothing_saved_nothing_is_taken_up(tmp_path: Path) -> None:
    assert resume(tmp_path / "none", World().stores) is None
    assert last_port(tmp_path / "none") == 0
    StateFiles(tmp_path)
    assert resume(tmp_path, World().stores) is None


def test_a_save_writes_what_changed_alone_and_keeps_the_one_before(tmp_path: Path) -> None:
    world = World()
    saving = world.saver(tmp_path)
    saving.save()
    first = objects(tmp_path)
    times = {name: path.stat().st_mtime_ns for name, path in first.items()}
    manifest = (tmp_path / "manifest.json").read_bytes()
    saving.save()
    assert (tmp_path / "manifest.json").read_bytes() == manifest  # nothing had changed
    world.table["b"] = 2
    saving.save()
    second = objects(tmp_path)
    assert len(second) == len(first) + 1
    assert {name: second[name].stat().st_mtime_ns for name in first} == times
    assert (tmp_path / "manifest.previous.json").read_bytes() == manifest
    world.table["b"] = 3
    saving.save()
    assert len(objects(tmp_path)) == len(second)  # what only the first save named is gone


def test_that_it_was_stopped_is_noted_until_it_runs_again(tmp_path: Path) -> None:
    world = World()
    saving = world.saver(tmp_path)
    saving.save()
    world.table["b"] = 2
    saving.save()
    before = (tmp_path / "manifest.previous.json").read_bytes()
    assert _resumed(tmp_path).stopped_at is None
    saving.stop()
    assert _resumed(tmp_path).stopped_at == _resumed(tmp_path).saved_at
    # Nothing had changed, so what a torn save goes back to is still the state before.
    assert (tmp_path / "manifest.previous.json").read_bytes() == before
    world.saver(tmp_path).save()
    assert _resumed(tmp_path).stopped_at is None


def _resumed(directory: Path) -> Continued:
    found = resume(directory, World().stores)
    assert found is not None
    return found


@pytest.mark.parametrize("cut", [0, 10])
def test_a_torn_body_is_left_out_with_its_name(tmp_path: Path, cut: int) -> None:
    world = World()
    world.objects["other"] = {"body": b"small"}
    world.saver(tmp_path).save()
    (path,) = (path for path in objects(tmp_path).values() if path.read_bytes() == BODY)
    path.write_bytes(BODY[:cut])
    again, left_out = resumed(tmp_path)
    assert again.table == world.table
    assert again.objects == {"other": {"body": b"small"}}
    assert left_out == [f"s3 key: {path.name[:12]} is not what was saved"]


def test_after_a_torn_save_the_one_before_counts(tmp_path: Path) -> None:
    world = World()
    saving = world.saver(tmp_path)
    saving.save()
    before = set(objects(tmp_path))
    world.table = {"later": True}
    saving.save()
    (path,) = (path for name, path in objects(tmp_path).items() if name not in before)
    path.write_bytes(b"")
    again, left_out = resumed(tmp_path)
    assert again.table == {("a", 1): {"n": 1, "raw": b"\0"}}
    assert len(left_out) == 1
    assert "the last save was torn" in left_out[0]


def test_where_no_save_is_whole_the_torn_part_is_left_out(tmp_path: Path) -> None:
    World().saver(tmp_path).save()
    (path,) = (path for path in objects(tmp_path).values() if b"raw" in path.read_bytes())
    path.unlink()
    again, left_out = resumed(tmp_path)
    assert again.table == {}
    assert again.objects["key"]["body"] == BODY
    assert left_out == [f"all of table: {path.name[:12]} cannot be read: No such file or directory"]


def test_a_save_that_this_version_cannot_take_up_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.saver(tmp_path).save()
    monkeypatch.setattr(world, "_restore_table", lambda value: value["no longer there"])
    continued = resume(tmp_path, world.stores)
    assert continued is not None
    assert continued.left_out == ["all of table: KeyError: 'no longer there'"]
    monkeypatch.setattr(saver, "FORMAT", 2)
    again, left_out = resumed(tmp_path)
    assert again.table == {}
    assert left_out == ["all that was there: it is of format 1, this Sluice has 2"]


def test_a_torn_manifest_is_none(tmp_path: Path) -> None:
    world = World()
    saving = world.saver(tmp_path)
    saving.save()
    world.table = {"later": True}
    saving.save()
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"4566", b"4567"))
    again, _ = resumed(tmp_path)
    assert again.table != {"later": True}


def test_a_second_cloud_keeps_the_save_before_its_own(tmp_path: Path) -> None:
    world = World()
    world.saver(tmp_path).save()
    world.table = {"later": True}
    world.saver(tmp_path).save()
    (tmp_path / "manifest.json").write_bytes(b"torn")
    again, _ = resumed(tmp_path)
    assert again.table == {("a", 1): {"n": 1, "raw": b"\0"}}


def test_bytes_that_were_saved_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    saving = world.saver(tmp_path)
    saving.save()
    written: list[bytes] = []
    put = StateFiles.put

    def recorded(files: StateFiles, data: bytes) -> str:
        written.append(data)
        return put(files, data)

    monkeypatch.setattr(StateFiles, "put", recorded)
    world.objects["key"]["tagged"] = True
    saving.save()
    assert BODY not in written


def test_a_store_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    world = World()
    attempts = []

    def capture(put: Any) -> Any:
        attempts.append(1)
        if len(attempts) < 3:
            raise RuntimeError("dictionary changed size during iteration")
        return {"n": 1}

    Saver(tmp_path, [Store("table", capture, world._restore_table)], ABOUT).save()
    again, _ = resumed(tmp_path)
    assert again.table == {"n": 1}


def test_while_it_runs_a_change_is_saved_and_at_the_end_the_last(tmp_path: Path) -> None:
    world = World()
    saved = threading.Event()

    def capture(put: Any) -> Any:
        saved.set()
        return world.table

    saving = Saver(tmp_path, [Store("table", capture, world._restore_table)], ABOUT)
    saving.start()
    saving.changed()
    assert saved.wait(10)
    world.table = {"last": True}
    saving.stop()
    assert resumed(tmp_path)[0].table == {"last": True}


def test_only_plain_data_is_written_and_read() -> None:
    tables = {"items": defaultdict(dict, {"pk": {"sk": {1, 2}}}), "deep": [("t", Body("ab"))]}
    assert pickles.loads(pickles.dumps(tables)) == tables
    with pytest.raises(NotPlainError, match="thread"):
        pickles.dumps({"lock": threading.Lock()})
    with pytest.raises(NotPlainError, match="print"):
        pickles.loads(pickle.dumps(print))


def test_files_refuse_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TornError, match="cannot be read"):
        StateFiles(tmp_path).get("0" * 64)
