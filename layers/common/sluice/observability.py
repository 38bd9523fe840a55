"""The logger of all functions. Never log an event, a row or a token."""

from __future__ import annotations

from aws_lambda_powertools import Logger

logger = Logger(service="sluice", utc=True)
