"""The logger of every function; an event, a row or a token is never logged."""

from __future__ import annotations

from aws_lambda_powertools import Logger

logger = Logger(service="sluice", utc=True)
