"""The register that ships: 226 contracts of 57 agencies, each judged by the standard's own tools and by what a clerk expects."""

import csv
import importlib.util
import json
import logging
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml
from datacontract.data_contract import DataContract
from jsonschema import Draft201909Validator
from stdnum.vn import mst

from pipelines.contract import Contract, Register, load_register

REGISTER = Path(__file__).parents[2] / "datasets"
FILES = sorted(REGISTER.glob("*/*.odcs.yaml"))


@pytest.fixture(scope="module")
def register() -> Register:
    return load_register(REGISTER)


def test_the_register_holds_what_the_province_counted(register: Register) -> None:
    contracts = register.contracts.values()
    assert len(FILES) == len(contracts) == 226
    assert len(register.agencies) == 57 == len({c.agency for c in contracts}), "every agency owns a dataset, every owner is an agency"
    assert Counter(c.access for c in contracts) == {"open": 104, "shared": 80, "restricted": 42}
    assert Counter(c.personal for c in contracts) == {"none": 176, "basic": 38, "sensitive": 12}
    assert Counter(c.provenance.split(":")[0] for c in contracts) == {"inferred": 109, "listed": 72, "seed": 45}
    assert Counter(c.cycle for c in contracts) == {
        "monthly": 79, "yearly": 39, "daily": 39, "quarterly": 36, "irregular": 14, "real-time": 14, "weekly": 5,
    }  # fmt: skip


@cache
def odcs_validator() -> Draft201909Validator:
    package = importlib.util.find_spec("datacontract")
    assert package and package.submodule_search_locations
    return Draft201909Validator(json.loads((Path(package.submodule_search_locations[0]) / "schemas/odcs-3.1.0.schema.json").read_text()))


def schema_faults(file: Path) -> list[str]:
    """What ODCS's published JSON schema says against a contract."""
    document = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return [f"{file.name}: {error.json_path} {error.message[:120]}" for error in odcs_validator().iter_errors(document)]


def test_every_contract_is_valid_by_the_published_schema() -> None:
    assert not [fault for file in FILES for fault in schema_faults(file)]


@pytest.mark.parametrize("domain", sorted({f.parent.name for f in FILES}))
def test_datacontract_lint_finds_nothing(domain: str) -> None:
    logging.disable(logging.ERROR)
    try:
        for file in sorted((REGISTER / domain).glob("*.odcs.yaml")):
            run = DataContract(data_contract_file=str(file)).lint()
            assert run.result == "passed", (file, [c.reason for c in run.checks if c.result != "passed"])
    finally:
        logging.disable(logging.NOTSET)


def test_titles_are_unique_and_everything_is_said_in_both_languages(register: Register) -> None:
    contracts = list(register.contracts.values())
    assert len({c.title for c in contracts}) == len({c.title_en for c in contracts}) == 226
    for contract in contracts:
        assert contract.purpose and contract.description_en and contract.usage and contract.keywords, contract.id
        for column in contract.columns:
            assert column.title and column.title_en and column.description, (contract.id, column.name)
        for rule in contract.rules:
            assert rule.vi and rule.en, (contract.id, rule.name)


def test_every_dataset_has_a_key_and_rules_on_its_values(register: Register) -> None:
    for contract in register.contracts.values():
        assert contract.key, contract.id
        ruled = [c for c in contract.columns if c.values or c.pattern or c.minimum is not None or c.maximum is not None or c.semantic]
        assert ruled, f"{contract.id} judges no value"
        for column in contract.columns:
            mixed = contract.domain == "ioc"  # one column holds figures of every unit
            if column.type in ("integer", "number") and not mixed:
                assert column.minimum is not None and column.maximum is not None, (contract.id, column.name, "a number needs a range")


def test_open_datasets_are_licensed_and_those_with_personal_columns_name_their_law(register: Register) -> None:
    for contract in register.contracts.values():
        assert (contract.licence is not None) == (contract.access == "open"), contract.id
        if contract.access == "open":
            assert contract.personal != "sensitive", contract.id
    without_basis = {c.id for c in register.contracts.values() if c.access == "open" and c.personal != "none" and not c.legal_basis}
    # Their personal columns are withheld: the catalogue's tests show it.
    assert without_basis == {"dang-ky-kinh-doanh/doanh-nghiep", "dang-ky-kinh-doanh/doanh-nghiep-thanh-lap-moi"}


@pytest.mark.parametrize(
    "names, semantic",
    [
        (("ma_xa", "ma_xa_thuong_tru", "ma_xa_dang_ky"), {"dvhc_xa"}),
        (("ma_huyen",), {"dvhc_huyen"}),
        (("so_dinh_danh",), {"cccd"}),
        (("ma_so_dn", "ma_so_doanh_nghiep", "ma_so_thue"), {"mst"}),
        (("kinh_do",), {"kinh_do"}),
        (("vi_do",), {"vi_do"}),
        (("ma_tthc",), {"ma_tthc"}),
        (("hinh_hoc",), {"hinh_hoc"}),
        (("ky",), {"ky_thang", "ky_quy", "nam"}),
    ],
)
def test_columns_of_one_name_are_of_one_kind(register: Register, names: tuple[str, ...], semantic: set[str]) -> None:
    found = [(c.id, x.semantic) for c in register.contracts.values() for x in c.columns if x.name in names and c.domain != "ioc"]
    assert found and not [f for f in found if f[1] not in semantic]


