from pathlib import Path

import pytest

from tests.warehouse import Warehouse, make_warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return make_warehouse(tmp_path)
