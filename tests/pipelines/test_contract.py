"""Mistakes in contracts: all found at once, each with file, line, field and what to write instead."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contract import InvalidRegister, load_register
from pipelines.contract.rule_language import rule_faults
from tests.warehouse import TEAMS, Warehouse, column, contract


def problems(warehouse: Warehouse) -> list:
    with pytest.raises(InvalidRegister) as caught:
        load_register(warehouse.settings.register)
    return caught.value.problems


def test_all_mistakes_are_told_at_once_with_their_lines(warehouse: Warehouse) -> None:
    document = contract(
        "ho-tich/sai",
        [
            column("Ma", primaryKey=True),
            column("loai", "strng"),
            column("x", semantic="ky_than"),
            column("x", "date"),
            column("y", logicalTypeOptions={"pattern": "["}),
        ],
        access="opn",
        loadMode="merg",
        quality=[
            {"name": "r", "description": "d", "type": "custom", "engine": "kho", "implementation": "loia = 'a'"},
            {"name": "s", "description": "d", "type": "custom", "engine": "kho", "implementation": "x > (SELECT 1)"},
            {"name": "t", "description": "d", "type": "custom", "engine": "kho", "implementation": "x >"},
        ],
    )
    document["id"] = "ho-tich/khac"
    document["team"] = {"name": "STB"}
    warehouse.add(document | {"id": "ho-tich/sai"})
    file = warehouse.settings.register / "ho-tich/sai.odcs.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("id: ho-tich/sai", "id: ho-tich/khac"), encoding="utf-8")
    found = problems(warehouse)
    said = "\n".join(map(str, found))
    for part in (
        "`ho-tich/khac` is not the file's path", "`STB` is not known", "write one of: STP, SYT", "`Ma` is not a column name", "`strng` is not known",
        "did you mean `string`", "`ky_than` is not known", "did you mean `ky_thang`", "`x` occurs twice", "no regular expression", "did you mean `open`", "did you mean `merge`",
        "did you mean `loai`", "not allowed in a rule", "cannot be read",
    ):  # fmt: skip
        assert part in said, part
    lines = file.read_text(encoding="utf-8").splitlines()
    for problem in found:
        assert problem.file == file and problem.fix
    [bad_type] = [p for p in found if "strng" in p.message]
    assert "strng" in lines[bad_type.line - 1]
    [bad_id] = [p for p in found if p.field == "id"]
    assert lines[bad_id.line - 1].startswith("id:")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("a: [", "not valid YAML"),
        ("- 1\n- 2", "not a mapping"),
        ("id: x\nschema: 3", "exactly one table"),
        ("\t", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_contract_is_explained(warehouse: Warehouse, text: str, said: str) -> None:
    (warehouse.settings.register / "ho-tich/hong.odcs.yaml").write_text(text, encoding="utf-8")
    assert said in "\n".join(map(str, problems(warehouse)))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(TEAMS)), JUNK)
def test_no_field_however_wrong_breaks_the_reader(warehouse: Warehouse, field: str, junk: object) -> None:
    file = warehouse.settings.register / "ho-tich/to-cong-tac.odcs.yaml"
    file.write_text(yaml.safe_dump(TEAMS | {field: junk}, allow_unicode=True), encoding="utf-8")
    try:
        load_register(warehouse.settings.register)
    except InvalidRegister as error:
        assert error.problems


def test_personal_data_may_not_be_hidden(warehouse: Warehouse) -> None:
    warehouse.add(contract("ho-tich/nguoi", [column("ten", semantic="ho_ten", primaryKey=True)]))
    assert "holds basic personal data (ten)" in str(problems(warehouse)[0])


def test_references_and_queries_must_name_what_exists(warehouse: Warehouse) -> None:
    warehouse.add(contract("ho-tich/con", [column("ma", primaryKey=True), column("ma_to", references="ho-tich/to-cong-tac.ma_too")]))
    warehouse.add(contract("ho-tich/dan-xuat", [column("ma", primaryKey=True)]), sql="SELECT ma FROM ho_tich.khong_co")
    said = "\n".join(map(str, problems(warehouse)))
    assert "`ho-tich/to-cong-tac.ma_too` does not exist" in said and "reads `ho_tich.khong_co`" in said


def test_one_file_is_all_a_dataset_needs(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.add(contract("y-te/moi", [column("ma", required=True, primaryKey=True)], agency="SYT"))
    register = load_register(warehouse.settings.register)
    assert register.contracts["y-te/moi"].sql_name == "y_te.moi" and register.domain_title("y-te")
    warehouse.drop("y-te/moi", "a.csv", "ma\n1\n")
    assert warehouse.take("y-te/moi").verdict == "accepted"
    assert warehouse.rows("SELECT * FROM y_te.moi") == [("1",)]


@pytest.mark.parametrize(
    ("rule", "fit"),
    [
        ("den - tu <= 30", True), ("abs(den - tu) <= 30", True), ("(den - tu) + so <= 30", True), ("den >= tu", True), ("so - so <= 1", True),
        ("den <= tu + 30", False), ("den - so > tu", False), ("luc - tu <= 3", False), ("coalesce(den, tu) - coalesce(tu, den) <= 3", False),
        ("CASE WHEN so > 1 THEN den ELSE tu END - tu <= 3", False), ("coalesce(so, 0) + 1 > 2", True),
    ],
)  # fmt: skip
def test_of_dates_a_rule_calculates_only_the_days_between_two(rule: str, fit: bool) -> None:
    types = {"tu": "date", "den": "date", "luc": "timestamp", "so": "integer"}
    assert (not list(rule_faults(rule, types))) is fit


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"partitioned": True}, "`partitioned` is not a field that is acted on here"),
        ({"requierd": True}, "did you mean `required`?"),
        ({"required": "yes"}, "is neither true nor false"),
        ({"logicalTypeOptions": {"minimun": 1}}, "did you mean `minimum`?"),
        ({"logicalTypeOptions": {"minLength": 1}}, "`minLength` is no option of integer"),
        ({"logicalTypeOptions": {"multipleOf": 0}}, "write a number above 0"),
        ({"logicalTypeOptions": {"minimum": 5, "maximum": 1}}, "no value can pass"),
        ({"logicalTypeOptions": {"format": "i7"}}, "write one of: i8"),
        ({"logicalTypeOptions": {"exclusiveMinimum": "x"}}, "is not a number"),
        ({"quality": [{"metric": "nulValues", "mustBe": 0}]}, "did you mean `nullValues`?"),
        ({"quality": [{"metric": "nullValues"}]}, "there is no threshold"),
        ({"quality": [{"metric": "nullValues", "mustBe": 0, "mustBeLessThan": 1}]}, "more than one threshold"),
        ({"quality": [{"metric": "nullValues", "mustBe": 0, "unit": "share"}]}, "write `rows` or `percent`"),
        ({"quality": [{"metric": "nullValues", "mustBe": 0, "severity": "info"}]}, "write `error`"),
        ({"quality": [{"metric": "nullValues", "mustBe": 0, "schedule": "0 8 * * *"}]}, "`schedule` is not a field"),
        ({"quality": [{"metric": "invalidValues", "arguments": {"valid": [1]}, "mustBe": 0}]}, "its arguments are: validValues, pattern"),
        ({"quality": [{"metric": "invalidValues", "arguments": {"pattern": "a"}, "mustBe": 0}]}, "a pattern is for text"),
        ({"quality": [{"metric": "missingValues", "mustBe": 0}]}, "the list has no values"),
        ({"quality": [{"type": "custom", "engine": "soda", "implementation": "x"}]}, "write `engine: kho`"),
        ({"relationships": [{"to": "khac.ma"}]}, "names no column"),
        ({"relationships": [{"type": "parent", "to": "x"}]}, "write `type: foreignKey`"),
        ({"relationships": [{"to": "../ho-tich/to-cong-tac.odcs.yaml#/schema/to_cong_tac/properties/ma_to", "cascade": True}]}, "`cascade`"),
        ({"relationships": [{"to": "../ho-tich/to-cong-tac.odcs.yaml#/schema/to_cong_tac/properties/ma_to"}]}, "of the same logicalType"),
    ],
)  # fmt: skip
def test_a_construct_that_nothing_acts_on_is_a_mistake(warehouse: Warehouse, fields: dict, said: str) -> None:
    warehouse.add(contract("ho-tich/sai", [column("ma", required=True, primaryKey=True), column("n", "integer", **fields)]))
    assert said in "\n".join(map(str, problems(warehouse)))


@pytest.mark.parametrize(
    "rule, said",
    [
        ({"implementation": {"perGroup": ["k"], "condition": "sum(n) < 5"}}, "perGroup `['k']` names no columns"),
        ({"implementation": {"perGroup": ["ma"], "condition": "n < 5"}}, "`n` has many values in a group"),
        ({"implementation": {"perGroup": ["ma"], "condition": "ma = 'a'"}}, "looks at no group"),
        ({"implementation": {"perGroup": ["ma"], "condition": "sum(max(n)) < 5"}}, "an aggregate inside another"),
        ({"implementation": {"perGroup": ["ma"], "noOverlap": ["ma", "n"]}}, "are no two dates"),
        ({"implementation": {"perGroup": ["ma"], "condition": "sum(n) < 5", "noOverlap": []}}, "says one thing"),
        ({"implementation": {"perGruop": ["ma"], "condition": "sum(n) < 5"}}, "did you mean `perGroup`?"),
        ({"implementation": "n < 5", "mustBe": 0}, "a row rule has no threshold"),
        ({"implementation": "sum(n) < 5"}, "not allowed in a rule"),
    ],
)
def test_rules_over_groups_are_checked_too(warehouse: Warehouse, rule: dict, said: str) -> None:
    table_rule = {"name": "r", "description": "d", "type": "custom", "engine": "kho"} | rule
    columns = [column("ma", required=True, primaryKey=True), column("n", "integer")]
    warehouse.add(contract("ho-tich/sai", columns, quality=[table_rule]))
    assert said in "\n".join(map(str, problems(warehouse)))


def test_a_mistake_in_a_semantic_type_is_told_once_and_in_its_own_file(warehouse: Warehouse) -> None:
    file = warehouse.settings.register / "semantic-types.yaml"
    types = yaml.safe_load(file.read_text(encoding="utf-8"))
    types["mst"] |= {"patern": "x", "rules": [{"name": "r", "condition": "$value = $nobody", "vi": "v", "en": "e"}]}
    file.write_text(yaml.safe_dump(types, allow_unicode=True), encoding="utf-8")
    found = [p for p in problems(warehouse) if p.file == file]
    assert {("mst", "did you mean `pattern`?"), ("mst", "correct the name")} <= {(p.field, p.fix) for p in found}
    assert len([p for p in found if "$nobody" in p.message]) == 1
