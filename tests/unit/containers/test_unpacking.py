"""Whatever an archive holds, nothing is written outside of its folder, and no link leads there."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluice.containers import unpacking
from sluice.containers.unpacking import MemberError

Member = tuple[bytes, str, str]
FILE, FOLDER, LINK, NAME = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
# A link that is a folder above its own, once another link is on its way.
BELOW_A_LINK: list[Member] = [(LINK, "a/b", ".."), (LINK, "a/b/c", ".."), (FILE, "c/x", "")]
THROUGH_A_LINK: list[Member] = [(LINK, "a", "."), (LINK, "b", "a/.."), (FILE, "b/x", "")]


def archive(*members: Member) -> tarfile.TarFile:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for kind, name, leads_to in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, leads_to
            info.size = 1 if kind == FILE else 0
            tar.addfile(info, io.BytesIO(b"x"))
    buffer.seek(0)
    return tarfile.open(fileobj=buffer, mode="r|")


def test_files_folders_and_links_within_are_as_they_were_packed(tmp_path: Path) -> None:
    unpacking.extract(
        archive(
            (FILE, "./lib/a.so.1", ""),
            (LINK, "lib/a.so", "a.so.1"),
            (FOLDER, "empty", ""),
            (LINK, "up/same", "../lib"),
            (NAME, "twin", "lib/a.so.1"),
            (FILE, "lib/a.so.1", ""),
        ),
        tmp_path,
    )
    assert (tmp_path / "lib/a.so").readlink() == Path("a.so.1")
    assert (tmp_path / "up/same/a.so").read_bytes() == (tmp_path / "twin").read_bytes() == b"x"
    assert (tmp_path / "empty").is_dir()


@pytest.mark.parametrize(
    "members",
    [
        BELOW_A_LINK,
        THROUGH_A_LINK,
        [(FILE, "../x", "")],
        [(FILE, "/x", "")],
        [(FOLDER, "a/../../x", "")],
        [(LINK, "a", "/")],
        [(LINK, "a/b", "../../x")],
        [(LINK, "a", "b"), (FOLDER, "a", "")],
        [(LINK, "a", "."), (FILE, "a/x", "")],
        [(NAME, "a", "/etc/passwd")],
        [(NAME, "a", "../x")],
        [(LINK, "a", "b"), (NAME, "c", "a")],
        [(tarfile.FIFOTYPE, "a", "")],
        [(tarfile.CHRTYPE, "a", "")],
    ],
)
def test_a_member_that_leads_out_or_is_no_file_is_refused(tmp_path: Path, members: list[Member]) -> None:
    folder = tmp_path / "deep/er"
    with pytest.raises(MemberError):
        unpacking.extract(archive(*members), folder)
    assert all(folder in path.parents or path in folder.parents for path in tmp_path.rglob("x"))


PATHS = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=4).map("/".join)


@example(BELOW_A_LINK)
@example(THROUGH_A_LINK)
@given(st.lists(st.tuples(st.sampled_from([FILE, FOLDER, LINK, NAME]), PATHS, PATHS), max_size=6))
def test_nothing_lies_or_leads_outside(members: list[Member]) -> None:
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above).resolve() / "here"
        with suppress(MemberError, OSError):
            unpacking.extract(archive(*members), folder)
        assert [path.name for path in folder.parent.iterdir()] in ([], ["here"])
        for parent, folders, files in os.walk(folder):
            for path in (os.path.join(parent, name) for name in (*folders, *files)):
                assert Path(os.path.realpath(path)).is_relative_to(folder), path
