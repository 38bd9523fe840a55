"""The model server's handlers, as the SageMaker inference toolkit defines them."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import pytest
from werkzeug.wrappers import Response as WebResponse

from sluice_local.serving.context import Context
from sluice_local.serving.formats import UnsupportedFormatError, decode, encode
from sluice_local.serving.handlers import InferenceService
from sluice_local.serving.server import Environment, load_service


class Array(list[Any]):
    """What numpy's arrays and scalars have in common here."""

    def tolist(self) -> list[Any]:
        return list(self)


def script(**handlers: Any) -> ModuleType:
    """A user's module; without other handlers it answers with the JSON it was sent."""
    module = ModuleType("inference")
    module.__dict__.update({"model_fn": lambda model_dir: model_dir, **handlers})
    return module


def echo(**handlers: Any) -> ModuleType:
    defaults = {
        "input_fn": lambda data, content_type: json.loads(data),
        "predict_fn": lambda data, model: data,
    }
    return script(**{**defaults, **handlers})


def service(module: ModuleType, **options: Any) -> InferenceService:
    return InferenceService(module, "/opt/ml/model", **options)


JSON_REQUEST = {"Content-Type": "application/json", "Accept": "application/json"}


def test_a_request_passes_the_three_handlers_in_turn() -> None:
    module = script(
        model_fn=lambda model_dir: {"from": model_dir},
        input_fn=lambda data, content_type: f"{content_type}:{data}",
        predict_fn=lambda data, model: f"{data}|{model['from']}",
        output_fn=lambda prediction, accept: f"{prediction}|{accept}",
    )
    response = service(module).respond(b"1,2", {"Content-Type": "text/csv", "Accept": "text/plain"})
    assert response.body == b"text/csv:1,2|/opt/ml/model|text/plain"
    assert (response.status, response.headers["Content-Type"]) == (200, "text/plain")


def test_a_response_of_the_images_web_framework_is_sent_as_it_is() -> None:
    refusal = WebResponse('{"error": "no such product"}', 422, mimetype="application/json")
    response = service(echo(output_fn=lambda prediction, accept: refusal)).respond(b"1", JSON_REQUEST)
    assert (response.status, response.body) == (422, b'{"error": "no such product"}')
    assert response.headers["Content-Type"] == "application/json"


def test_transform_fn_stands_for_all_three() -> None:
    module = script(
        transform_fn=lambda model, data, content_type, accept: (f"{model}:{data.decode()}", "text/plain")
    )
    response = service(module).respond(b"x", {"Content-Type": "application/octet-stream"})
    assert (response.body, response.headers["Content-Type"]) == (b"/opt/ml/model:x", "text/plain")


def test_transform_fn_beside_another_handler_does_not_start() -> None:
    module = echo(transform_fn=lambda model, data, content_type, accept: "")
    with pytest.raises(ValueError, match="Cannot use transform_fn implementation in conjunction"):
        service(module)


def test_a_script_without_model_fn_does_not_start() -> None:
    with pytest.raises(NotImplementedError, match="model_fn"):
        service(ModuleType("inference"))


def test_a_handler_may_take_the_context() -> None:
    def output_fn(prediction: Any, accept: str, context: Context) -> str:
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "model=7")
        context.set_response_status(201)
        attributes = context.get_request_header(0, "x-amzn-sagemaker-custom-attributes")
        return f"{attributes} {context.get_request_id()}"

    headers = JSON_REQUEST | {
        "X-Amzn-SageMaker-Custom-Attributes": "trace=1",
        "X-Amzn-SageMaker-Inference-Id": "i-1",
    }
    response = service(echo(output_fn=output_fn)).respond(b"{}", headers)
    assert (response.status, response.body) == (201, b"trace=1 i-1")
    assert response.headers["X-Amzn-SageMaker-Custom-Attributes"] == "model=7"


def test_model_fn_may_take_the_context() -> None:
    module = echo(
        model_fn=lambda model_dir, context: context.system_properties["model_dir"],
        predict_fn=lambda data, model: model,
    )
    assert service(module).respond(b"1", JSON_REQUEST).body == b'"/opt/ml/model"'


