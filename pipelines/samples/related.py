"""Columns of a row that depend on its other columns: what belongs together anywhere, then what the contract says."""

import re

import sqlglot
from sqlglot import exp

from pipelines.contract import Column, Contract, SemanticType
from pipelines.contract.semantic import partner
from pipelines.samples.chance import Chance
from pipelines.sql import literal, quote

INTERVAL = re.compile(r"(?i)\b(interval|to_(days|weeks|months|years|hours|minutes|seconds))\b")


def dependent(contract: Contract, types: dict[str, SemanticType], chance: Chance) -> dict[str, str]:
    """SQL per dependent column, in the order in which they are to be computed."""
    communes = types["dvhc_xa"].labels if "dvhc_xa" in types else ()
    found: dict[str, str] = {}
    first: dict[str, Column] = {}
    for column in contract.columns:
        if column.semantic:
            first.setdefault(column.semantic, column)
    given = contract.sample.columns
    dates = (
        c for c in contract.columns if c.type in ("date", "timestamp") and c.name not in given and not (c.sample or "").startswith("sql:")
    )
    received = next(dates, None)
    computed = {c.name for c in contract.columns if (c.sample or "").startswith("sql:")} | set(given)
    late: dict[str, str] = {}
    for column in contract.columns:
        if column.sample or column.references or column.name in given:
            continue
        if column.semantic == "cccd":
            born, sex = (partner(other, column, contract.columns, types) for other in ("ngay_sinh", "gioi_tinh"))
            if born:
                # It follows what the contract computes of the same person.
                waits = computed & {c.name for c in (born, sex) if c}
                (late if waits else found)[column.name] = _citizen_number(quote(column.name), born, sex)
        elif related := _related(column, first, received, communes, chance):
            found[column.name] = related
    for column in contract.columns:
        if column.sample and column.sample.startswith("sql:"):
            found[column.name] = column.sample.removeprefix("sql:")
    found |= contract.sample.columns
    found |= late
    return {name: _repeatable(contract, name, expression, chance) for name, expression in found.items()}


def _related(
    column: Column, first: dict[str, Column], received: Column | None, communes: tuple[tuple[str, str], ...], chance: Chance
) -> str | None:
    """An address ends in the row's commune, a point lies at its coordinates, a health card ends in the insured's
    number, a dossier's code tells the day of receipt. What makes a code unique is left as it is.
    """
    x = quote(column.name)
    if column.semantic == "ma_ho_so" and received:
        return f"coalesce(regexp_replace({x}, '-[0-9]{{6}}-', '-' || strftime({quote(received.name)}, '%y%m%d') || '-'), {x})"
    if column.semantic in ("dia_chi", "dia_chi_ca_nhan") and communes:
        codes, names = zip(*communes, strict=True)
        names_sql = f"[{', '.join(map(literal, names))}]"
        if "dvhc_xa" not in first:
            return f"{x} || ', ' || {names_sql}[1 + {chance.draw('commune', len(codes))}]"
        code = quote(first["dvhc_xa"].name)
        return f"{x} || coalesce(', ' || {names_sql}[list_position([{', '.join(map(literal, codes))}], {code})], '')"
    if column.semantic == "the_bhyt" and "bhxh" in first:
        return f"substr({x}, 1, 5) || {quote(first['bhxh'].name)}"
    if column.semantic == "hinh_hoc" and {"kinh_do", "vi_do"} <= set(first):
        point = ", ".join(f"CAST({quote(first[s].name)} AS DOUBLE)" for s in ("kinh_do", "vi_do"))
        return f"""printf('{{"type": "Point", "coordinates": [%.5f, %.5f]}}', {point})"""
    return None


def _citizen_number(x: str, born: Column, sex: Column | None) -> str:
    """A citizen number tells century and sex, and the year of birth; the digits that make it one person's stay."""
    day = quote(born.name)
    woman = f"CASE WHEN {quote(sex.name)} = 'Nữ' THEN 1 ELSE 0 END" if sex else f"CAST(substr({x}, 4, 1) AS INTEGER) % 2"
    century = f"CASE WHEN {day} >= DATE '2000-01-01' THEN 2 ELSE 0 END"
    return f"CASE WHEN {day} IS NULL THEN {x} ELSE substr({x}, 1, 3) || (({century}) + ({woman})) || strftime({day}, '%y') || substr({x}, 7) END"


def _repeatable(contract: Contract, name: str, expression: str, chance: Chance) -> str:
    """The expression with `random()` made to repeat itself, and whole numbers made fit to be added to dates."""
    if "random" in expression.lower() or any(c.type == "date" for c in contract.columns if c.name in expression):
        tree = sqlglot.parse_one(expression, dialect="duckdb")
        dates = {c.name for c in contract.columns if c.type == "date"}
        changed = False
        for node in list(tree.walk()):
            if isinstance(node, exp.Add | exp.Sub) and _is_date(node.this, dates) and not _is_day_count(node.expression, dates):
                node.set("expression", exp.cast(exp.paren(node.expression.copy()), "INTEGER", dialect="duckdb"))
                changed = True
        for n, node in enumerate(list(tree.find_all(exp.Rand))):
            drawn = sqlglot.parse_one(f"({chance.draw(f'random/{name}/{n}', 1_000_003)} / 1000003.0)", dialect="duckdb")
            if node is tree:
                tree = drawn
            else:
                node.replace(drawn)
            changed = True
        return tree.sql(dialect="duckdb") if changed else expression
    return expression


def _is_date(node: exp.Expression, dates: set[str]) -> bool:
    """Whether the expression is plainly a date."""
    if isinstance(node, exp.Column):
        return node.name in dates
    if isinstance(node, exp.Cast):
        return node.to.is_type("date")
    if isinstance(node, exp.Paren | exp.Coalesce | exp.Greatest | exp.Least):
        return _is_date(node.this, dates)
    return isinstance(node, exp.Add | exp.Sub) and _is_date(node.this, dates) and not _is_date(node.expression, dates)


def _is_day_count(node: exp.Expression, dates: set[str]) -> bool:
    """Whether DuckDB adds this to a date as it stands: a plain number, an interval, or (to subtract) a date."""
    if isinstance(node, exp.Cast):
        return node.to.is_type("int")
    return isinstance(node, exp.Literal) or _is_date(node, dates) or bool(INTERVAL.search(node.sql(dialect="duckdb")))
