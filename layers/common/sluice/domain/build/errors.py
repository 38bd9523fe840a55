"""Errors that keep a run from a verdict. Functions derive theirs from BuildError."""

from __future__ import annotations


class BuildError(Exception):
    """A run cannot continue."""


class DatasetChangedError(BuildError):
    """Objects changed since the data set version was made: jobs would read, or have read, something else."""


class CodeChangedError(BuildError):
    """The pushed code has changed since: a run would execute, or has executed, code that nobody pushed."""


class JobFailedError(BuildError):
    """A job ended without completing. The state machine knows this error by name."""


class LambdaLimitError(BuildError):
    """A limit of Lambda ended a job, and SageMaker may run it. The state machine knows this error by name."""


class JobNameTakenError(BuildError):
    """A job of this name is older than the run: a former stack left it."""
