"""The register: every contract under one folder, with the facts said once for all of them."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlglot
import sqlglot.errors
import yaml
from sqlglot import exp

from pipelines.contract.model import Agency, Contract, SemanticType
from pipelines.contract.odcs import ContractReader
from pipelines.contract.problem import InvalidRegister, Problem
from pipelines.contract.semantic import Binder, semantic_faults, semantic_types_of
from pipelines.contract.yaml_lines import line_of


@dataclass(frozen=True)
class Register:
    """All contracts by id, agencies by code, domains and semantic types by id."""

    root: Path
    title: dict[str, str]
    timezone: str
    as_of: str
    contracts: dict[str, Contract]
    agencies: dict[str, Agency]
    domains: dict[str, dict[str, str]]
    semantic_types: dict[str, SemanticType] = field(repr=False)
    place: dict[str, Any] = field(default_factory=dict)
    """Facts of the province by which rules of semantic types judge: the bounds `west`, `south`, `east`, `north` in degrees."""
    drafts: dict[str, list[Problem]] = field(default_factory=dict)
    """Contracts with `status: draft` by id, with what is still wrong in them: not taken in, not published, in nobody's way."""

    def domain_title(self, domain: str, language: str = "vi") -> str:
        """The domain's title; a domain that `register.yaml` does not know is called by its folder's name."""
        return self.domains.get(domain, {}).get(language) or domain.replace("-", " ").capitalize()

    @property
    def binder(self) -> Binder:
        return Binder(self.semantic_types, self.place, self.as_of)

    @cached_property
    def by_sql_name(self) -> dict[str, Contract]:
        return {c.sql_name: c for c in self.contracts.values()}

    @cached_property
    def upstream(self) -> dict[str, tuple[str, ...]]:
        """For each derived dataset, the datasets its query reads (parsed from the query)."""
        return {c.id: self._sources(c) for c in self.contracts.values() if c.query}

    @cached_property
    def downstream(self) -> dict[str, tuple[str, ...]]:
        return {dataset: tuple(d for d, sources in self.upstream.items() if dataset in sources) for dataset in self.contracts}

    def derived_from(self, dataset: str) -> list[str]:
        """Every dataset that is computed from this one, directly or through others."""
        found: dict[str, None] = {}
        for reader in self.downstream[dataset]:
            found.update(dict.fromkeys([reader, *self.derived_from(reader)]))
        return list(found)

    def _sources(self, contract: Contract) -> tuple[str, ...]:
        tables = tables_of(contract.query or "")
        # A query over the ledger reads what every delivery writes: it comes after all delivered datasets.
        if "kho.ledger" in tables:
            return tuple(c.id for c in self.contracts.values() if not c.query)
        return tuple(sorted(self.by_sql_name[t].id for t in tables if t in self.by_sql_name))

    def order(self) -> list[str]:
        """Ids so that a derived dataset comes after what it reads, and what refers to another after that one.

        Where references go round in a circle, the circle is cut where it closes.
        """
        done: dict[str, None] = {}
        open_: set[str] = set()

        def visit(dataset: str) -> None:
            if dataset in done or dataset in open_ or dataset not in self.contracts:
                return
            open_.add(dataset)
            for before in (*self.upstream.get(dataset, ()), *(r.dataset for r in self.contracts[dataset].references)):
                visit(before)
            done[dataset] = None

        for dataset in self.contracts:
            visit(dataset)
        return list(done)


SYSTEM_TABLES = {"kho.register", "kho.ledger", "kho.agencies"}


def tables_of(query: str) -> set[str]:
    """``schema.table`` names that a query reads (not its CTEs)."""
    statement = sqlglot.parse_one(query, dialect="duckdb")
    return {f"{t.db}.{t.name}" for t in statement.find_all(exp.Table) if t.db}


def _yaml(file: Path) -> Any:
    return yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader) if file.exists() else None


