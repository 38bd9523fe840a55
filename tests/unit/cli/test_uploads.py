"""What an upload takes: files, folders with their paths, nothing hidden, and what completes a batch last."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fakes
from sluice_cli import project, uploads
from sluice_cli.errors import CommandError


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def left_out(folder: Path) -> dict[str, str]:
    """Why what is left out of a folder is, by its path in it."""
    found = uploads.collect([folder]).left_out
    return {Path(each.path).relative_to(folder).as_posix(): each.why for each in found}


def test_a_folder_keeps_the_paths_in_it_and_leaves_out_what_is_hidden(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", "dt=1/a.csv", "dt=2/a.csv", ".DS_Store", ".git/config", "dt=1/.a.swp")
    assert uploads.collect([folder]).files == {
        "dt=1/a.csv": folder / "dt=1/a.csv",
        "dt=2/a.csv": folder / "dt=2/a.csv",
    }
    assert left_out(folder) == {".DS_Store": "hidden", ".git": "hidden", "dt=1/.a.swp": "hidden"}


def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path: Path) -> None:
    folder = fill(tmp_path, ".hidden.csv", "b.csv")
    assert set(uploads.collect([folder / ".hidden.csv", folder / "b.csv"]).files) == {".hidden.csv", "b.csv"}
    assert set(uploads.collect([folder / "b.csv"], "2026/c.csv").files) == {"2026/c.csv"}


def test_two_files_of_one_name_are_refused_with_both(tmp_path: Path) -> None:
    fill(tmp_path, "dt=1/a.csv", "dt=2/a.csv")
    with pytest.raises(CommandError, match=r"dt=1/a.csv and .*dt=2/a.csv would be the same object, a.csv"):
        uploads.collect([tmp_path / "dt=1", tmp_path / "dt=2"])
    one = tmp_path / "dt=1/a.csv"
    assert uploads.collect([one, one]).files == {"a.csv": one}


def test_what_means_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match=r"there is no file in .*empty"):
        uploads.collect([tmp_path / "empty"])
    with pytest.raises(CommandError, match=r"there is no file .*none"):
        uploads.collect([tmp_path / "none"])
    with pytest.raises(CommandError, match="--key names one object"):
        uploads.collect([fill(tmp_path / "full", "a.csv")], "key")


def test_what_completes_a_batch_goes_last() -> None:
    names = ["a/_SUCCESS", "a/part-1.csv", "b/_SUCCESS", "z.csv"]
    assert uploads.in_order(names, "_SUCCESS") == ["a/part-1.csv", "z.csv", "a/_SUCCESS", "b/_SUCCESS"]
    assert uploads.in_order(["b.csv", "a.csv"], None) == ["a.csv", "b.csv"]


def test_links_are_followed_but_not_in_circles_and_not_to_nowhere(tmp_path: Path) -> None:
    """S3 has no links: what is uploaded is what they lead to."""
    folder = fill(tmp_path / "data", "dt=1/a.csv", "dt=2/b.csv")
    elsewhere = fill(tmp_path / "elsewhere", "c.csv", "below/d.csv")
    (folder / "one.csv").symlink_to(elsewhere / "c.csv")
    (folder / "all").symlink_to(elsewhere)
    (folder / "again").symlink_to(folder / "dt=1")
    (folder / "dt=1/around").symlink_to(folder)
    (folder / "gone.csv").symlink_to(tmp_path / "nowhere")
    found = ["again/a.csv", "all/below/d.csv", "all/c.csv", "dt=1/a.csv", "dt=2/b.csv", "one.csv"]
    assert sorted(uploads.collect([folder]).files) == found
    assert left_out(folder) == {
        "again/around": "a link to a folder around it",
        "dt=1/around": "a link to a folder around it",
        "gone.csv": "a link that leads nowhere",
    }


def test_what_s3_cannot_hold_is_left_out(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", "a.csv")
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe")
    assert left_out(folder) == {
        "empty": "an empty folder, which S3 cannot hold",
        "pipe": "no regular file",
    }
    (folder / "a.csv").unlink()
    with pytest.raises(CommandError, match=r"there is no file in .* \(2 left out: .*empty, an empty folder"):
        uploads.collect([folder])


@pytest.mark.parametrize(
    ("name", "size_bytes", "fate"),
    [
        ("a.csv", 1, None),
        ("a.csv", 0, "will be quarantined: zero bytes"),
        ("dt=1/_SUCCESS", 0, "completes a batch"),
        ("a\nb.csv", 1, "will be quarantined: a key with a control character"),
        (f"{'x' * 300}.csv", 1, "will be quarantined: a key with a part of more than 255 bytes"),
    ],
)
def test_what_becomes_of_an_upload_is_known_before(name: str, size_bytes: int, fate: str | None) -> None:
    found = uploads.fate("reviews", name, size_bytes, "_SUCCESS")
    assert str(found.fate).startswith(str(fate))
    assert found.is_set_aside is (fate is not None and "quarantined" in fate)


def test_a_key_that_s3_does_not_take_is_refused_also_by_a_dry_run(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    target: Any = SimpleNamespace(cloud=fakes.Cloud(), outputs={"DataBucketName": "data"})
    longest = "é" * 511  # and "m/" makes 1,024 bytes
    (planned,) = project.plan_upload(target, "m", [tmp_path / "a.csv"], key=longest)["files"]
    assert planned["fate"] == "will be quarantined: a key of more than 900 bytes"
    with pytest.raises(CommandError, match=r"S3 takes keys of at most 1,024 bytes, and m/é+… has 1,025"):
        project.plan_upload(target, "m", [tmp_path / "a.csv"], key=f"{longest}x")


def test_a_name_that_is_no_text_is_left_out_of_a_folder_and_refused_alone(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", "a.csv")
    odd = folder / os.fsdecode(b"bad\xff.csv")
    odd.write_text("x")
    assert left_out(folder) == {odd.name: "a name that is not UTF-8, as keys of S3 are"}
    target: Any = SimpleNamespace(cloud=fakes.Cloud(), outputs={"DataBucketName": "data"})
    with pytest.raises(CommandError, match="S3 takes keys in UTF-8"):
        project.plan_upload(target, "m", [odd])
    assert project.plan_upload(target, "m", [odd], key="good.csv")["files"]
