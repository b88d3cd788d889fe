"""The catalogue follows the register and the store."""

import pytest

from catalog.live import Live
from catalog.publish import publish
from pipelines.contract import InvalidRegister, load_register
from pipelines.settings import Settings
from pipelines.store import Store
from tests.catalog.published import CONTRACTS, PLAIN_ROWS, contract, deliver, write_register


@pytest.fixture
def kho(tmp_path) -> Settings:
    write_register(tmp_path / "datasets")
    return Settings(tmp_path / "datasets", tmp_path / "home")


def test_without_a_store_every_dataset_is_there_without_data(kho):
    entries = Live(kho.register, Store(kho)).catalogue.entries
    assert len(entries) == len(CONTRACTS)
    assert {e.quality for e in entries.values()} == {"no-data"}


def test_a_new_contract_appears_everywhere_and_a_new_release_too(kho):
    store = Store(kho)
    live = Live(kho.register, store)
    assert live.refresh() is False
    write_register(kho.register, [contract("y-te/vac-xin", "Điểm tiêm vắc xin")])
    assert live.refresh() is True
    assert live.catalogue.index.search("tiem vac xin") == ["y-te/vac-xin"]
    store.prepare(load_register(kho.register))
    deliver(store, "y-te/vac-xin", PLAIN_ROWS)
    before = live.catalogue
    assert live.refresh() is True
    assert live.catalogue.entries["y-te/vac-xin"].rows == 4
    assert before.entries["y-te/vac-xin"].rows == 0, "a request keeps the catalogue it started with"


def test_an_invalid_register_keeps_the_last_good_one_and_says_so(kho):
    live = Live(kho.register, Store(kho))
    file = kho.register / "y-te/nha-thuoc.odcs.yaml"
    good = file.read_text(encoding="utf-8")
    file.write_text(good.replace("access", "acces"), encoding="utf-8")
    live.refresh()
    assert "y-te/nha-thuoc" in live.catalogue.entries and live.catalogue.mistakes
    file.write_text(good, encoding="utf-8")
    live.refresh()
    assert not live.catalogue.mistakes


def test_there_must_be_a_good_register_to_start_from(kho):
    (kho.register / "y-te/nha-thuoc.odcs.yaml").write_text("id: [", encoding="utf-8")
    with pytest.raises(InvalidRegister):
        Live(kho.register, Store(kho))


def test_quality_and_freshness_come_from_the_newest_judged_delivery(kho):
    store = Store(kho)
    store.prepare(load_register(kho.register))
    deliver(store, "y-te/nha-thuoc", PLAIN_ROWS, days_ago=90)
    deliver(store, "y-te/nha-thuoc", PLAIN_ROWS, release=None, outcome="refused")
    deliver(store, "y-te/nha-thuoc", PLAIN_ROWS, release=None, outcome="duplicate")
    entry = publish(load_register(kho.register), store).entries["y-te/nha-thuoc"]
    assert entry.quality == "refused" and entry.release_number == 1
    assert entry.freshness.state == "late"