def load_register(root: Path) -> Register:
    """Read every contract below ``root``; reads files only, no network, database or environment.

    Raises `InvalidRegister` with *all* mistakes found, each with file, line, field and what to write instead.
    """
    facts = _yaml(root / "register.yaml") or {}
    as_of = str(facts.get("codeListsAsOf", "9999-12-31"))
    agencies = {}
    for code, spec in (_yaml(root / "agencies.yaml") or {}).items():
        identifier = spec.get("identifier") or {}
        agencies[code] = Agency(
            code=code,
            name=spec["name"],
            name_en=spec["nameEn"],
            kind=spec["kind"],
            email=spec["email"],
            phone=spec["phone"],
            identifier=identifier.get("code"),
            identifier_scheme=identifier.get("scheme"),
            identifier_valid_from=identifier.get("validFrom"),
            identifier_valid_to=identifier.get("validTo"),
            identifier_derived=bool(identifier.get("derived")),
        )
    types_file = root / "semantic-types.yaml"
    specs, place = _yaml(types_file) or {}, facts.get("place") or {}
    semantic_types = semantic_types_of(root, specs, agencies, as_of)
    binder = Binder(semantic_types, place, as_of)
    problems = [
        Problem(types_file, line_of(types_file, (name,)), name, message, fix)
        for name, message, fix in semantic_faults(root, specs, semantic_types, place)
    ]
    contracts: dict[str, Contract] = {}
    drafts: dict[str, list[Problem]] = {}
    drafted: dict[str, Contract] = {}
    for file in sorted(root.rglob("*.odcs.yaml")):
        reader = ContractReader(file, root, binder, agencies)
        if reader.is_draft:
            drafts[reader.id] = reader.problems
            drafted |= {reader.id: reader.contract} if reader.contract else {}
        else:
            problems += reader.problems
            contracts |= {reader.contract.id: reader.contract} if reader.contract else {}
    register = Register(
        root=root,
        title={"vi": facts.get("vi", "Kho dữ liệu dùng chung"), "en": facts.get("en", "Shared data warehouse")},
        timezone=facts.get("timezone", "UTC"),
        as_of=as_of,
        contracts=contracts,
        agencies=agencies,
        domains=facts.get("domains") or {},
        semantic_types=semantic_types,
        place=binder.place,
        drafts=drafts,
    )
    problems += _across(register, complete=not problems)
    if problems:
        raise InvalidRegister(problems + [p for many in drafts.values() for p in many])
    for problem in _across(replace(register, contracts=contracts | drafted), complete=True):
        drafts[problem.file.relative_to(root).as_posix().split(".", 1)[0]].append(problem)
    return register


def _across(register: Register, *, complete: bool) -> list[Problem]:
    """Mistakes that show only between contracts: references, queries. Targets are judged when all files were read."""
    problems = []
    names: dict[str, str] = {}
    for contract in register.contracts.values():
        if contract.sql_name in names:
            problems.append(
                Problem(contract.file, 1, "id", f"has the same SQL name as {names[contract.sql_name]}", "rename one of the two files")
            )
        names[contract.sql_name] = contract.id
        if complete:
            problems += _reference_problems(register, contract) + _check_problems(register, contract)
        if contract.query:
            problems += _query_problems(register, contract) if complete else []
    return problems


def _reference_problems(register: Register, contract: Contract) -> list[Problem]:
    places = {c.name: i for i, c in enumerate(contract.columns)}
    problems = []
    for reference in contract.references:
        other = register.contracts.get(reference.dataset)
        for own, target in zip(reference.columns, reference.targets, strict=True):
            if other is None or target not in other.by_name:
                message = f"`{reference.dataset}.{target}` does not exist in the register"
                fix = "name an existing dataset and column: `to: ../<domain>/<dataset>.odcs.yaml#/schema/<table>/properties/<column>`"
            elif other.by_name[target].type != contract.by_name[own].type:
                message = f"`{own}` is {contract.by_name[own].type}, `{reference.dataset}.{target}` is {other.by_name[target].type}"
                fix = "refer to a column of the same logicalType"
            else:
                continue
            single = len(reference.columns) == 1
            path = ("schema", 0, "properties", places[own], "relationships") if single else ("schema", 0, "relationships")
            problems.append(Problem(contract.file, line_of(contract.file, path), f"schema.properties.{own}.relationships", message, fix))
    return problems


def _check_problems(register: Register, contract: Contract) -> list[Problem]:
    """Checks of the table that ask a table which no contract describes."""
    return [
        Problem(
            contract.file,
            1,
            "quality",
            f"check `{check.name}` reads `{table}`, which no contract describes",
            "name tables as domain.dataset",
        )
        for check in contract.checks
        for table in sorted(tables_of(check.sql))
        if table not in register.by_sql_name and table not in SYSTEM_TABLES
    ]


def _query_problems(register: Register, contract: Contract) -> list[Problem]:
    file = contract.sibling(".sql")
    try:
        tables = tables_of(contract.query or "")
    except sqlglot.errors.SqlglotError as error:
        return [Problem(file, 1, "query", f"cannot be read: {str(error).splitlines()[0]}", "write one SELECT in DuckDB's SQL")]
    return [
        Problem(file, 1, "query", f"reads `{table}`, which no contract describes", "name tables as domain.dataset with underscores")
        for table in sorted(tables)
        if table not in register.by_sql_name and table not in SYSTEM_TABLES
    ]


def with_contract(register: Register, contract: Contract) -> Register:
    """A copy of the register with one more contract (for drafts and tests)."""
    return replace(register, contracts={**register.contracts, contract.id: contract})


def register_state(root: Path) -> frozenset[tuple[str, int, int]]:
    """Every file of the register with its time and size: unequal as soon as one is added, changed or removed."""
    found = set()
    for file in root.rglob("*"):
        try:
            stat = file.stat()
        except FileNotFoundError:  # removed while we looked
            continue
        if file.suffix in (".yaml", ".sql", ".csv"):
            found.add((str(file), stat.st_mtime_ns, stat.st_size))
    return frozenset(found)
