"""Run one training or processing job as SageMaker does: the user's script, unchanged, and nothing of it left.

This function's own role allows nothing that a job needs. Each order brings the credentials of its job, and
the role reads the key to them.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.adapters.job_platform import Account, JobLog, JobRecords, JobStorage, announce
from sluice.containers import environments, orders, processes, running
from sluice.containers.data import DataError, S3Location
from sluice.containers.environments import Python, Seal
from sluice.containers.orders import Credentials, Order
from sluice.containers.running import Ending, Job
from sluice.containers.warm import Warm

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_TMP = Path("/tmp")  # noqa: S108 - Lambda's only writable folder, and the execution environment's own
# What a layer links /opt/ml to.
_ML = _TMP / "ml"
_ENVIRONMENTS = _TMP / "environments"
_HOME = _TMP / "home"
# The credentials of this function's own role, as Lambda gives them.
_OWN = {
    "AccessKeyId": "AWS_ACCESS_KEY_ID",
    "SecretAccessKey": "AWS_SECRET_ACCESS_KEY",
    "SessionToken": "AWS_SESSION_TOKEN",
}
# Set for where AWS is reached, and for the libraries of Lambda's Python.
_PASSED_ON = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "LD_LIBRARY_PATH")


@dataclass(slots=True)
class _Kept:
    """The environment that the last job left unpacked, and whose job that was."""

    pipeline: str = ""
    digest: str = ""
    python: Python | None = None
    # Of its files as they were unpacked.
    seal: Seal | None = None
    warm: Warm | None = None
    # Of this process, before the first script.
    limits: Sequence[object] = ()
    # Whether the script that has just ended left it as it was, while that is looked at.
    looked: Future[bool] | None = None

    def is_for(self, order: Order) -> bool:
        """Tell whether it is the order's."""
        wanted = (order.environment or {}).get("digest", "")
        return self.python is not None and (self.pipeline, self.digest) == (order.pipeline, wanted)

    def is_intact(self) -> bool:
        """Tell whether it is as it was unpacked: scripts run as who unpacked it."""
        return self.seal is not None and self.seal.is_intact()

    def end_others(self) -> bool:
        """End all processes that a job started; tell whether it is as it was unpacked."""
        if self.warm is not None:
            self.warm.rest()
        processes.end_children(self.warm.pids if self.warm is not None else set())
        return self.is_intact()

    def look(self) -> Future[bool]:
        """Do that once for a job, beside its last requests if its outputs are packed by then."""
        if self.looked is None:
            pool = ThreadPoolExecutor(1, thread_name_prefix="look")
            self.looked = pool.submit(self.end_others)
            pool.shutdown(wait=False)
        return self.looked

    def forget(self) -> None:
        """Keep nothing of a pipeline."""
        if self.warm is not None:
            self.warm.end()
        self.pipeline, self.digest, self.python, self.seal, self.warm = "", "", None, None, None


_kept = _Kept()


@cache
def _accounts() -> tuple[Account, Account]:
    """Return the account as the script may use it, and as this function does."""
    return Account(), Account()


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    started = time.time()
    order = Order.of(event)
    processes.shield()
    _kept.limits = _kept.limits or processes.limits(os.getpid())
    _prepare(order)
    try:
        return _serve(order, started, context)
    finally:
        # Whatever happened: the runtime asks for the next order as soon as this returns.
        for account in _accounts():
            account.forget()
        _leave_nothing(order)


def _serve(order: Order, started: float, context: LambdaContext) -> dict[str, str]:
    given, own = _credentials(order)
    theirs, ours = _accounts()
    theirs.act_as(given)
    ours.act_as(own)
    records = JobRecords(ours.client("s3"), order.records_uri)
    remaining_s = context.get_remaining_time_in_millis() / 1000
    # Two invocations of one order have the same request id: the last member tells them apart.
    claim = {"claimed_at": started, "timeout_s": remaining_s, "claimant": uuid.uuid4().hex}
    if not records.create(orders.CLAIM, claim):
        # By another invocation; or it was given up while it waited, and may run elsewhere.
        return {"status": "claimed before"}
    log = JobLog(ours.client("logs"), order.log_group, order.log_stream)
    try:
        ending = _run(order, given, log, records, context)
    finally:
        log.close()
    memory_mb = int(context.memory_limit_in_mb)
    usage = {
        "billed_s": round(time.time() - started, 3),
        "memory_mb": memory_mb,
        "architecture": orders.architecture(),
        "peak_memory_mb": ending.peak_mb,
        "script_s": round(ending.script_s, 4),
    }
    records.create(orders.RESULT, {**ending.item(), "usage": usage, "log_problem": log.problem})
    # The next order may come as soon as the end is announced: what takes long is done before.
    with suppress(processes.LeftoverError, OSError):
        _clear()
    said = announce(ours.client("events"), {"stack": order.stack, "JobName": order.name})
    if said:
        print(f"the end of {order.name} was not announced: {said}")
    return {"status": ending.status}


