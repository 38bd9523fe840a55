"""The logger and the metrics of every function; an event, a row or a token is never logged."""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics

logger = Logger(service="sluice", utc=True)
metrics = Metrics(namespace="Sluice", service="sluice")
