"""`sluice console`: look at pipelines in a browser, and decide there."""

from __future__ import annotations

import webbrowser
from contextlib import suppress
from typing import Annotated

import typer

from sluice_cli.console import asking, process, serving
from sluice_cli.options import Json, example, show
from sluice_cli.output import hint, out
from sluice_cli.report import has_browser

console_app = typer.Typer()


@console_app.command(epilog=example("sluice console --url"))
def console(
    context: typer.Context,
    url: Annotated[bool, typer.Option("--url", help="Only print the address.")] = False,
    as_json: Json = False,
) -> None:
    """Open pages about pipelines, runs, data, models and releases in a browser.

    Who opens them acts on them with their own rights: approves, rolls back, releases data, stops a run.
    With the local cloud the pages stay until `sluice down`, on AWS until this command is interrupted.
    """
    target = context.obj.target()
    asking.function_of(target)
    if target.is_local:
        _tell(process.start(target.stack), is_opened=not url, as_json=as_json)
        return
    key = serving.new_key()
    with serving.listen() as listening:
        server = serving.Server(serving.Console(target, key), listening)
        _tell(serving.address(listening, key), is_opened=not url, as_json=as_json)
        hint("Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _tell(address: str, *, is_opened: bool, as_json: bool) -> None:
    def text() -> None:
        out.out(address, highlight=False)
        if is_opened and out.is_terminal and has_browser() and webbrowser.open(address):
            hint("opened in the browser")

    show({"url": address}, as_json, text)
