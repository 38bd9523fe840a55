"""`sluice up`, `down`, `env`, `init` and `demo`: what runs on this machine."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sluice.services.views import pipelines
from sluice_cli import cloud, continuing, project
from sluice_cli import target as targets
from sluice_cli.console import process as console
from sluice_cli.errors import EXIT_USAGE, CommandError
from sluice_cli.options import Json, example, show
from sluice_cli.output import err, escape, here, hint, invocation, out, print_json

local_app = typer.Typer()


@local_app.command(epilog=example("sluice up --port 4566"))
def up(
    context: typer.Context,
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="The port on 127.0.0.1 (0: the last one, else any free one)."),
    ] = 0,
    auth: Annotated[bool, typer.Option("--auth", help="Enforce IAM as AWS does.")] = False,
    parameter: Annotated[
        list[str] | None, typer.Option(help="A template parameter, NAME=VALUE; repeatable.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard the saved state and start anew.")] = False,
    as_json: Json = False,
) -> None:
    """Start the local cloud with its saved state, and deploy the template to it."""
    stack = context.obj.stack or targets.DEFAULT_STACK
    parameters = parsed(parameter or [])
    with err.status("starting the local cloud") as status:
        if fresh:
            cloud.stop()
        was_running = targets.local_cloud() is not None
        ready = cloud.start(port=port, auth=auth, fresh=fresh)
        status.update("waiting for another command that deploys")
        with cloud.deploying():
            if is_deployed := bool(parameters) or not cloud.is_deployed(ready, stack=stack):
                status.update("sam build")
                cloud.build()
                status.update(f"sam deploy to {ready['endpoint_url']}")
                cloud.deploy(ready, stack=stack, parameters=parameters)
        status.update("starting the endpoints again")
        target = targets.resolve(where="local", stack=stack, profile=None, region=None)
        continuing.wait_for_endpoints(target)
    continued = None if was_running else ready.get("continued")
    result = {
        **{"endpoint_url": ready["endpoint_url"], "pid": ready["pid"], "stack": stack},
        "console": console.start(stack),
        **{"outputs": target.outputs, "continued": continued, "deployed": is_deployed},
    }

    def text() -> None:
        out.print(f"[green]up[/]: local cloud on {ready['endpoint_url']}, stack {stack}")
        if was_running:
            out.print(
                "deployed anew" if is_deployed else "it runs what this checkout has: nothing was deployed"
            )
        for line in continuing.lines(continued):
            out.print(line)
        if not was_running and continued is None and (differs := continuing.about_images()):
            out.print(differs)
        out.print("console:", escape(str(result["console"])))
        out.print(f'for AWS\'s own tools: eval "$({invocation.command("env")})"')
        hint(continuing.next_step(pipelines.pipelines(target.cloud), continued))

    show(result, as_json, text)


def parsed(parameters: list[str]) -> dict[str, str]:
    """Parse parameters given as NAME=VALUE."""
    if wrong := [each for each in parameters if not each.partition("=")[0] or "=" not in each]:
        raise CommandError(f"{wrong[0]!r} is no NAME=VALUE", exit_code=EXIT_USAGE)
    return dict(each.split("=", 1) for each in parameters)


@local_app.command(epilog=example("sluice down"))
def down(as_json: Json = False) -> None:
    """Stop the local cloud and all that runs in it; its state is kept for the next `sluice up`."""
    console.stop()
    stopped = cloud.stop()

    def text() -> None:
        out.print("stopped" if stopped else "the local cloud was not running")
        hint("`sluice up` continues with all that was in it, `sluice up --fresh` starts anew")

    show({"stopped": stopped}, as_json, text)


@local_app.command(epilog=example("sluice env"))
def env(as_json: Json = False) -> None:
    """Print shell variables that point AWS's own tools at the local cloud: `eval "$(sluice env)"`."""
    ready = targets.local_cloud()
    if ready is None:
        raise CommandError(
            "the local cloud is not running", hint="Start it with `sluice up`.", exit_code=EXIT_USAGE
        )
    variables = targets.local_environment(ready)

    def text() -> None:
        # Either of these two would lead elsewhere.
        out.out("unset AWS_PROFILE AWS_SESSION_TOKEN", highlight=False)
        for name, value in variables.items():
            out.out(f"export {name}={shlex.quote(value)}", highlight=False)

    show(variables, as_json, text)


@local_app.command(epilog=example("sluice init my-model --example reviews --ci github"))
def init(
    path: Annotated[
        Path, typer.Argument(help="The new folder; its name becomes the pipeline's.", metavar="PATH")
    ],
    example_name: Annotated[
        str, typer.Option("--example", help=f"Which example to copy: {', '.join(project.examples())}.")
    ] = "reviews",
    ci: Annotated[
        str | None,
        typer.Option(
            "--ci", help=f"Add a workflow that checks and pushes it: {', '.join(project.WORKFLOWS)}."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy a working example to a new folder.

    reviews classifies texts with scikit-learn, deliveries rows with xgboost; sdk-pipeline is a pipeline of
    the SageMaker SDK. With --ci a pull request plays the loop on a local cloud, and main is pushed to AWS.
    """
    folder = project.init(Path.cwd() / path, example_name, ci)
    workflow = folder / project.WORKFLOWS[ci] if ci is not None else None

    def text() -> None:
        out.print(f"made [bold]{escape(str(folder))}[/]")
        if workflow is not None:
            out.print(f"made [bold]{escape(str(workflow))}[/], whose first lines say what it needs")
        hint(f"next: edit {here(folder)}/pipeline.yaml, then `sluice push {here(folder)}`")

    show({"folder": str(folder), "workflow": workflow and str(workflow)}, as_json, text)


@local_app.command(epilog=example("sluice demo --json"))
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the local cloud running afterwards.")] = False,
    short: Annotated[
        bool, typer.Option("--short", help="Without canary, monitoring and rejection: a minute less.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Play the whole loop on this machine: upload, retrain, approve, deploy, alarm, rollback."""
    from sluice_cli import demo as play

    report = play.demo(keep=keep, quiet=as_json, short=short)
    if as_json:
        print_json(report)
    if not report["ok"]:
        raise typer.Exit(1)
