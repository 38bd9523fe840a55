"""An archive of a function or a layer is unpacked into its folder, wherever links in it lead."""

from __future__ import annotations

import io
import stat
import zipfile
from contextlib import suppress
from pathlib import Path

from sluice_local.patches.functions import runtime


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("ml", "out"):
            link = zipfile.ZipInfo(name)
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, str(tmp_path / "outside"))
        archive.writestr("out/file", b"x")
    with suppress(OSError):
        runtime._extract(zipfile.ZipFile(buffer), str(tmp_path / "function"))
    assert list((tmp_path / "outside").iterdir()) == []
