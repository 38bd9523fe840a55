"""Render the pages of the console. This function reads: what a page lets a person do, the person does."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.console import requests
from sluice.console.answering import answer
from sluice.observability import logger


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return answer(wiring.cloud(), requests.of_event(event)).payload()
