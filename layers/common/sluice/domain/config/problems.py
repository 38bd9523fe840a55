"""Describe what is wrong with a pipeline.yaml: where, what was expected, and the nearest valid word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sluice.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; its text is a single line. Data that were no text have line 0."""

    path: str
    line: int
    message: str
    expected: str
    nearest: str | None = None

    def __str__(self) -> str:
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        where = self.path or "the file"
        where = f"line {self.line}: {where}" if self.line else where
        return f"{where} {self.message}: expected {self.expected}{hint}"


class ConfigError(ValueError):
    """A pipeline.yaml cannot be used; `problems` says why, in the order of lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.path)))
        super().__init__("\n".join(self.reasons))

    @property
    def reasons(self) -> tuple[str, ...]:
        """One line for each problem."""
        return tuple(map(str, self.problems))


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule between fields that a location of the file breaks."""

    loc: tuple[str | int, ...]
    message: str
    expected: str
    nearest: str | None = None


def dotted(path: Sequence[str | int]) -> str:
    """Write a location: `("data", "quality", 0)` as `data.quality[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
