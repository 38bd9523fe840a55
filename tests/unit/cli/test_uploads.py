"""What an upload takes: files, folders with their paths, nothing hidden, and what completes a batch last."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice_cli import uploads
from sluice_cli.errors import CommandError


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_a_folder_keeps_the_paths_in_it_and_leaves_out_what_is_hidden(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", "dt=1/a.csv", "dt=2/a.csv", ".DS_Store", ".git/config", "dt=1/.a.swp")
    assert uploads.collect([folder]) == {
        "dt=1/a.csv": folder / "dt=1/a.csv",
        "dt=2/a.csv": folder / "dt=2/a.csv",
    }
    assert uploads.left_out([folder]) == [
        str(folder / name) for name in (".DS_Store", ".git/config", "dt=1/.a.swp")
    ]


def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path: Path) -> None:
    folder = fill(tmp_path, ".hidden.csv", "b.csv")
    assert set(uploads.collect([folder / ".hidden.csv", folder / "b.csv"])) == {".hidden.csv", "b.csv"}
    assert set(uploads.collect([folder / "b.csv"], "2026/c.csv")) == {"2026/c.csv"}


def test_two_files_of_one_name_are_refused_with_both(tmp_path: Path) -> None:
    fill(tmp_path, "dt=1/a.csv", "dt=2/a.csv")
    with pytest.raises(CommandError, match=r"dt=1/a.csv and .*dt=2/a.csv would be the same object, a.csv"):
        uploads.collect([tmp_path / "dt=1", tmp_path / "dt=2"])
    one = tmp_path / "dt=1/a.csv"
    assert uploads.collect([one, one]) == {"a.csv": one}


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
