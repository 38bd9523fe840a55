"""What the local cloud's set-up asks of the SAM CLI."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice_cli import cloud, target
from sluice_cli.errors import CommandError

SAM = """#!/bin/sh
mktemp -d
exit $1
"""


@pytest.mark.parametrize("status", [0, 1])
def test_what_sam_leaves_among_temporary_files_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    sam = tmp_path / "sam"
    sam.write_text(SAM)
    sam.chmod(0o755)
    monkeypatch.setattr(cloud, "SAM", sam)
    monkeypatch.setattr(target, "home", lambda: tmp_path)
    try:
        cloud.run_sam([str(status)], {}, log="sam-deploy")
    except CommandError:
        assert status
    left = Path((tmp_path / "sam-deploy.log").read_text().strip())
    assert left.is_absolute()
    assert not left.exists()
