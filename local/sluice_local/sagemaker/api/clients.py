"""Clients of this cloud's own services, as the account's root user, for what was authorized before."""

from __future__ import annotations

import functools
from typing import Any

import boto3
from botocore.config import Config

from sluice_local.sagemaker.api import credentials
from sluice_local.sagemaker.api.core import Scope


@functools.cache
def client(service: str, endpoint_url: str, scope: Scope) -> Any:
    """Make a client of a service."""
    key, secret = credentials.root_keys(scope)
    make: Any = boto3.client  # its types are one overload for each service
    return make(
        service,
        endpoint_url=endpoint_url,
        region_name=scope.region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(max_pool_connections=32),
    )
