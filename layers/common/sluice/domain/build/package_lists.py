"""Have a job on SageMaker list its packages from inside, before it becomes the user's script.

SageMaker's toolkits for training install requirements.txt and then start the program of the scripts' archive.
So a program of ours in that archive finds what the script will find. It writes the list beside what the
script keeps for itself, and executes the script in its place, with the same arguments. A processing job has
an entry point instead (`jobs.entrypoint`): there the same statements are an argument, so they are terse.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sluice.domain.build import archives
from sluice.domain.build.archives import ArchiveError

PROGRAM = "sluice_train.py"
# Names the script, beside the program.
VARIABLE = "SLUICE_TRAIN_SCRIPT"
# In the job's output.tar.gz.
NAME = "sluice-packages.json"
MAX_BYTES = 256 * 1024
# Statements that write the list to the path `p`; `sys` is imported already. Of a package that is there twice,
# the first one found is imported.
WRITE = (
    "import json,importlib.metadata as m",
    'v={x.metadata["Name"]:x.version for x in[*m.distributions()][::-1]}',
    'json.dump({"python":sys.version.split()[0],"packages":v},open(p,"w"))',
)
# What lies before it in the archive is unpacked up to this.
_UNPACKED_MAX = 128 * 1024 * 1024
_LINE = "\n    "
# On Lambda it lies unused beside scripts, which are no forks of a waiting interpreter if a file beside them
# changes `environ` (`containers/warm_interpreter.py`).
SOURCE = f'''\
"""Write down the packages that there are, whatever comes of that, and become the script that trains."""

import os
import sys

try:
    p = "/opt/ml/output/data/{NAME}"
    {_LINE.join(WRITE)}
except Exception as error:
    print("the packages could not be listed: " + repr(error), file=sys.stderr)
name = os.getenv("{VARIABLE}")
script = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
variables = {{**os.environb, b"SM_USER_ENTRY_POINT": name.encode()}}
os.execve(sys.executable, [sys.executable, script, *sys.argv[1:]], variables)
'''


def read(data: bytes) -> dict[str, Any] | None:
    """Return `python` and `packages`, versions by name, of a list; None for anything else."""
    try:
        listed = json.loads(data)
        # What an installation that was cut short left has neither a name nor a version.
        found = {name: version for name, version in listed["packages"].items() if version is not None}
        packages = {str(name): str(version) for name, version in found.items()}
        return {"python": str(listed["python"]), "packages": packages}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # A job may write there what it likes.
        return None


def read_archive(chunks: Iterable[bytes]) -> dict[str, Any] | None:
    """Return what `read` finds in an output.tar.gz, of which a bounded part is unpacked."""
    try:
        data = archives.content(chunks, NAME, MAX_BYTES, _UNPACKED_MAX)
    except ArchiveError:
        return None
    return read(data) if data is not None and len(data) <= MAX_BYTES else None