def test_the_cycle_of_a_dataset_agrees_with_its_period(register: Register) -> None:
    by_cycle = {"monthly": {"ky_thang"}, "quarterly": {"ky_quy"}}
    for contract in register.contracts.values():
        period = contract.by_name.get("ky")
        if period and contract.cycle in by_cycle:
            assert period.semantic in by_cycle[contract.cycle], contract.id


def _units(register: Register) -> list[dict[str, str]]:
    source = register.contracts["to-chuc-can-bo/don-vi-hanh-chinh"].reference_data
    assert source
    with source.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "day, districts, communes", [("2023-06-30", 15, 188), ("2024-11-30", 15, 188), ("2025-01-01", 15, 186), ("2025-07-01", 0, 60)]
)
def test_administrative_units_are_right_on_each_day(register: Register, day: str, districts: int, communes: int) -> None:
    on = [u for u in _units(register) if u["ngay_hieu_luc"] <= day and (not u["ngay_het_hieu_luc"] or day < u["ngay_het_hieu_luc"])]
    count = Counter(u["cap"] for u in on)
    assert (count["huyện"], count["xã"]) == (districts, communes)
    assert len({(u["ma_dvhc"], u["cap"]) for u in on}) == len(on), "no code is valid twice on one day"


def test_split_communes_are_flagged_and_the_others_lead_to_one_new_commune(register: Register) -> None:
    units = _units(register)
    new = {u["ma_dvhc"] for u in units if u["cap"] == "xã" and u["ngay_hieu_luc"] == "2025-07-01"}
    ended = [u for u in units if u["cap"] == "xã" and u["ngay_het_hieu_luc"] == "2025-07-01"]
    assert ended and any(u["chia_tach"] == "true" for u in ended)
    for unit in ended:
        targets = [code for code in unit["ma_moi"].split(";") if code.strip()]
        assert set(targets) <= new or not targets, unit
        assert targets or unit["chia_tach"] == "true" or unit["ghi_chu"], f"{unit['ma_dvhc']} leads nowhere and does not say why"


def test_closed_lists_of_communes_and_districts_come_from_the_units(register: Register) -> None:
    district, commune = register.semantic_types["dvhc_huyen"], register.semantic_types["dvhc_xa"]
    assert len(district.values) == 15 and len(commune.values) == 188


def test_district_reports_take_only_their_own_communes(register: Register) -> None:
    reports = [c for c in register.contracts.values() if c.domain == "cap-huyen"]
    assert len(reports) == 15
    communes = [value for c in reports for value in c.by_name["ma_xa"].values]
    assert len(communes) == len(set(communes)) == 188


def test_tax_codes_of_the_semantic_type_carry_their_check_digit(register: Register) -> None:
    semantic = register.semantic_types["mst"]
    assert semantic.check and semantic.example
    assert mst.is_valid(semantic.example.replace("-", ""))


def _size(contracts: list[Contract]) -> int:
    return sum(len(c.columns) for c in contracts)


def test_contracts_are_fuller_than_the_inventory_they_came_from(register: Register) -> None:
    contracts = list(register.contracts.values())
    assert _size(contracts) > 3600
    assert min(len(c.columns) for c in contracts) >= 5
    assert sum(len(c.rules) for c in contracts) > 880
    # The month of a new enterprise's code cannot be compared with its date in a row rule.
    assert [c.id for c in contracts if not c.rules] == ["dang-ky-kinh-doanh/doanh-nghiep-thanh-lap-moi"]
    assert not [(c.id, x.name) for c in contracts for x in c.columns if len(x.values) == 1], "a list of one value is no list"


def test_code_lists_by_version_have_the_counts_of_their_decisions(register: Register) -> None:
    types = register.semantic_types
    assert Counter(len(c.code) for c in types["vsic"].codes) == {1: 21, 2: 88, 3: 242}, "VSIC 2018, QĐ 27/2018/QĐ-TTg, levels 1 to 3"
    assert len(types["dan_toc"].codes) == 55 and types["dan_toc"].labels[0] == ("01", "Kinh")
    assert len(types["tinh"].codes) == 63
    assert len(types["quoc_gia"].codes) == 249


def test_every_example_of_a_semantic_type_meets_its_type(register: Register) -> None:
    for semantic in register.semantic_types.values():
        if semantic.example and semantic.pattern:
            assert re.fullmatch(semantic.pattern, semantic.example), semantic.id
        if semantic.example and semantic.values:
            assert semantic.example in semantic.values, semantic.id
