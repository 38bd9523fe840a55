"""Run a function under AWS's runtime client, whose address has a path here: a secret.

A program of its own, run by the interpreter of functions: `python -P runtime_client.py HANDLER`.
"""

from __future__ import annotations

import sys
from typing import Any

from awslambdaric.__main__ import main
from awslambdaric.lambda_runtime_client import BaseLambdaRuntimeClient

_call = BaseLambdaRuntimeClient.call_rapid


def _call_below_the_path(self: Any, method: str, endpoint: str, *rest: Any) -> None:
    """Send what the client sends by itself, such as an error of the init phase: it knows no path there."""
    address = self.lambda_runtime_address
    self.lambda_runtime_address, _, secret = address.partition("/")
    try:
        _call(self, method, f"/{secret}{endpoint}", *rest)
    finally:
        self.lambda_runtime_address = address


if __name__ == "__main__":
    BaseLambdaRuntimeClient.call_rapid = _call_below_the_path
    main(sys.argv)
