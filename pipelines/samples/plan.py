"""Which value each row takes of each column, decided per dataset before any row exists: `Plan`."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import ceil, prod

from pipelines.contract import Column, Contract, Register
from pipelines.samples.chance import Chance
from pipelines.samples.parents import Parents, alias
from pipelines.samples.values import Domain, Values, numbered
from pipelines.sql import quote


@dataclass
class Plan:
    """How one dataset is made.

    ``source`` is SQL for the rows: `row_index` numbers them, `_j` the children of one parent. ``thing`` is SQL for `_e`, the
    number of what the row is about: the row itself, or the same thing again in each period. ``numbers`` gives, per
    column, SQL for the number of its value in ``domains``.
    """

    rows: int
    source: str = ""
    thing: str = "row_index"
    numbers: dict[str, str] = field(default_factory=dict)
    domains: dict[str, Domain] = field(default_factory=dict)
    joins: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class Planner:
    """Plans one dataset. Keys come first: they are combinations of listed values, or hold a column that has enough."""

    def __init__(self, contract: Contract, register: Register, values: Values, parents: Parents, chance: Chance) -> None:
        self.contract, self.register, self.values, self.parents, self.chance = contract, register, values, parents, chance

    def plan(self, rows: int) -> Plan:
        contract, sample = self.contract, self.contract.sample
        plan = Plan(rows)
        for column in contract.columns:
            self._domain(plan, column)
        if sample.cover:
            plan.rows = max(plan.rows, plan.domains[sample.cover].size)
        if sample.children:
            self._children(plan)
        self._key(plan)
        for column in contract.columns:
            if column.name not in plan.numbers:
                plan.numbers[column.name] = self._number(plan, column)
        for column in contract.columns:
            self._like_parent(plan, column)
        plan.source = plan.source or f"SELECT range AS row_index, 0 AS _j FROM range({plan.rows})"
        return plan

    def _domain(self, plan: Plan, column: Column) -> None:
        refers = column.references and column.references[0] != self.contract.id
        if refers and (not column.sample or column.sample.startswith("sql:")):
            parent = self.parents.of(column)
            if parent:
                plan.domains[column.name] = Domain(parent.size, _always(f"{alias(column)}._value"), listed=True)
                plan.joins[column.name] = parent.join(column)
                return
            assert column.references
            plan.warnings.append(f"{column.name}: {column.references[0]} has no sample to refer to; values are made up")
        plan.domains[column.name] = self.values.domain(self.contract, column)

    def _children(self, plan: Plan) -> None:
        """Rows that repeat each parent as often as its own column says."""
        children = self.contract.sample.children
        assert children
        column, by = self.contract.by_name[children["fk"]], quote(children["by"])
        parent = self.parents.of(column) if column.references else None
        if parent is None:
            raise ValueError(f"{self.contract.id}: sample.children: {column.name} refers to no dataset with a sample")
        row = self.parents.connection.execute(f"SELECT CAST(coalesce(sum({by}), 0) AS BIGINT) FROM {parent.name}").fetchone()
        plan.rows = int(row[0]) if row else 0
        plan.source = f"""
            SELECT row_number() OVER (ORDER BY _number, _j) - 1 AS row_index, _j, _number AS _parent
            FROM (SELECT _number, unnest(range(CAST({by} AS BIGINT))) AS _j FROM {parent.name})
        """
        plan.numbers[column.name] = "_parent"

    def _key(self, plan: Plan) -> None:
        domains = plan.domains
        key = [c for c in self.contract.key if c not in plan.numbers]
        listed = [c for c in key if domains[c].listed]
        if self.contract.sample.children:
            # The children of one parent differ in the first listed column, or in one that has enough values.
            for n, column in enumerate(listed):
                size = domains[column].size
                plan.numbers[column] = f"_j % {size}" if n == 0 else self.chance.draw(column, size)
        elif len(listed) == len(key):
            combinations = prod(domains[c].size for c in listed)
            names = [c for c in listed if (self.contract.by_name[c].sample or "").startswith("words:")]
            if combinations < plan.rows and names:
                domains[names[0]] = numbered(domains[names[0]])
                listed.remove(names[0])
            else:
                self._combine(plan, listed, combinations)
        vast = [c for c in key if c not in listed]
        if vast:
            self._distinguish(plan, listed, vast)

    def _combine(self, plan: Plan, listed: list[str], combinations: int) -> None:
        """Each row another combination; the column to be covered turns fastest, so that each stretch of rows has all of it."""
        if combinations < plan.rows:
            plan.warnings.append(f"the key has {combinations} combinations of values for {plan.rows} rows")
            plan.rows = combinations
        place, step = self.chance.shuffle("key", combinations), 1
        for column in sorted(listed, key=lambda c: c != self.contract.sample.cover):
            size = plan.domains[column].size
            plan.numbers[column] = f"({place}) // {step} % {size}"
            step *= size

    def _distinguish(self, plan: Plan, listed: list[str], vast: list[str]) -> None:
        """Each thing another value of the columns that have enough; where a period is in the key, each thing in each period."""
        periods = [c for c in listed if c not in plan.numbers and self.contract.by_name[c].semantic in self.values.periods]
        things = ceil(plan.rows / prod(plan.domains[c].size for c in periods))
        if periods:
            plan.thing, step = f"row_index % {things}", things
            for column in periods:
                plan.numbers[column] = f"row_index // {step} % {plan.domains[column].size}"
                step *= plan.domains[column].size
        for column in vast:
            domain = plan.domains[column]
            if things > domain.size:
                plan.warnings.append(f"{column} has {domain.size} values for {things} rows")
            size = min(domain.size, max(domain.variety or domain.size, things))
            plan.numbers[column] = "_e" if domain.running else self.chance.shuffle(column, size, "_e")

    def _number(self, plan: Plan, column: Column) -> str:
        """Which value a column takes that does not make the key distinct."""
        domain = plan.domains[column.name]
        index = "_e" if domain.stable and not column.key else "row_index"
        size = min(domain.size, domain.variety or domain.size)
        if self.contract.sample.cover == column.name:
            return self.chance.shuffle(column.name, domain.size, f"_e % {domain.size}")
        if domain.running:
            return "row_index" if column.unique else index
        if column.unique and domain.size >= plan.rows:
            return self.chance.shuffle(column.name, max(size, plan.rows))
        if domain.skewed:
            return self.chance.skewed(column.name, size, index)
        return self.chance.draw(column.name, size, index)

    def _like_parent(self, plan: Plan, column: Column) -> None:
        """A column that the parent has too (the company's name, the place's commune) takes the parent row's value."""
        sample = self.contract.sample
        fixed = column.key or column.name in plan.joins or column.name in sample.counts or column.name == sample.cover
        if fixed or column.unique or column.type != "string" or not (column.semantic or column.sample):
            return
        for other in self.contract.columns:
            if other.name not in plan.joins or not other.references:
                continue
            twin = self.register.contracts[other.references[0]].by_name.get(column.name)
            same = twin and (twin.semantic, twin.sample, twin.values) == (column.semantic, column.sample, column.values)
            if twin and same and (twin.required or not column.required):
                plan.domains[column.name] = replace(plan.domains[column.name], at=_always(f"{alias(other)}.{quote(column.name)}"))
                return


def _always(value: str) -> Callable[[str], str]:
    """The same SQL whatever the number: what a join brings."""
    return lambda _: value
