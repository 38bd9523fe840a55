"""Which errors waiting may cure, and that the state machines try again for those and for no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore import exceptions as aws
from botocore.exceptions import ClientError
from botocore.retries import standard
from botocore.session import get_session
from pydantic import ValidationError

import asl
from sluice.adapters import transient
from sluice.adapters.catalog import DynamoDBCatalog
from sluice.catalog.changes import Put
from sluice.domain import quotas
from sluice.domain.build.errors import JobFailedError
from sluice.domain.failures import ConflictError, TransientError
from sluice.domain.release import errors
from sluice.domain.roles import RoleNotReadyError
from sluice.events import BuildTask, event_parser
from sluice.ports import EndpointBusyError
from sluice.services.build.environments import EnvironmentBuildingError
from sluice.tasks import machine_task
from sluice_local.states.retry import Retries

ROOT = Path(__file__).parents[2]
APPS = sorted((ROOT / "functions").glob("*/app.py"))
MACHINES = sorted((ROOT / "statemachines").glob("*.asl.yaml"))


def refusal(code: str, status: int = 400, reasons: tuple[str, ...] = ()) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": "said so"},
        "ResponseMetadata": {"HTTPStatusCode": status},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(cast(Any, answer), "GetItem")


CURABLE = [
    *(
        refusal(code)
        for code in ("ThrottlingException", "Throttling", "TooManyRequestsException", "SlowDown")
    ),
    refusal("ProvisionedThroughputExceededException"),
    refusal("RequestLimitExceeded"),
    refusal("Unheard", 429),
    *(refusal("InternalFailure", status) for status in (500, 502, 503, 504)),
    refusal("RequestTimeout"),
    # Of two who change one thing at once, the slower one is asked to try again.
    refusal("ConditionalRequestConflict", 409),
    refusal("OperationAborted", 409),
    refusal("OperationAbortedException"),
    refusal("ConflictException"),
    refusal("ConcurrentModification", 409),
    refusal("EntityTemporarilyUnmodifiable", 409),
    refusal("TransactionConflictException"),
    refusal("TransactionInProgressException"),
    refusal("TransactionCanceledException", reasons=("None", "TransactionConflict")),
    refusal("TransactionCanceledException", reasons=("ThrottlingError", "None")),
    aws.EndpointConnectionError(endpoint_url="https://aws"),
    aws.ConnectTimeoutError(endpoint_url="https://aws"),
    aws.ReadTimeoutError(endpoint_url="https://aws"),
    aws.ConnectionClosedError(endpoint_url="https://aws"),
    aws.SSLError(endpoint_url="https://aws", error=OSError("reset")),
    aws.ResponseStreamingError(error="broken"),
    aws.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ConflictError("others wrote the same item"),
]
FINAL = [
    *(refusal(code, 403) for code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")),
    refusal("ValidationException"),
    refusal("ResourceNotFoundException"),
    refusal("NoSuchBucket", 404),
    refusal("ResourceInUse"),
    refusal("ResourceLimitExceeded"),
    refusal("LimitExceeded", 409),
    refusal("NotImplemented", 501),
    refusal("KMS.DisabledException"),
    refusal("ItemCollectionSizeLimitExceededException"),
    refusal("TransactionCanceledException", reasons=("None", "ValidationError")),
    aws.NoCredentialsError(),
    aws.ParamValidationError(report="no such parameter"),
    LookupError("there is no project"),
    FileNotFoundError("s3://bucket/key"),
    ValueError("a fault of ours"),
    JobFailedError("no luck"),
]


def raised_for(error: Exception) -> Exception:
    """What leaves a function that a state machine calls, when this happens in it."""

    @machine_task
    def lambda_handler(event: Mapping[str, Any], context: object) -> None:
        raise error

    with pytest.raises(Exception) as raised:  # noqa: PT011 - any at all
        lambda_handler({}, None)
    return raised.value


def tasks(definition: asl.Definition) -> Iterator[tuple[str, asl.Definition]]:
    for name, state in definition["States"].items():
        if state["Type"] == "Task":
            yield name, state
        if state["Type"] == "Map":
            yield from tasks(state["ItemProcessor"])


TASKS = [pytest.param(state, id=name) for path in MACHINES for name, state in tasks(asl.load(path))]


def attempts(task: asl.Definition, error: Exception) -> int:
    """How often a state calls its function, when that fails so each time."""
    retries, name = Retries(task["Retry"]), type(raised_for(error)).__name__
    while retries.next_delay_s({name}) is not None:
        pass
    return 1 + retries.count


def described(error: Exception) -> str:
    return f"{type(error).__name__} {error}"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("error", CURABLE, ids=described)
def test_what_waiting_may_cure_is_tried_again_in_every_state(task: asl.Definition, error: Exception) -> None:
    assert attempts(task, error) == 5


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("error", FINAL, ids=described)
def test_what_no_wait_cures_ends_a_state_at_once(task: asl.Definition, error: Exception) -> None:
    assert attempts(task, error) == 1


@pytest.mark.parametrize("error", CURABLE, ids=described)
def test_a_transient_error_names_what_it_stands_for_and_keeps_its_words(error: Exception) -> None:
    raised = raised_for(error)
    assert type(raised) is TransientError
    assert str(raised) == f"{type(error).__name__}: {error}"
    assert raised.__cause__ is error


@pytest.mark.parametrize("error", FINAL, ids=described)
def test_any_other_error_is_raised_as_it_is(error: Exception) -> None:
    assert raised_for(error) is error


def test_what_answers_is_answered() -> None:
    @machine_task
    def lambda_handler(event: Mapping[str, Any], context: object) -> Any:
        """Say what comes."""
        return event["n"]

    assert lambda_handler({"n": 1}, None) == 1
    assert lambda_handler.__doc__ == "Say what comes."


def test_an_event_that_cannot_be_read_is_no_transient_error() -> None:
    @machine_task
    @event_parser(model=BuildTask)
    def lambda_handler(task: BuildTask, context: LambdaContext) -> None:
        raise AssertionError(task)

    with pytest.raises(ValidationError):
        lambda_handler({"pipeline": 1}, LambdaContext())


def test_botocores_own_retries_know_no_error_that_is_not_known_here() -> None:
    """But LimitExceededException: IAM and CloudWatch Logs say so of quotas, which no wait changes."""
    codes = [*standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES]  # type: ignore[attr-defined]
    codes += standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES  # type: ignore[attr-defined]
    unknown = {code for code in codes if not transient.is_curable(refusal(code))}
    assert unknown == {"LimitExceededException"}


# The services that functions call, and errors of theirs which sound as if they would pass and do not: quotas,
# requests that are too large or contradict what there is, and operations that we do not ask for.
SERVICES = (
    *("dynamodb", "s3", "sagemaker", "sagemaker-runtime", "stepfunctions", "events", "sqs", "iam"),
    *("cloudwatch", "lambda", "logs"),
)
SOUNDS_PASSING = re.compile(r"throttl|internal|unavailab|conflict|concurren|inprogress|busy|temporar", re.I)
STAYS = {
    "ContinuousBackupsUnavailableException",
    "DeleteConflict",
    "ExportConflictException",
    "ImportConflictException",
    "NameConflict",
    "PointInTimeRecoveryUnavailableException",
    "ProvisionedConcurrencyConfigNotFoundException",
    "PurgeQueueInProgress",
    "ReportInProgress",
    "ResourceConflict",
}


@pytest.mark.parametrize("service", SERVICES)
def test_an_error_of_a_service_that_sounds_as_if_it_would_pass_is_known_either_way(service: str) -> None:
    model = get_session().get_service_model(service)
    codes = set()
    for name in model.shape_names:
        shape = model.shape_for(name)
        error = shape.metadata.get("error", {})
        if shape.metadata.get("exception") and error.get("httpStatusCode", 400) < 500:
            codes.add(str(error.get("code", name)))
    passing = {code for code in codes if SOUNDS_PASSING.search(code)}
    assert {code for code in passing if not transient.is_curable(refusal(code))} <= STAYS
    assert not {code for code in STAYS if transient.is_curable(refusal(code))}


def test_a_conflict_that_outlasts_the_catalogs_retries_is_transient() -> None:
    dynamodb = mock.Mock()
    dynamodb.put_item.side_effect = refusal("TransactionConflictException")
    dynamodb.transact_write_items.side_effect = refusal(
        "TransactionCanceledException", reasons=("None", "TransactionConflict")
    )
    catalog = DynamoDBCatalog("table", dynamodb, pause=lambda _: None)
    for changes in ([Put({"pk": "a", "sk": "a"})], [Put({"pk": name, "sk": "a"}) for name in "ab"]):
        with pytest.raises(ClientError) as outlasted:
            catalog.apply(*changes)
        assert type(raised_for(outlasted.value)) is TransientError
    assert dynamodb.put_item.call_count == dynamodb.transact_write_items.call_count > 1


def called_by_machines() -> set[str]:
    """The folders of the functions that the template gives to a state machine."""
    resources = asl.load_template(ROOT / "template.yaml")["Resources"]
    kinds = [each for each in resources.values() if each["Type"] == "AWS::Serverless::StateMachine"]
    given = {name for each in kinds for name in each["Properties"]["DefinitionSubstitutions"].values()}
    functions = {name.removesuffix(".Arn") for name in given} & set(resources)
    return {Path(resources[name]["Properties"]["CodeUri"]).name for name in functions}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "functions").glob("*/app.py")), ids=lambda path: path.parent.name
)
def test_a_function_translates_its_errors_if_a_state_machine_calls_it(path: Path) -> None:
    """Lambda tries an event again after any error, whatever its name."""
    (handler,) = (
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "lambda_handler"
    )
    decorators = [ast.unparse(decorator) for decorator in handler.decorator_list]
    assert ("machine_task" in decorators[1:2]) is (path.parent.name in called_by_machines())


# --------------------------------------------------------------------------- waits of their own length

WAITS: dict[type[Exception], set[str]] = {
    EndpointBusyError: {"DeployModel", "MirrorRequests", "RemoveShadow", "RestoreEndpoint"},
    RoleNotReadyError: {
        "PrepareData",
        "TrainCandidate",
        "EvaluateModel",
        "EvaluateByItsOwnScript",
        "RunPipeline",
        "DeployModel",
        "MirrorRequests",
    },
    EnvironmentBuildingError: {"BuildEnvironment"},
    quotas.QuotaTakenError: {
        "PrepareData",
        "TrainCandidate",
        "EvaluateModel",
        "EvaluateByItsOwnScript",
        "RunPipeline",
        "DeployModel",
        "MirrorRequests",
        "RemoveShadow",
        "RestoreEndpoint",
    },
    errors.StageBusyError: {"PlanRelease"},
    errors.NotRegisteredYetError: {"PlanRelease"},
    errors.AlarmFiringError: {"DeployModel"},
}


@pytest.mark.parametrize("error", WAITS)
def test_a_wait_with_a_length_of_its_own_keeps_its_name(error: type[Exception]) -> None:
    assert issubclass(error, TransientError)
    assert type(raised_for(error("wait"))) is error
    waiting = {
        name for path in MACHINES for name, task in tasks(asl.load(path)) if attempts(task, error("wait")) > 1
    }
    assert waiting == WAITS[error]