@pytest.mark.parametrize("accept", [{}, {"Accept": "*/*"}])
def test_who_accepts_anything_gets_the_default_type(accept: dict[str, str]) -> None:
    answering = service(echo(), default_accept="text/csv")
    response = answering.respond(b"[[1, 2], [3, 4]]", {"Content-Type": "application/json", **accept})
    assert (response.body, response.headers["Content-Type"]) == (b"1,2\n3,4\n", "text/csv")


def test_an_exception_is_named_as_its_message_alone_may_say_nothing() -> None:
    response = service(echo(predict_fn=lambda data, model: data["rows"])).respond(b"{}", JSON_REQUEST)
    assert (response.status, response.body) == (500, b"KeyError: 'rows'")


def test_an_exception_is_a_500_with_its_message_and_its_traceback_in_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def predict_fn(data: Any, model: Any) -> Any:
        raise KeyError("column 'review' is missing")

    response = service(echo(predict_fn=predict_fn)).respond(b"{}", JSON_REQUEST)
    assert (response.status, b"column 'review' is missing" in response.body) == (500, True)
    log = capsys.readouterr().err
    assert "Traceback" in log
    assert "in predict_fn" in log


def test_an_exception_with_a_status_code_chooses_the_status() -> None:
    class BadRequestError(Exception):
        status_code = 400

    def input_fn(data: str, content_type: str) -> Any:
        raise BadRequestError("no rows")

    response = service(echo(input_fn=input_fn)).respond(b"", JSON_REQUEST)
    assert (response.status, response.body) == (400, b"no rows")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "image/png", "Accept": "application/json"}, 415),
        ({"Content-Type": "application/json", "Accept": "image/png"}, 406),
    ],
)
def test_types_without_a_default_handler_are_refused(headers: dict[str, str], status: int) -> None:
    handlers = {"predict_fn": lambda data, model: data}
    if status == 406:
        handlers["input_fn"] = lambda data, content_type: data
    assert service(script(**handlers)).respond(b"[]", headers).status == status


def test_a_handler_with_too_many_arguments_is_named() -> None:
    def predict_fn(data: Any, model: Any, context: Context, more: Any) -> Any:
        return data

    response = service(echo(predict_fn=predict_fn)).respond(b"{}", JSON_REQUEST)
    assert response.body == b"TypeError: predict_fn must take 2 or 3 arguments, but takes 4"


@pytest.mark.parametrize(
    ("prediction", "accept", "body"),
    [
        (Array([1, 2.5]), "application/json", "[1, 2.5]"),
        ({"scores": Array([0.1])}, "application/json", '{"scores": [0.1]}'),
        (Array([[1, 2], [3, 4]]), "text/csv", "1,2\n3,4\n"),
        (["great", "other"], "text/csv", "great\nother\n"),
        (7, "text/csv", "7\n"),
    ],
)
def test_predictions_are_written_as_the_toolkit_writes_them(prediction: Any, accept: str, body: str) -> None:
    assert encode(prediction, accept) == body


def test_what_json_cannot_hold_is_an_error() -> None:
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        encode(object(), "application/json")


def test_decoding_an_unknown_type_says_what_to_implement() -> None:
    with pytest.raises(UnsupportedFormatError, match="Please implement input_fn"):
        decode(b"", "application/parquet")


def test_the_settings_come_from_the_toolkits_variables() -> None:
    given = {"SAGEMAKER_BIND_TO_PORT": "8123", "SAGEMAKER_BASE_DIR": "/base", "SAGEMAKER_PROGRAM": "serve.py"}
    environment = Environment.read(given)
    assert (environment.port, environment.program) == (8123, "serve.py")
    assert (str(environment.model_dir), str(environment.code_dir)) == ("/base/model", "/base/model/code")


def test_a_program_is_imported_from_the_code_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beside.py").write_text("ANSWER = 42\n")
    (tmp_path / "serve_answer.py").write_text(
        "from beside import ANSWER\n"
        "def model_fn(model_dir): return ANSWER\n"
        "def input_fn(data, content_type): return data\n"
        "def predict_fn(data, model): return model\n"
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    environment = Environment.read(
        {"SAGEMAKER_SUBMIT_DIRECTORY": str(tmp_path), "SAGEMAKER_PROGRAM": "serve_answer.py"}
    )
    assert load_service(environment).respond(b"", JSON_REQUEST).body == b"42"
