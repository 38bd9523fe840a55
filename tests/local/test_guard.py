"""What the local cloud refuses to answer: pages of a browser, and with IAM whoever did not sign."""

from __future__ import annotations

import base64
import hashlib
import http.client
import http.server
import io
import json
import os
import shutil
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local.functions import create_function, invoke
from sluice_local.cloud import LocalCloud
from sluice_local.serving.handlers import InferenceService
from sluice_local.serving.server import ModelServer

ROOT = Credentials("test", "test")
ROLE = "arn:aws:iam::000000000000:role/visitor"
HELLO = "def handler(event, context): return {'statusCode': 200, 'body': 'hello'}"
SIMPLE = {"Content-Type": "text/plain;charset=UTF-8"}  # what a page may send without asking first
PAGE = """<!doctype html><title>running</title><script>
const cloud = "http://127.0.0.1:%(port)d", local = "http://localhost:%(port)d";
const text = {"Content-Type": "text/plain;charset=UTF-8"};
async function attempt(url, options) {
  try {
    const answer = await fetch(url, options);
    return answer.type + answer.status;
  } catch (error) { return "failed"; }
}
(async () => {
  const found = {};
  for (const [where, base] of [["ip", cloud], ["name", local]]) {
    found[where + " create"] = await attempt(base + "/2015-03-31/functions",
      {method: "POST", mode: "no-cors", headers: text, body: JSON.stringify(%(function)s)});
    found[where + " read"] = await attempt(base + "/", {});
    found[where + " preflight"] = await attempt(base + "/2015-03-31/functions",
      {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"});
  }
  found.socket = await new Promise(resolve => {
    const socket = new WebSocket("ws://127.0.0.1:%(port)d/_aws/execute-api/none/x");
    socket.onopen = () => resolve("opened"); socket.onerror = () => resolve("failed");
  });
  document.title = "done";
  await fetch("/found", {method: "POST", body: JSON.stringify(found)});
})();
</script>"""


def send(
    cloud: LocalCloud, method: str, path: str, headers: dict[str, str], body: str | bytes = ""
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """A request as it goes over the wire; `Host` is our address unless it is given."""
    return send_to(int(cloud.endpoint_url.rpartition(":")[2]), method, path, headers, body)


def send_to(
    port: int, method: str, path: str, headers: dict[str, str], body: str | bytes = ""
) -> tuple[int, http.client.HTTPMessage, bytes]:
    content = body.encode() if isinstance(body, str) else body
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {
            "Host": f"127.0.0.1:{port}",
            "Content-Length": str(len(content)),
            **headers,
        }.items():
            connection.putheader(name, value)
        connection.endheaders(content)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def new_function(name: str, archive: bytes) -> dict[str, Any]:
    return {
        "FunctionName": name,
        "Runtime": "python3.11",
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": base64.b64encode(archive).decode()},
    }


@pytest.fixture(scope="module")
def code() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "def handler(event, context): return 1\n")
    return archive.getvalue()


