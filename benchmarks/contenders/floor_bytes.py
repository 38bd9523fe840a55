"""The floor of everything: read the file's bytes."""

from __future__ import annotations

from pathlib import Path

from task import Answer, main


def solve(path: Path, _format: str) -> Answer:
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
    return Answer(0, {}, 0, profiled=False)


if __name__ == "__main__":
    main(solve)
