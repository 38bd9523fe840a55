"""What an analyzer finds and leaves in its container: variables, /opt/ml, and the message of its end."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sluice_analyzers.datasets import AnalysisError

# Where this container has its /opt/ml; the variables are translated where it is not mapped.
PROCESSING = Path("/opt/ml/processing")
_MESSAGE = Path("/opt/ml/output/message")


def run(analysis: Callable[[Mapping[str, str]], str]) -> None:
    """Run an analysis, and leave the message that it returns, or that of its failure."""
    try:
        _leave(analysis(os.environ))
    except AnalysisError as error:
        _leave(str(error))
        sys.exit(f"{error}")
    except Exception as error:
        traceback.print_exc()
        _leave(f"{type(error).__name__}: {error}")
        sys.exit(1)


def _leave(message: str) -> None:
    print(message, flush=True)
    _MESSAGE.parent.mkdir(parents=True, exist_ok=True)
    _MESSAGE.write_text(message)


def write(folder: Path, name: str, document: Any) -> None:
    """Write a JSON document, or bytes that are one."""
    folder.mkdir(parents=True, exist_ok=True)
    content = document if isinstance(document, bytes) else json.dumps(document, indent=1).encode()
    (folder / name).write_bytes(content)


def read_json(path: Path) -> Any:
    """Read a JSON document, or the one in a folder; raises AnalysisError."""
    found = next((inner for inner in sorted(path.rglob("*.json"))), path) if path.is_dir() else path
    try:
        return json.loads(found.read_text())
    except (OSError, ValueError) as error:
        raise AnalysisError(f"{found.name} cannot be read as JSON: {error}") from error
