"""Find a job's log, keep the last lines of a failed one, and find the line in them that says why."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from sluice.domain.failures import names_exception

# SageMaker's own groups, which all jobs of an account share.
SAGEMAKER_GROUPS = {
    "training_job": "/aws/sagemaker/TrainingJobs",
    "processing_job": "/aws/sagemaker/ProcessingJobs",
    "transform_job": "/aws/sagemaker/TransformJobs",
}
# Each endpoint has one of its own, with a stream for each instance that ever ran.
ENDPOINT_GROUP = "/aws/sagemaker/Endpoints/{name}"
LINES_MAX = 20
# Of a line, so that a step's item stays small.
LINE_MAX = 400
_TRACEBACK = "Traceback (most recent call last):"
# What SageMaker's toolkits say of a script's end, after the script's own last words.
_TOOLKIT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} sagemaker-\S+ ")
_ENDED = "the script ended with exit code"
# What SageMaker's training toolkit says of a script that ended without a traceback.
_WORDLESS = re.compile(
    r'(?P<error>\w+): ExecuteUserScriptError:\s*ExitCode (?P<code>-?\d+)\s*ErrorMessage ""\s*Command .*',
    re.DOTALL,
)


def group(stack: str, pipeline: str, kind: str, backend: str) -> str:
    """Return the log group of a job, whose streams begin with its name and a slash; empty if it has none."""
    return f"/sluice/{stack}/jobs/{pipeline}" if backend == "lambda" else SAGEMAKER_GROUPS.get(kind, "")


def kept(lines: Sequence[str]) -> list[str]:
    """Return the last lines, none too long."""
    return [line if len(line) <= LINE_MAX else f"{line[: LINE_MAX - 1]}…" for line in lines[-LINES_MAX:]]


def last_words(lines: Sequence[str]) -> str | None:
    """Return the line that says why a script ended: that of the last traceback, or else the last one."""
    said = [line.strip() for line in lines if line.strip() and not _TOOLKIT.match(line)]
    if _TRACEBACK in said:
        start = len(said) - 1 - said[::-1].index(_TRACEBACK)
        if errors := [line for line in said[start + 1 :] if names_exception(line)]:
            return errors[-1]
    return said[-1] if said else None


def told(reason: str, lines: Sequence[str]) -> str:
    """Return a reason that only gives the exit code together with the script's last words."""
    words = last_words(lines)
    ended = _WORDLESS.fullmatch(reason)
    if ended and (words or by_signal(ended["code"])):
        reason = f"{ended['error']}: {ended_with(ended['code'])}"
    if words is None or words in reason or _ENDED not in reason:
        return reason
    return f"{reason.removesuffix('; its log says why')}: {words}"


def ended_with(code: str) -> str:
    """Say with which exit code a script ended, and after which signal: that is all it can say of a crash."""
    return f"{_ENDED} {code}{by_signal(code)}"


def by_signal(code: str) -> str:
    """Name the signal of an exit code, which is 128 and its number, or its negative as Python has it."""
    number = int(code)
    try:
        return f" ({signal.Signals(-number if number < 0 else number - 128).name})"
    except ValueError:
        return ""
