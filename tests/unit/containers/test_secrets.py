"""A script reads no variable or file that only the process which runs it may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.containers import configuration
from sluice.containers.output import Metrics


def test_who_reads_metrics_has_no_variables_that_a_script_could_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the runtime")
    metrics = Metrics([{"Name": "auc", "Regex": "auc: (.*)"}], lambda: 0)
    metrics.read(["auc: 0.5"])
    reader = metrics._reader
    assert reader is not None
    assert b"of the runtime" not in Path(f"/proc/{reader.pid}/environ").read_bytes()
    assert metrics.final()[0]["Value"] == 0.5


@pytest.mark.parametrize("name", ["failure", "message"])
@pytest.mark.parametrize("linked", ["output", "file"])
def test_a_message_that_is_a_link_is_none(tmp_path: Path, name: str, linked: str) -> None:
    elsewhere, ml = tmp_path / "elsewhere", tmp_path / "ml"
    for folder in (elsewhere, ml):
        folder.mkdir()
    (elsewhere / name).write_text("secret")
    if linked == "output":
        (ml / "output").symlink_to(elsewhere)
    else:
        (ml / "output").mkdir()
        (ml / "output" / name).symlink_to(elsewhere / name)
    said = (configuration.training_reason(ml, [], None, 1, ""), configuration.processing_reason(ml, 1))
    assert "secret" not in " ".join(said)
