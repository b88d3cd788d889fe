"""What rows can fail only together or against the store: repeated keys, rules over groups, references.

These are asked of the staged rows that are sound one by one, after the scan: a join or a window inside the scan would
lose the order of the file and with it the line numbers. Each question is skipped when a cheap aggregate rules it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pandera.api.checks import Check

from pipelines.contract import Contract, ErrorGroup, GroupRule, Level, Reference, Unique
from pipelines.gate.row_schema import delivery_schema
from pipelines.sql import quote

ROW = "file_row_number"


@dataclass(frozen=True)
class SetTest:
    """One thing that rows can fail together. ``rows`` is a query over `staged` (the sound rows) that yields `row`.

    ``suspect`` is an aggregate over the sound rows that is false when no row can fail; None where there is no such.
    ``column`` is the column at fault, or several with commas.
    """

    column: str
    rule: str
    rows: str
    vi: str
    en: str
    group: ErrorGroup
    level: Level = "error"
    suspect: str | None = None


@dataclass(frozen=True)
class Unasked:
    """A reference that could not be judged: nothing was ever delivered to what it refers to."""

    column: str
    dataset: str


def set_tests(contract: Contract, present: set[str], stored: Mapping[str, str]) -> tuple[list[SetTest], list[Unasked]]:
    """What the rows of a delivery are tested for together; and what cannot be tested yet.

    ``stored`` maps datasets that hold a release to their tables in SQL.
    """
    found = [_compile(check, contract) for check in delivery_schema(contract).checks if _columns(check) <= present]
    if contract.load_mode == "append" and contract.id in stored:
        found.insert(1, _stored_key(contract, stored[contract.id]))
    unasked: list[Unasked] = []
    for reference in contract.references:
        if not set(reference.columns) <= present:
            continue
        if reference.dataset in stored or reference.dataset == contract.id:
            found.append(_reference(contract, reference, stored))
        else:
            unasked.append(Unasked(", ".join(reference.columns), reference.dataset))
    return found, unasked


def _columns(check: Check) -> set[str]:
    statistics = check.statistics or {}
    if "unique" in statistics:
        return set(statistics["unique"].columns)
    return set(statistics["rule"].per)


def _compile(check: Check, contract: Contract) -> SetTest:
    statistics = check.statistics or {}
    if "unique" in statistics:
        return _unique(statistics["unique"], contract)
    return _group(statistics["rule"])


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(map(quote, columns))


def _full(columns: tuple[str, ...]) -> str:
    return " AND ".join(f"{quote(c)} IS NOT NULL" for c in columns)


def _unique(unique: Unique, contract: Contract) -> SetTest:
    names, full = _names(unique.columns), _full(unique.columns)
    key = unique.columns == contract.key
    title = ", ".join(contract.by_name[c].title for c in unique.columns)
    title_en = ", ".join(contract.by_name[c].title_en for c in unique.columns)
    return SetTest(
        ", ".join(unique.columns),
        "duplicate_key" if key else "duplicate_value",
        f"""
        SELECT {ROW} AS row FROM staged WHERE {full}
        QUALIFY row_number() OVER (PARTITION BY {names} ORDER BY {ROW}) > 1
        """,
        "Khóa trùng với một hàng ở trên" if key else f"{title} trùng với một hàng ở trên, phải là duy nhất",
        "The key repeats that of a row above" if key else f"{title_en} repeats that of a row above and must be unique",
        "duplicate",
        unique.level,
        # 64 bits that are all different prove that no value repeats, at a third of the cost of comparing the values.
        f"count(*) FILTER ({full}) > count(DISTINCT hash({names})) FILTER ({full})",
    )


def _stored_key(contract: Contract, table: str) -> SetTest:
    """`append` adds rows: a key that the table holds already would be there twice. (`merge` replaces by design.)"""
    same = " AND ".join(f"staged.{quote(k)} = kept.{quote(k)}" for k in contract.key)
    return SetTest(
        ", ".join(contract.key),
        "duplicate_key_store",
        f"SELECT {ROW} AS row FROM staged SEMI JOIN {table} AS kept ON {same}",
        "Khóa đã có trong kho; bộ dữ liệu này chỉ thêm hàng mới",
        "The key is in the store already; this dataset takes new rows only",
        "duplicate",
    )


def _reference(contract: Contract, reference: Reference, stored: Mapping[str, str]) -> SetTest:
    targets = " , ".join(f"{quote(target)} AS _t{i}" for i, target in enumerate(reference.targets))
    sources = [f"SELECT {targets} FROM {stored[reference.dataset]}"] if reference.dataset in stored else []
    if reference.dataset == contract.id:
        # A table that refers to itself: to the rows delivered and, unless they are replaced, to those it holds.
        sources = [f"SELECT {targets} FROM staged", *(sources if contract.load_mode != "replace" else [])]
    same = " AND ".join(f"staged.{quote(column)} = target._t{i}" for i, column in enumerate(reference.columns))
    columns, name = ", ".join(reference.columns), f"{reference.dataset} ({', '.join(reference.targets)})"
    return SetTest(
        columns,
        "reference",
        f"SELECT {ROW} AS row FROM staged ANTI JOIN ({' UNION ALL '.join(sources)}) AS target ON {same} WHERE {_full(reference.columns)}",
        f"Không có trong {name}",
        f"Not found in {name}",
        "broken reference",
        reference.level,
    )


def _group(rule: GroupRule) -> SetTest:
    per, full = _names(rule.per), _full(rule.per)
    if rule.overlap:
        first, last = map(quote, rule.overlap)
        rows = f"""
            SELECT {ROW} AS row FROM staged WHERE {full} AND {first} IS NOT NULL
            QUALIFY max(coalesce({last}, 'infinity')) OVER (
                PARTITION BY {per} ORDER BY {first}, {ROW} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) >= {first}
        """
    else:
        rows = f"""
            SELECT {ROW} AS row FROM staged
            SEMI JOIN (SELECT {per} FROM staged WHERE {full} GROUP BY {per} HAVING NOT ({rule.condition})) AS broken USING ({per})
        """
    return SetTest(", ".join(rule.per), rule.name, rows, rule.vi, rule.en, rule.group, rule.level)
