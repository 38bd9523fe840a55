"""What steps of each type do: the work of a task, which returns what other steps may refer to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sluice_local.sagemaker.pipelines.work import callbacks, checks, flow, functions, jobs, models
from sluice_local.sagemaker.pipelines.work.task import Task

KINDS: dict[str, Callable[[Task], Any]] = {
    **dict.fromkeys(jobs.KINDS, jobs.run),
    **dict.fromkeys(("QualityCheck", "ClarifyCheck"), checks.run),
    "Model": models.create,
    "RegisterModel": models.register,
    "Condition": flow.decide,
    "Fail": flow.fail,
    "Lambda": functions.invoke,
    "Callback": callbacks.send,
}
