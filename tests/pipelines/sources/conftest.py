from collections.abc import Iterator

import pytest

from tests import databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[databases.Postgres]:
    """A PostgreSQL server of the tests' own."""
    with databases.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[databases.Mariadb]:
    """A MariaDB server of the tests' own."""
    with databases.mariadb() as server:
        yield server
