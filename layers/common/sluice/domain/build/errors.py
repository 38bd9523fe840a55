"""Errors of a build: what keeps a run from coming to a verdict. Functions derive theirs from BuildError."""

from __future__ import annotations


class BuildError(Exception):
    """A run cannot go on."""


class JobFailedError(BuildError):
    """A job ended without completing. The state machine tells it by its name from other failures."""


class JobNameTakenError(BuildError):
    """A job of this name is older than the run: a stack that was here before left it."""
