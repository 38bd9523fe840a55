"""A step depends on every file but other steps' scripts that it cannot read."""

from __future__ import annotations

import pytest

from sluice.domain.build import code

SCRIPTS = {"prepare": "prepare.py", "train": "train.py", "evaluate": "evaluate.py", "serve": "inference.py"}
FILES = {
    "prepare.py": b"import csv\nfrom text import clean\nSPLITS = ('train', 'test')\n",
    "train.py": b"import json\nfrom text import clean\n",
    "evaluate.py": b"import train\n",
    "inference.py": b"def model_fn(folder): ...\n",
    "text.py": b"def clean(text): return text\n",
    "requirements.txt": b"pandas\n",
}


def unread(**changed: bytes) -> dict[str, list[str]]:
    return code.unread({**FILES, **{f"{name}.py": data for name, data in changed.items()}}, SCRIPTS)


def test_scripts_of_other_steps_are_left_out_unless_they_are_imported() -> None:
    assert unread() == {
        "prepare": ["evaluate.py", "inference.py", "train.py"],
        "train": ["evaluate.py", "inference.py", "prepare.py"],
        "evaluate": ["inference.py", "prepare.py"],
        "serve": ["evaluate.py", "prepare.py", "train.py"],
    }


def test_what_an_imported_script_imports_counts_too() -> None:
    assert unread(text=b"import inference\n")["prepare"] == ["evaluate.py", "train.py"]
    assert unread(train=b"from prepare import SPLITS\n")["evaluate"] == ["inference.py"]


@pytest.mark.parametrize(
    "source",
    [
        b"import importlib\nimportlib.import_module('tr' + 'ain')\n",
        b"__import__('train')\n",
        b"exec('import train')\n",
        b"from pathlib import Path\nPath(__file__).parent.glob('*.py')\n",
        b"import subprocess\n",
        b"import os\nos.system('python train.py')\n",
        b"import os\nos.listdir(os.environ['SM_MODULE_DIR'])\n",
        b"open('/opt/ml/processing/input/code/x')\n",
        b"this is no python",
    ],
)
def test_where_it_cannot_be_seen_the_whole_folder_counts(source: bytes) -> None:
    assert unread(prepare=source)["prepare"] == []
    assert unread(text=source) == {step: [] for step in SCRIPTS}


@pytest.mark.parametrize(
    "source",
    [
        b"import train\n",
        b"import train.more\n",
        b"from . import train\n",
        b"from .train import fit\n",
        b"def f():\n    from train import fit\n",
        b"open('train.py')\n",
    ],
)
def test_a_script_that_is_imported_or_named_counts(source: bytes) -> None:
    assert "train.py" not in unread(prepare=source)["prepare"]
    assert "inference.py" in unread(prepare=source)["prepare"]


def test_evaluating_a_model_and_compiling_a_pattern_load_no_code() -> None:
    assert unread(prepare=b"import re\nre.compile('x')\nmodel.eval()\n")["prepare"]


def test_files_are_listed_by_digest_up_to_a_size() -> None:
    found = code.digests(FILES)
    assert found is not None
    assert found.keys() == FILES.keys()
    assert code.digests({f"{number}.py": b"" for number in range(500)}) is None
