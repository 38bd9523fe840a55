"""`python -m sluice_local`: run a local cloud until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from sluice_local import host, processes
from sluice_local.settings import Settings
from sluice_local.state import state_lock


def main() -> None:
    """Parse the command line, bind the port, serve under a guardian."""
    defaults = {field.name: field.default for field in fields(Settings)}
    parser = argparse.ArgumentParser(prog="python -m sluice_local", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes that of last time, or a free one")
    parser.add_argument("--state-dir", type=Path, required=True, help="everything the cloud writes is here")
    parser.add_argument("--fresh", action="store_true", help="forget what was saved in the state directory")
    parser.add_argument("--auth", action="store_true", help="enforce the IAM policies of execution roles")
    parser.add_argument("--lambda-python", type=Path, default=defaults["lambda_python"])
    parser.add_argument("--lambda-slots", type=int, default=defaults["lambda_slots"])
    options = parser.parse_args()
    try:
        with state_lock.held(options.state_dir.resolve()):
            _run(options)
    except (state_lock.StateInUseError, host.PortError) as error:
        sys.exit(f"error: {error}")


def _run(options: argparse.Namespace) -> NoReturn:
    sock = host.listening_socket(options.port, options.state_dir.resolve(), fresh=options.fresh)
    settings = Settings(
        port=sock.getsockname()[1],
        state_dir=options.state_dir.resolve(),
        auth=options.auth,
        fresh=options.fresh,
        lambda_python=options.lambda_python,
        lambda_slots=options.lambda_slots,
    )
    settings.ready_file.unlink(missing_ok=True)  # left by a cloud that could not remove it
    processes.run_guarded(lambda: host.serve(settings, sock))


if __name__ == "__main__":
    main()
