"""One DuckDB table per dataset, made by one statement over `range(n)`: no loop over rows anywhere.

Layers, from the inside out: numbers of values (`plan`) → values (`values`) → figures that must add up → columns that
depend on others (`related`) → only what the gate would accept.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from math import ceil

import duckdb

from pipelines.contract import Column, Contract, Register
from pipelines.gate.scan import row_tests
from pipelines.gate.values import raw
from pipelines.samples.chance import Chance
from pipelines.samples.faults import Fault, plant
from pipelines.samples.parents import Parents
from pipelines.samples.plan import Plan, Planner
from pipelines.samples.related import dependent
from pipelines.samples.values import Values, of
from pipelines.sql import literal, quote

MISSING_PCT = 4
"""How many of a hundred values of an optional column are missing."""
MOST_TRIES = 20
"""How many times the wanted rows are made at most where rules throw rows away."""


class Tables:
    """The sample tables of one run; those that others refer to stay until the end."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, register: Register, seed: int, scale: float, say: Callable[[str], None]
    ) -> None:
        self.connection, self.register, self.seed, self.scale, self.say = connection, register, seed, scale, say
        self.values, self.parents = Values(register), Parents(connection)
        contracts = register.contracts.values()
        self.referred = {c.references[0] for contract in contracts for c in contract.columns if c.references}
        # Columns that say how many children a row has: none may be missing.
        self.counting = {
            (references[0], contract.sample.children["by"])
            for contract in contracts
            if contract.sample.children and (references := contract.by_name[contract.sample.children["fk"]].references)
        }

    def name(self, contract: Contract) -> str:
        return quote(contract.id)

    def make(self, contract: Contract) -> None:
        """Create the table of a dataset: the contract's columns, and `row_index`, the row's number."""
        try:
            if contract.reference_data:
                self._read(contract)
            else:
                self._generate(contract)
        except duckdb.Error as error:
            error.add_note(f"while making the sample of {contract.id}")
            raise
        self.parents.made.add(contract.id)

    def forget(self, contract: Contract) -> None:
        """Drop a table that nothing refers to."""
        if contract.id not in self.referred:
            self.connection.execute(f"DROP TABLE {self.name(contract)}")

    def faults(self, contract: Contract) -> list[Fault]:
        """The faults to plant in the dataset's delivery."""
        row = self.connection.execute(f"SELECT count(*) FROM {self.name(contract)}").fetchone()
        return plant(contract, int(row[0]) if row else 0, Chance(self.seed, contract.id).salt("faults"))

    def _read(self, contract: Contract) -> None:
        columns = ", ".join(f"TRY_CAST({quote(c.name)} AS {c.sql_type}) AS {quote(c.name)}" for c in contract.columns)
        self.connection.execute(
            f"""
            CREATE TABLE {self.name(contract)} AS
            SELECT row_number() OVER () - 1 AS row_index, {columns}
            FROM read_csv({literal(contract.reference_data)}, all_varchar = true, header = true, delim = ',', quote = '"')
            """
        )

    def _generate(self, contract: Contract) -> None:
        """Make the wanted rows; where rules refuse some and no exact figures are asked, make more and keep the good ones."""
        sample, chance = contract.sample, Chance(self.seed, contract.id)
        planner = Planner(contract, self.register, self.values, self.parents, chance)
        related = dependent(contract, self.values.communes, chance)
        counted = [sum(map(self._scaled, counts.values())) for counts in sample.counts.values()]
        wanted = counted[0] if counted else max(self._scaled(sample.rows), 1)
        plan = planner.plan(wanted)
        for warning in plan.warnings:
            self.say(f"{contract.id}: warning: {warning}")
        self._create(contract, plan, related, chance)
        good, complaints = self._judge(contract)
        target = min(wanted, plan.rows)
        if not (sample.totals or sample.counts or sample.children) and 0 < good < target:
            self._create(contract, planner.plan(min(ceil(1.3 * wanted * plan.rows / good) + 20, wanted * MOST_TRIES)), related, chance)
            self._keep_good(contract, target)
            good, _ = self._judge(contract)
        if good < min(target, plan.rows):
            for complaint in [*complaints, f"{good} sound rows instead of {target}"]:
                self.say(f"{contract.id}: warning: {complaint}")

    def _scaled(self, number: float) -> int:
        return round(number * self.scale)

    # ---- rows

    def _create(self, contract: Contract, plan: Plan, related: dict[str, str], chance: Chance) -> None:
        numbers = ", ".join(f"{number} AS {quote(f'_k_{name}')}" for name, number in plan.numbers.items())
        needed = self._needed(contract, related)
        columns = ", ".join(f"{self._value(contract, c, plan, c.name in needed, chance)} AS {quote(c.name)}" for c in contract.columns)
        sql = f"""
            SELECT row_index, {columns}
            FROM (SELECT *, {numbers} FROM (SELECT *, {plan.thing} AS _e FROM ({plan.source})))
            {" ".join(plan.joins.values())}
        """
        for name, total in contract.sample.totals.items():
            sql = f"SELECT * REPLACE ({self._share(contract.by_name[name], total, plan.rows)} AS {quote(name)}) FROM ({sql})"
        for name, expression in related.items():
            sql = f"SELECT * REPLACE (CAST({expression} AS {contract.by_name[name].sql_type}) AS {quote(name)}) FROM ({sql})"
        self.connection.execute(f"CREATE OR REPLACE TABLE {self.name(contract)} AS {sql} ORDER BY row_index")
        self._place_under_superiors(contract)

    def _needed(self, contract: Contract, related: dict[str, str]) -> set[str]:
        """Columns that rules, figures or other columns depend on: they may not be missing."""
        sample = contract.sample
        expressions = " ".join([*(rule.expression for rule in contract.rules), *related.values()])
        mentioned = {c.name for c in contract.columns if re.search(rf"\b{c.name}\b", expressions)}
        counting = {c.name for c in contract.columns if (contract.id, c.name) in self.counting}
        return mentioned | counting | set(related) | set(sample.totals) | set(sample.counts) | {sample.cover or ""}

    def _value(self, contract: Contract, column: Column, plan: Plan, needed: bool, chance: Chance) -> str:
        counts = contract.sample.counts.get(column.name)
        if counts is not None:
            value = self._counted(column, {str(v): self._scaled(n) for v, n in counts.items()}, chance)
        else:
            value = f"CAST({plan.domains[column.name].at(quote(f'_k_{column.name}'))} AS {column.sql_type})"
        if column.required or needed:
            return value
        # Half a pair of coordinates is no use: they are missing together.
        what = "place" if column.semantic in ("kinh_do", "vi_do") else column.name
        return f"CASE WHEN {chance.draw(f'missing/{what}', 100)} < {MISSING_PCT} THEN NULL ELSE {value} END"

    def _counted(self, column: Column, counts: dict[str, int], chance: Chance) -> str:
        """Each value exactly as often as asked, spread over the rows by a permutation."""
        place, up_to, cases = chance.shuffle(column.name, max(sum(counts.values()), 1)), 0, []
        domain = of(list(counts), column.sql_type)
        for n, count in enumerate(counts.values()):
            up_to += count
            cases.append(f"WHEN {place} < {up_to} THEN {domain.at(str(n))}")
        return f"CASE {' '.join(cases)} END"

    def _share(self, column: Column, total: float, rows: int) -> str:
        """The column scaled so that its sum is exact: each row gets its part of the running sum, in whole units.

        A unit is 1 for integers and 0.01 for decimals (finer only when the total itself is).
        """
        wanted = Decimal(str(total))
        if self.scale != 1:
            wanted = round(wanted * Decimal(str(self.scale)), 2)
        digits = 0 if column.type == "integer" else max(2, -int(wanted.as_tuple().exponent))
        unit = 10**digits
        least = Decimal(str(column.minimum if column.minimum is not None else 0))
        floor = int(least * unit)
        spare = int(wanted * unit) - floor * rows
        if spare < 0:
            floor, spare = 0, int(wanted * unit)
        weight = f"(CAST(greatest(round(({quote(column.name)} - {least}) * 100), 0) AS HUGEINT) + 1)"
        running, whole = f"sum({weight}) OVER (ORDER BY row_index ROWS UNBOUNDED PRECEDING)", f"sum({weight}) OVER ()"
        units = f"{floor} + {spare}::HUGEINT * {running} // {whole} - {spare}::HUGEINT * ({running} - {weight}) // {whole}"
        return f"CAST(({units}) / {unit}.0 AS {column.sql_type})" if unit > 1 else f"CAST({units} AS {column.sql_type})"

    def _place_under_superiors(self, contract: Contract) -> None:
        """Where rows refer to rows of the same dataset: to one before them; the first few to none, or to themselves."""
        table = self.name(contract)
        for column in contract.columns:
            if not column.references or column.references[0] != contract.id or column.name in contract.sample.columns:
                continue
            target = quote(column.references[1])
            self.connection.execute(
                f"""
                UPDATE {table}
                SET {quote(column.name)} = CASE WHEN {table}.row_index < 5 THEN {f"{table}.{target}" if column.required else "NULL"} ELSE superior.value END
                FROM (SELECT row_index, {target} AS value FROM {table}) AS superior
                WHERE superior.row_index = {table}.row_index // 6
                """
            )

    # ---- the gate's verdict

    def _tested(self, contract: Contract) -> tuple[str, list[str], list[str]]:
        """The table as the gate's tests read it, and per test its name and the condition on which a row fails."""
        found = [t for t in row_tests(contract, {c.name for c in contract.columns}) if t.level == "error"]
        texts = ", ".join(f"CAST({quote(c.name)} AS VARCHAR) AS {raw(c.name)}" for c in contract.columns)
        names = [f"{t.column or 'rule'} {t.rule}" for t in found]
        return f"(SELECT *, {texts} FROM {self.name(contract)})", names, [f"coalesce({t.fails}, false)" for t in found]

    def _judge(self, contract: Contract) -> tuple[int, list[str]]:
        """How many rows the gate would accept, and what it would say of the others."""
        relation, names, conditions = self._tested(contract)
        key, fails = ", ".join(map(quote, contract.key)), " OR ".join(conditions) or "false"
        counts = "".join(f", count(*) FILTER ({c})" for c in conditions)
        row = self.connection.execute(
            f"SELECT count(*), count(*) FILTER (NOT ({fails})), count(DISTINCT ({key})) FILTER (NOT ({fails})){counts} FROM {relation}"
        ).fetchone()
        assert row is not None
        rows, good, distinct, *broken = row
        complaints = [f"{name} fails in {count} of {rows} rows" for name, count in zip(names, broken, strict=True) if count]
        if distinct < good:
            complaints.append(f"{good - distinct} of {rows} rows repeat a key")
        return int(distinct), complaints

    def _keep_good(self, contract: Contract, most: int) -> None:
        """Leave the first ``most`` rows that the gate would accept."""
        relation, _, conditions = self._tested(contract)
        names = ", ".join(quote(c.name) for c in contract.columns)
        self.connection.execute(
            f"""
            CREATE OR REPLACE TABLE {self.name(contract)} AS
            SELECT row_number() OVER (ORDER BY row_index) - 1 AS row_index, {names}
            FROM (SELECT * FROM {relation} WHERE NOT ({" OR ".join(conditions)})
                  QUALIFY row_number() OVER (PARTITION BY {", ".join(map(quote, contract.key))} ORDER BY row_index) = 1)
            ORDER BY row_index LIMIT {most}
            """
        )
