"""The console of the local cloud, in the background: ends when the cloud does."""

from __future__ import annotations

import socket
import sys
import threading
import time

from sluice_cli import target as targets
from sluice_cli.console import process, serving

_LOOKS_EVERY_S = 5


def main() -> None:
    listening, stack = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    key = sys.stdin.read()
    target = targets.resolve(where="local", stack=stack, profile=None, region=None)
    cloud = targets.local_pid()
    server = serving.Server(serving.Console(target, key), listening)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while cloud is not None and not process.has_ended(cloud):
        time.sleep(_LOOKS_EVERY_S)


if __name__ == "__main__":
    main()