def _credentials(order: Order) -> tuple[Credentials, Credentials]:
    """Open the order's credentials, with the key that this function's own role may read."""
    _, ours = _accounts()
    ours.act_as({name: os.environ[variable] for name, variable in _OWN.items()})
    storage = JobStorage(ours.client("s3"), "", os.environ["AWS_REGION"])
    return order.credentials(storage.read(S3Location.of(order.key_uri)))


def _prepare(order: Order) -> None:
    """Use the environment of the last job if that was one of this pipeline, and otherwise remove it."""
    if running.OPT_ML.resolve() != _ML:
        raise RuntimeError(f"{running.OPT_ML} is no link to {_ML}: the layer with the link is missing")
    if not _kept.is_for(order):
        _kept.forget()
        _leave_nothing(order)
        _kept.pipeline = order.pipeline
    if _kept.warm is not None:
        _kept.warm.go_on()
    for folder in (_ML, _HOME):
        # Packages may have written there while they were loaded.
        folder.mkdir(exist_ok=True)
    if _kept.warm is not None:
        _kept.warm.fork_ahead()


def _clear() -> None:
    """End all processes and delete all files of a job."""
    if not _kept.look().result():
        _kept.forget()
        processes.end_children(set())
    processes.clear(_TMP, [_kept.python.folder] if _kept.python else [])


def _leave_nothing(order: Order) -> None:
    """Clear all, or end this process, so that Lambda makes a new one.

    Kept are packages that the job did not change, and an interpreter that has them loaded and stands still:
    what runs here between jobs could take the order of any pipeline.
    """
    try:
        _clear()
        _kept.looked = None
        if processes.limits(os.getpid()) != _kept.limits:
            raise processes.LeftoverError("other limits for all that this process starts")
        if _kept.warm is not None:
            _kept.warm.start()
    except (processes.LeftoverError, OSError) as error:
        print(f"{order.name} left something behind: {error}")
        os._exit(1)


def _run(
    order: Order, given: Credentials, log: JobLog, records: JobRecords, context: LambdaContext
) -> Ending:
    theirs, ours = _accounts()
    try:
        python, warm = _python(order, ours)
    except (DataError, OSError) as error:
        if records.has(orders.STOP):
            return Ending("Stopped", reason=running.STOPPED_BEFORE)
        return Ending("Failed", reason=f"ClientError: {error}")
    output = order.request.get("OutputDataConfig") or order.request.get("ProcessingOutputConfig", {})
    region = os.environ["AWS_REGION"]
    storage = JobStorage(theirs.client("s3"), order.request["RoleArn"], region, output.get("KmsKeyId") or "")
    job = Job(
        kind=order.kind,
        name=order.name,
        arn=order.arn,
        request=order.request,
        variables=_variables() | {variable: given[name] for name, variable in _OWN.items()},
        cpus=os.cpu_count() or 1,
        memory_mb=int(context.memory_limit_in_mb),
        seconds=context.get_remaining_time_in_millis() / 1000 - orders.RESERVE_S,
    )
    ending = running.run(job, storage, python, log, lambda: records.has(orders.STOP), warm, _kept.look)
    ending.written = storage.written
    return ending


def _python(order: Order, ours: Account) -> tuple[Python, Warm]:
    """Return the packages' environment, unpacked unless the pipeline's former job left it."""
    if _kept.python is None or _kept.warm is None:
        if order.environment is None:
            _kept.python = environments.without_packages(_ENVIRONMENTS / "none")
        else:
            digest = order.environment["digest"]
            place = S3Location.of(order.environment["uri"])
            with JobStorage(ours.client("s3"), "", os.environ["AWS_REGION"]).open(place) as archive:
                _kept.python = environments.unpack(archive, digest, _ENVIRONMENTS / digest)
            _kept.digest = digest
        _kept.seal = Seal.of(_kept.python)
        _kept.warm = Warm(_kept.python, _variables())
    return _kept.python, _kept.warm


def _variables() -> dict[str, str]:
    """Return what the variables of all jobs have in common."""
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "HOME": str(_HOME),
        "TMPDIR": str(_TMP),
    }