# ------------------------------------------------------------------ pages


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "elsewhere.example"},
        {"Host": "elsewhere.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "127.0.0.1.elsewhere.example:{port}"},
        {"Host": "localhost.elsewhere.example:{port}"},
        {"Host": "elsewhere.localhost.:{port}"},
        {"Host": "0.0.0.0:{port}"},
        {"Host": ""},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://localhost:{port}"},
        {"Host": "localhost:{port}", "Origin": "http://page.localhost:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "whatever"},
    ],
    ids=str,
)
def test_a_request_of_a_page_of_another_origin_is_refused_and_nothing_done(
    cloud: LocalCloud, unique: Callable[[str], str], code: bytes, headers: dict[str, str]
) -> None:
    port, name = cloud.endpoint_url.rpartition(":")[2], unique("visitor")
    sent = {key: value.format(port=port) for key, value in headers.items()}
    body = json.dumps(new_function(name, code))
    status, answered, content = send(cloud, "POST", "/2015-03-31/functions", {**SIMPLE, **sent}, body)
    assert status == 403, content
    assert "local cloud answers" in json.loads(content)["message"]
    assert not [key for key in answered if key.lower().startswith("access-control-")]
    with pytest.raises(ClientError, match="ResourceNotFound"):
        cloud.client("lambda").get_function(FunctionName=name)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "LOCALHOST:{port}"},
        {"Host": "[::1]:{port}"},
        {"Host": "some-bucket.localhost:{port}"},
        {"Host": "some-bucket.s3.us-east-1.localhost:{port}"},
        {"Host": "localhost:{port}", "Origin": "http://localhost:{port}", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_a_program_and_an_address_that_was_typed_are_answered(
    cloud: LocalCloud, headers: dict[str, str]
) -> None:
    port = cloud.endpoint_url.rpartition(":")[2]
    status, answered, _ = send(
        cloud, "GET", "/", {key: value.format(port=port) for key, value in headers.items()}
    )
    assert status in (200, 404)  # 404: there is no such bucket
    assert not [key for key in answered if key.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    "path", ["/", "/_ministack/health", "/_local/faults", "/2015-03-31/functions", "/bucket"]
)
def test_no_preflight_is_answered_with_an_invitation(cloud: LocalCloud, path: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    status, answered, _ = send(cloud, "OPTIONS", path, {**asked, "Origin": "http://elsewhere.example"})
    assert status == 403
    assert not [key for key in answered if key.lower().startswith("access-control-")]
    _, answered, _ = send(cloud, "OPTIONS", path, asked)
    assert not [key for key in answered if key.lower().startswith("access-control-")]


def test_a_web_socket_of_a_page_is_refused(cloud: LocalCloud) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode()}
    status, _, _ = send(
        cloud, "GET", "/_aws/execute-api/x/y", {**upgrade, **key, "Origin": "http://elsewhere.example"}
    )
    assert status == 403


def test_a_page_in_a_real_browser_makes_and_reads_nothing(
    cloud: LocalCloud, unique: Callable[[str], str], code: bytes, tmp_path: Path
) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("there is no chromium on this machine: only the plain HTTP tests of the guard were run")
    name, port = unique("visitor"), int(cloud.endpoint_url.rpartition(":")[2])
    page = PAGE % {"port": port, "function": json.dumps(new_function(name, code))}
    found = visit(browser, page, tmp_path / "profile")
    # The page never learns the status of what it sent blindly: it must see nothing, and nothing may be there.
    assert set(found) >= {"ip create", "ip read", "ip preflight", "name create", "socket"}
    assert {answer for key, answer in found.items() if not key.endswith("create")} == {"failed"}, found
    with pytest.raises(ClientError, match="ResourceNotFound"):
        cloud.client("lambda").get_function(FunctionName=name)


def visit(browser: str, page: str, profile: Path) -> dict[str, str]:
    """What a page says that it found out, in a browser without a window."""
    found: list[dict[str, str]] = []
    told = threading.Event()

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(page.encode() if self.path == "/" else b"")

        def do_POST(self) -> None:
            said = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(b"")
            # The port may have been another program's, whose clients still call it.
            if self.path == "/found":
                found.append(json.loads(said))
                told.set()

        def answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None: ...

    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    )
    options += " --disable-component-update --disable-sync --disable-dev-shm-usage --no-proxy-server"
    # The browser leaves a folder there, with a socket, whose path has to be short.
    with (
        tempfile.TemporaryDirectory() as left,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as site,
    ):
        threading.Thread(target=site.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{site.server_port}/"
        command = [
            browser,
            *options.split(),
            f"--user-data-dir={profile}",
            "--remote-debugging-port=0",
            address,
        ]
        process = subprocess.Popen(
            command,
            env={**os.environ, "TMPDIR": left},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert told.wait(60), "the page did not run in the browser"
        finally:
            process.terminate()
            process.wait(60)
            site.shutdown()
    return found[0]


def test_the_ports_of_functions_and_model_servers_are_guarded_too(
    cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    name = unique("runtime")
    create_function(
        cloud, name, "import os\ndef handler(event, context): return os.environ['AWS_LAMBDA_RUNTIME_API']"
    )
    address, _ = invoke(cloud, name)
    module = ModuleType("inference")
    module.__dict__.update({"model_fn": lambda folder: None, "predict_fn": lambda data, model: data})
    with ModelServer(0, InferenceService(module, "/opt/ml/model")) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        runtime_port, _, secret = address.removeprefix("127.0.0.1:").partition("/")
        next_event = "/2018-06-01/runtime/invocation/next"
        for guess in ("", "/guessed", f"/{secret[:-1]}"):
            assert send_to(int(runtime_port), "GET", f"{guess}{next_event}", {})[0] == 404
        ports = ((int(runtime_port), f"/{secret}/"), (server.server_address[1], "/ping"))
        for port, path in ports:
            answered = [
                send_to(port, "GET", path, headers)[0]
                for headers in (
                    {},
                    {"Host": f"elsewhere.example:{port}"},
                    {"Origin": "http://elsewhere.example"},
                )
            ]
            assert answered == [200 if path == "/ping" else 404, 403, 403]
        server.shutdown()


# ------------------------------------------------------------------ signatures


@pytest.fixture(scope="module")
def closed(auth_cloud: LocalCloud) -> LocalCloud:
    """A cloud that enforces IAM, with something of each kind in it."""
    auth_cloud.client("s3").create_bucket(Bucket="guarded")
    auth_cloud.client("s3").put_object(Bucket="guarded", Key="a b/ü+%.txt", Body=b"kept")
    auth_cloud.client("sqs").create_queue(QueueName="guarded")
    auth_cloud.client("iam").create_user(UserName="nobody")
    service = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role = auth_cloud.client("iam").create_role(
        RoleName="guarded",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [service]}),
    )["Role"]["Arn"]
    create_function(auth_cloud, "guarded", HELLO, Role=role)
    return auth_cloud


REQUESTS = [
    ("GET", "/", ""),
    ("GET", "/guarded", ""),
    ("GET", "/guarded/a%20b/%C3%BC%2B%25.txt", ""),
    ("GET", "/_ministack/health", ""),
    ("GET", "/health", ""),
    ("GET", "/_ministack/lambda-code/000000000000/us-east-1/guarded", ""),
    ("POST", "/_ministack/reset", ""),
    ("POST", "/_ministack/config", "{}"),
    ("GET", "/_localstack/health", ""),
    ("GET", "/_local/faults", ""),
    ("GET", "/_local/delivery", ""),
    ("GET", "/_local/iam/used", ""),
    ("GET", "/2015-03-31/functions/", ""),
    ("POST", "/2015-03-31/functions/guarded/invocations", "{}"),
    ("POST", "/000000000000/guarded", "Action=SendMessage&MessageBody=x"),
    ("GET", "/000000000000/guarded?Action=ReceiveMessage", ""),
    ("POST", "/", "Action=ListQueues"),
    ("POST", "/", "Action=GetCallerIdentity&Version=2011-06-15"),
    ("POST", "/endpoints/none/invocations", "{}"),
    ("GET", "/_aws/sqs/messages", ""),
]


@pytest.fixture(scope="module")
def worthless(closed: LocalCloud) -> dict[str, Credentials]:
    """Keys that count for nothing here."""
    key = closed.client("iam").create_access_key(UserName="nobody")["AccessKey"]
    closed.client("iam").update_access_key(
        UserName="nobody", AccessKeyId=key["AccessKeyId"], Status="Inactive"
    )
    return {
        "a wrong secret": Credentials("test", "guessed"),
        "an account's number": Credentials("000000000000", "test"),
        "an unknown key": Credentials("AKIAIOSFODNN7EXAMPLE", "test"),
        "a key of no session": Credentials("ASIAIOSFODNN7EXAMPLE", "test", "token"),
        "an inactive key": Credentials(key["AccessKeyId"], key["SecretAccessKey"]),
        "a token of nothing": Credentials("test", "test", "token"),
    }


def signed(
    cloud: LocalCloud, method: str, path: str, body: str, keys: Credentials, service: str = ""
) -> dict[str, str]:
    service = service or ("s3" if path.startswith("/guarded") or (path == "/" and not body) else "other")
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if body.startswith("Action") else {}
    request = AWSRequest(method, cloud.endpoint_url + path, dict(kind), body)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(keys, service, "us-east-1").add_auth(request)
    return dict(request.headers.items())


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=str)
def test_with_iam_nobody_gets_past_without_a_valid_signature(
    closed: LocalCloud, worthless: dict[str, Credentials], method: str, path: str, body: str
) -> None:
    scope = "Credential=test/20261124/us-east-1/s3/aws4_request"
    joiner = "&" if "?" in path else "?"
    presigned = f"{path}{joiner}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0&X-Amz-SignedHeaders=host"
    presigned += "&X-Amz-Date=20990101T000000Z&X-Amz-Expires=600"
    presigned += "&X-Amz-Credential=test/20990101/us-east-1/s3/aws4_request"
    attempts: dict[str, tuple[str, dict[str, str]]] = {
        "nothing": (path, {}),
        "a bearer": (path, {"Authorization": "Bearer token"}),
        "a bogus signature": (
            path,
            {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"},
        ),
        "no signature in it": (path, {"Authorization": f"AWS4-HMAC-SHA256 {scope}"}),
        "version 2": (path, {"Authorization": "AWS test:c2lnbmF0dXJl"}),
        "a bad presigned query": (presigned, {}),
        "a version 2 query": (f"{path}{joiner}AWSAccessKeyId=test&Signature=x&Expires=9999999999", {}),
    }
    for what, keys in worthless.items():
        attempts[what] = (path, signed(closed, method, path, body, keys))
    for what, (where, headers) in attempts.items():
        status, _, content = send(closed, method, where, headers, body)
        assert 400 <= status <= 403, (what, status, content)
    assert b"guarded" not in content


def test_with_iam_the_root_user_signs_with_its_secret(closed: LocalCloud) -> None:
    for method, path, body in REQUESTS:
        if "reset" in path:
            continue
        status, _, content = send(closed, method, path, signed(closed, method, path, body, ROOT), body)
        assert status != 403, (path, content)


def test_with_iam_a_function_s_secret_does_not_follow_from_its_name(closed: LocalCloud) -> None:
    role = closed.client("iam").get_role(RoleName="guarded")["Role"]["Arn"]
    source = "import os\ndef handler(event, context): return dict(os.environ)"
    name = create_function(closed, "names", source, Role=role)
    environment, _ = invoke(closed, "names")
    digest = hashlib.sha256(f"{name}:{role}".encode()).hexdigest()
    for guess in (digest, hashlib.sha256(f"secret:{digest}".encode()).hexdigest(), "test"):
        keys = Credentials(environment["AWS_ACCESS_KEY_ID"], guess, environment["AWS_SESSION_TOKEN"])
        assert send(closed, "GET", "/guarded", signed(closed, "GET", "/guarded", "", keys))[0] == 403
    parts = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
    own = Credentials(*(environment[f"AWS_{part}"] for part in parts))
    identity = "Action=GetCallerIdentity&Version=2011-06-15"
    assert (
        b"assumed-role/guarded/names"
        in send(closed, "POST", "/", signed(closed, "POST", "/", identity, own, "sts"), identity)[2]
    )


UNSIGNED = [{}, {"Authorization": "Bearer token"}, {"Authorization": "Basic dGVzdDp0ZXN0"}]


@pytest.mark.parametrize(
    "path", ["execute-api/", "execute-api/x", "execute-api//x", "lambda-url/", "lambda-url//"]
)
@pytest.mark.parametrize("headers", UNSIGNED, ids=str)
def test_with_iam_a_url_of_nothing_leads_to_no_service(
    closed: LocalCloud, path: str, headers: dict[str, str]
) -> None:
    target = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
    for method, sent in (("POST", target), ("GET", {})):
        url = f"/_aws/{path}?Action=ListUsers&Version=2010-05-08"
        status, _, content = send(closed, method, url, {**sent, **headers}, "{}" if method == "POST" else "")
        assert status in (400, 403), content


def test_with_iam_an_http_api_is_served_as_its_routes_say(closed: LocalCloud) -> None:
    gateway = closed.client("apigatewayv2")
    api = gateway.create_api(Name="guarded", ProtocolType="HTTP")["ApiId"]
    function = f"arn:aws:lambda:us-east-1:{closed.account}:function:guarded"
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    for key, kind in (("GET /open", "NONE"), ("GET /iam", "AWS_IAM")):
        gateway.create_route(
            ApiId=api, RouteKey=key, Target=f"integrations/{integration}", AuthorizationType=kind
        )
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    closed.client("lambda").add_permission(
        FunctionName="guarded",
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    path = f"/_aws/execute-api/{api}/$default"
    for headers in UNSIGNED:
        assert send(closed, "GET", f"{path}/open", headers)[2] == b"hello"
        for refused in ("iam", "none", "@connections/x"):
            assert send(closed, "GET", f"{path}/{refused}", headers)[0] in (400, 403)
    keys = signed(closed, "GET", f"{path}/iam", "", ROOT, "execute-api")
    assert send(closed, "GET", f"{path}/iam", keys)[2] == b"hello"
    gateway.delete_api(ApiId=api)


@pytest.mark.parametrize("change", ["body", "path", "query", "header", "method", "date"])
def test_with_iam_what_was_signed_is_what_must_be_sent(closed: LocalCloud, change: str) -> None:
    body, path, method = "Action=ListQueues", "/?a=1", "POST"
    headers = signed(closed, method, path, body, ROOT, "sqs")
    assert send(closed, method, path, headers, body)[0] == 200
    if change == "body":
        body = "Action=ListQueues&QueueNamePrefix=g"
    elif change == "path":
        path = "/x?a=1"
    elif change == "query":
        path = "/?a=2"
    elif change == "header":
        headers["Host"] = f"localhost:{closed.endpoint_url.rpartition(':')[2]}"
    elif change == "method":
        method = "GET"
    elif change == "date":
        date = headers["X-Amz-Date"]
        headers["X-Amz-Date"] = f"{date[:-2]}{(int(date[-2]) + 1) % 10}Z"
    assert send(closed, method, path, headers, body)[0] == 403


def test_with_iam_one_request_cannot_name_two_keys(closed: LocalCloud) -> None:
    session = role_session(closed)
    headers = signed(closed, "GET", "/", "", session)
    value = headers["Authorization"].replace("AWS4-HMAC-SHA256 ", "")
    headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/s3/aws4_request, {value}"
    assert send(closed, "GET", "/", headers)[0] == 400
    headers = signed(closed, "GET", "/?X-Amz-Credential=test/x&X-Amz-Signature=0", "", session)
    assert send(closed, "GET", "/?X-Amz-Credential=test/x&X-Amz-Signature=0", headers)[0] in (400, 403)


def role_session(cloud: LocalCloud) -> Credentials:
    """Credentials of a role that may do nothing."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
    try:
        cloud.client("iam").create_role(RoleName="idle", AssumeRolePolicyDocument=json.dumps(trust))
    except ClientError as error:
        assert "EntityAlreadyExists" in str(error)  # noqa: PT017
    made = cloud.client("sts").assume_role(
        RoleArn="arn:aws:iam::000000000000:role/idle", RoleSessionName="someone"
    )["Credentials"]
    return Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def test_with_iam_a_role_signs_as_itself_and_does_not_administer_the_cloud(closed: LocalCloud) -> None:
    keys = role_session(closed)
    client = closed.client(
        "sts",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token,
    )
    assert client.get_caller_identity()["Arn"].endswith("assumed-role/idle/someone")
    for path in (
        "/_local/faults",
        "/_ministack/health",
        "/_ministack/lambda-code/000000000000/us-east-1/guarded",
    ):
        status, _, content = send(closed, "GET", path, signed(closed, "GET", path, "", keys))
        assert (status, b"root user" in content) == (403, True)
    assert send(closed, "GET", "/guarded", signed(closed, "GET", "/guarded", "", keys))[0] == 403


def test_with_iam_presigned_urls_work_until_they_expire(closed: LocalCloud) -> None:
    where = {"Bucket": "guarded", "Key": "a b/ü+%.txt"}
    for version, expires in (("s3v4", "X-Amz-Expires="), ("s3", "Expires=")):
        s3 = closed.client("s3", config=Config(signature_version=version))
        url = s3.generate_presigned_url("get_object", where).removeprefix(closed.endpoint_url)
        assert send(closed, "GET", url, {})[2] == b"kept"
        assert send(closed, "GET", url.replace(expires, f"{expires}1"), {})[0] in (400, 403)
    request = AWSRequest("GET", f"{closed.endpoint_url}/guarded")
    signer = S3SigV4QueryAuth(ROOT, "s3", "us-east-1", 0)
    signer.add_auth(request)
    assert send(closed, "GET", str(request.url).removeprefix(closed.endpoint_url), {})[0] in (400, 403)


def test_with_iam_what_is_not_signed_does_not_lead_a_url_elsewhere(closed: LocalCloud) -> None:
    for version in ("s3v4", "s3"):
        s3 = closed.client("s3", config=Config(signature_version=version))
        url = s3.generate_presigned_url("put_object", {"Bucket": "guarded", "Key": "sent"})
        path = url.removeprefix(closed.endpoint_url)
        assert send(closed, "PUT", path, {}, "sent")[0] == 200
        target = {
            "X-Amz-Target": "DynamoDB_20120810.ListTables",
            "Content-Type": "application/x-amz-json-1.0",
        }
        assert send(closed, "PUT", path, target, "{}")[0] in (400, 403)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        send(closed, "PUT", path, form, "Action=CreateUser&UserName=smuggled&Version=2010-05-08")
        send(closed, "PUT", f"{path}&Action=CreateUser&UserName=smuggled&Version=2010-05-08", form)
    users = closed.client("iam").list_users()["Users"]
    assert [user["UserName"] for user in users if user["UserName"] == "smuggled"] == []


def test_with_iam_large_and_streamed_bodies_are_verified(closed: LocalCloud) -> None:
    s3, body = closed.client("s3"), bytes(3_000_000)
    s3.put_object(Bucket="guarded", Key="large", Body=io.BytesIO(body))
    s3.upload_fileobj(io.BytesIO(body * 4), "guarded", "parts")
    assert s3.head_object(Bucket="guarded", Key="parts")["ContentLength"] == 12_000_000
    headers = signed(closed, "PUT", "/guarded/large", "kept", ROOT)
    assert send(closed, "PUT", "/guarded/large", headers, "lost")[0] in (400, 403)


def test_with_iam_a_functions_code_is_where_its_url_says(closed: LocalCloud) -> None:
    location = closed.client("lambda").get_function(FunctionName="guarded")["Code"]["Location"]
    status, _, content = send(closed, "GET", location.removeprefix(closed.endpoint_url), {})
    assert (status, content[:2]) == (200, b"PK")


def test_with_iam_a_function_url_asks_for_a_signature_itself(closed: LocalCloud) -> None:
    functions = closed.client("lambda")
    url = functions.create_function_url_config(FunctionName="guarded", AuthType="NONE")["FunctionUrl"]
    path = f"/_aws/lambda-url/{url.partition('//')[2].partition('.')[0]}/"
    functions.add_permission(
        FunctionName="guarded",
        StatementId="public",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    assert send(closed, "GET", path, {})[2] == b"hello"
    assert send(closed, "GET", path, {"Authorization": "Bearer anything"})[2] == b"hello"
    functions.update_function_url_config(FunctionName="guarded", AuthType="AWS_IAM")
    assert send(closed, "GET", path, {})[0] == 403
    assert send(closed, "GET", path, {"Authorization": "Bearer anything"})[0] in (400, 403)
    assert send(closed, "GET", f"{path}?AWSAccessKeyId=test", {})[0] in (400, 403)
    assert (
        send(closed, "GET", path, signed(closed, "GET", path, "", Credentials("test", "x"), "lambda"))[0]
        == 403
    )
    assert send(closed, "GET", path, signed(closed, "GET", path, "", ROOT, "lambda"))[2] == b"hello"
    functions.delete_function_url_config(FunctionName="guarded")
