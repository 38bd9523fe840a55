"""run_job leaves nothing of a job behind, also if it cannot say how the job ended."""

from __future__ import annotations

from types import ModuleType

import pytest

from handlers import LambdaContext, load_function
from sluice.containers import orders, processes
from sluice.containers.orders import Order

KEYS = {"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c"}
KEY = b"k" * orders.KEY_BYTES
ORDER = Order(
    kind="processing_job",
    name="job",
    arn="arn:job",
    stack="stack",
    pipeline="reviews",
    request={},
    records_uri="s3://artifacts/jobs/job",
    log_group="group",
    log_stream="stream",
    sealed_credentials=orders.seal(KEYS, KEYS, KEY),
    key_uri="s3://artifacts/jobs/job/keys/one",
    secret="secret",
)


@pytest.fixture
def run_job(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(processes, "shield", lambda: None)
    module = load_function("run_job")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "own")
    monkeypatch.setattr(module, "_prepare", lambda order: None)
    monkeypatch.setattr(module.JobStorage, "read", lambda self, location: KEY)
    return module


def test_a_job_whose_end_cannot_be_recorded_leaves_no_process_and_no_credentials(
    run_job: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Order] = []

    def fail(*_: object) -> None:
        raise ConnectionError("no S3")

    monkeypatch.setattr(run_job, "_leave_nothing", left.append)
    monkeypatch.setattr(run_job.JobRecords, "create", fail)
    with pytest.raises(ConnectionError):
        run_job.lambda_handler(ORDER.event(), LambdaContext())
    assert [order.name for order in left] == ["job"]
    for account in run_job._accounts():
        assert account._session.get_credentials().secret_key == "none"


def test_a_job_that_was_given_up_while_its_order_waited_is_not_run(
    run_job: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_job, "_leave_nothing", lambda order: None)
    monkeypatch.setattr(run_job.JobRecords, "create", lambda self, name, content: name != "claim.json")
    monkeypatch.setattr(run_job, "_run", lambda *given: pytest.fail("it was run"))
    assert run_job.lambda_handler(ORDER.event(), LambdaContext()) == {"status": "claimed before"}
