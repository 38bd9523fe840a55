"""Run a job's instances, a container each, until they end, fail, are stopped or take too long."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum, auto

from sluice.containers.output import Metrics, Transcript
from sluice_local.sagemaker.containers.container import NOT_MAPPED, Container, Sandbox
from sluice_local.sagemaker.containers.logs import LogStream
from sluice_local.sagemaker.jobs.lifecycle import INTERRUPTION, Job


class End(Enum):
    """Why a job's containers ended."""

    COMPLETED = auto()
    FAILED = auto()
    STOPPED = auto()
    MAX_RUNTIME = auto()
    INTERRUPTED = auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the containers ended; of one that failed, its index, exit code, last output, and if for memory."""

    end: End
    index: int = 0
    exit_code: int = 0
    traceback: str = ""
    is_out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class Instance:
    """What one instance of a job runs."""

    host: str
    sandbox: Sandbox
    command: Sequence[str]
    variables: Mapping[str, str]
    working_dir: str | None = None


def run(
    job: Job, instances: Sequence[Instance], max_runtime_s: float, metrics: Metrics | None = None
) -> Outcome:
    """Run a container for each instance; return when all have ended and all output is logged."""
    followers = [_Follower(job, index, instance, metrics) for index, instance in enumerate(instances)]
    outcome = _watch(job, followers, time.monotonic() + max_runtime_s)
    for follower in followers:
        follower.thread.join()
    if outcome.end is not End.FAILED:
        return outcome
    failed = followers[outcome.index]
    return replace(
        outcome,
        traceback=failed.transcript.traceback(),
        is_out_of_memory=failed.container.is_out_of_memory,
    )


class _Follower:
    """A running instance; a thread follows its output and reports its end to the job."""

    def __init__(self, job: Job, index: int, instance: Instance, metrics: Metrics | None) -> None:
        stream = LogStream(job.scope, job.kind.log_group, f"{job.name}/{instance.host}-{int(time.time())}")
        if not instance.sandbox.is_mapped:
            stream.write([NOT_MAPPED])
        self.transcript = Transcript(stream.write, metrics)
        self.container: Container = instance.sandbox.start(
            instance.command, instance.variables, instance.working_dir
        )
        self.thread = threading.Thread(
            target=self._follow, args=(job, index), name=f"{job.name}-{instance.host}", daemon=True
        )
        self.thread.start()

    def _follow(self, job: Job, index: int) -> None:
        try:
            self.transcript.follow(self.container.output, lambda: self.container.has_ended)
        finally:
            job.inbox.put((index, self.container.wait()))


def _watch(job: Job, followers: Sequence[_Follower], deadline: float) -> Outcome:
    running = len(followers)
    while running:
        try:
            message = job.inbox.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            _stop(followers, job.runtime.stop_grace_s)
            return Outcome(End.MAX_RUNTIME)
        if message is None:
            _stop(followers, job.runtime.stop_grace_s)
            return Outcome(End.STOPPED)
        if message == INTERRUPTION:
            _stop(followers, job.runtime.stop_grace_s)
            return Outcome(End.INTERRUPTED)
        index, exit_code = message
        if exit_code:
            _stop(followers, 0)  # a cluster that lost a member is useless
            return Outcome(End.FAILED, index, exit_code)
        running -= 1
    return Outcome(End.COMPLETED)


def _stop(followers: Sequence[_Follower], grace_s: float) -> None:
    with ThreadPoolExecutor(len(followers)) as pool:
        list(pool.map(lambda follower: follower.container.stop(grace_s), followers))
