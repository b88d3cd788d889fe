"""One published warehouse for all tests of the catalogue; Django can be configured once per process."""

import pytest
from django.test import Client, override_settings

from catalog.live import Live
from catalog.web import configure
from pipelines.contract import load_register
from pipelines.settings import Settings
from pipelines.store import Store
from tests.catalog.published import PERSONAL_ROWS, PLAIN_ROWS, deliver, write_register


@pytest.fixture(scope="session")
def kho(tmp_path_factory) -> Settings:
    root = tmp_path_factory.mktemp("kho")
    write_register(root / "datasets")
    return Settings(root / "datasets", root / "home")


@pytest.fixture(scope="session")
def store(kho) -> Store:
    store = Store(kho)
    store.prepare(load_register(kho.register))
    deliver(store, "y-te/nha-thuoc", PLAIN_ROWS, synthetic=True)
    deliver(store, "y-te/nguoi-hanh-nghe", PERSONAL_ROWS, outcome="partial")
    deliver(store, "y-te/ho-so", PERSONAL_ROWS, outcome="partial")
    deliver(store, "tu-phap/luat-su", PERSONAL_ROWS)
    deliver(store, "tu-phap/an-phi", PLAIN_ROWS, days_ago=100)
    deliver(store, "tu-phap/du-thao", PLAIN_ROWS)
    deliver(store, "tu-phap/tong-hop", PLAIN_ROWS, violations=3)
    return store


@pytest.fixture(scope="session")
def live(kho, store) -> Live:
    live = Live(kho.register, store)
    configure(kho, live)
    return live


@pytest.fixture
def client(live) -> Client:
    with override_settings(KHO_LIVE=live):
        yield Client()
