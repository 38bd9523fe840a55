"""The catalog's promises, kept by the local cloud's DynamoDB."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from catalog_contract import CatalogContract, create_table
from sluice.adapters.catalog import DynamoDBCatalog
from sluice.ports import Catalog
from sluice_local.cloud import LocalCloud


class TestLocalCloud(CatalogContract):
    @pytest.fixture
    def catalog(self, cloud: LocalCloud, unique: Callable[[str], str]) -> Catalog:
        table = unique("catalog")
        return DynamoDBCatalog(table, create_table(cloud.client("dynamodb"), table))
