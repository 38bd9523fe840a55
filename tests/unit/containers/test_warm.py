"""What an interpreter that waits is to load, and jobs when there is none."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from sluice.containers.environments import Python
from sluice.containers.warm import Warm


@pytest.fixture
def python(tmp_path: Path) -> Python:
    made = Python(tmp_path)
    for package in ("xgboost", "sklearn/linear_model"):
        (made.site_packages / package).mkdir(parents=True)
    (made.site_packages / "xgboost/__init__.py").touch()
    return made


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("sklearn/linear_model/_sgd_fast.cpython-{tag}.so", "sklearn.linear_model._sgd_fast"),
        ("_cffi_backend.abi3.so", "_cffi_backend"),
        ("xgboost/lib/libxgboost.so", "xgboost"),
        ("numpy.libs/libopenblas-0.so", ""),
        ("sklearn/libgomp.so", ""),
        ("odd-name/x.abi3.so", ""),
        ("a b/x.so", ""),
    ],
)
def test_a_mapped_file_is_a_module_or_says_which_package_was_loaded(
    python: Python, path: str, module: str
) -> None:
    tag = EXTENSION_SUFFIXES[0].removeprefix(".cpython-").removesuffix(".so")
    assert Warm(python, {})._module(path.format(tag=tag)) == module


def test_a_job_does_without_an_interpreter_that_cannot_be_started(
    python: Python, capsys: pytest.CaptureFixture[str]
) -> None:
    warm = Warm(python, {})
    assert warm.fork(["python3", "x.py"], {}, Path("/")) is None
    warm._modules.add("xgboost")
    (python.folder / "bin").mkdir()
    (python.folder / "bin/python3").symlink_to("/nowhere")
    warm._variables["PATH"] = "/nowhere"
    warm.start()
    assert "no interpreter waits" in capsys.readouterr().out
    assert not warm.pids
    warm.start()
    assert capsys.readouterr().out == "", "it is not tried again for the same modules"
    assert warm.fork([str(python.folder / "bin/python3"), "x.py"], {}, Path("/")) is None
