"""What a contract says, typed. Built from ODCS by `pipelines.contract.odcs`; holds no behaviour beyond naming."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

Access = Literal["open", "shared", "restricted"]
Personal = Literal["none", "basic", "sensitive"]
LoadMode = Literal["replace", "append", "merge", "snapshot"]
Cycle = Literal["real-time", "daily", "weekly", "monthly", "quarterly", "yearly", "irregular"]

CYCLE_LENGTH: dict[str, timedelta | None] = {
    "real-time": timedelta(days=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
    "monthly": timedelta(days=31),
    "quarterly": timedelta(days=92),
    "yearly": timedelta(days=366),
    "irregular": None,
}


@dataclass(frozen=True)
class SemanticType:
    """What a column means (`datasets/semantic-types.yaml`)."""

    id: str
    vi: str
    en: str
    type: str
    sql_type: str | None = None
    pattern: str | None = None
    minimum: Any = None
    maximum: Any = None
    max_length: int | None = None
    values: tuple[str, ...] = ()
    check: str | None = None
    personal: Personal = "none"
    unit: str | None = None
    example: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    """(code, label) of the code list, valid on the register's date; empty where there is none."""
    names: tuple[str, ...] = ()
    """Column names that suggest this type in a draft; content must agree."""
    telling: bool = False
    """Its form is so particular that a draft recognises it under any name."""


@dataclass(frozen=True)
class Agency:
    """Who owns datasets, or who uses them (`datasets/agencies.yaml`)."""

    code: str
    name: str
    name_en: str
    kind: str
    email: str
    phone: str
    identifier: str | None = None
    identifier_scheme: str | None = None
    identifier_valid_from: str | None = None
    identifier_valid_to: str | None = None
    identifier_derived: bool = False


@dataclass(frozen=True)
class Column:
    """One column of a dataset, with the rules on its values (semantic type already folded in)."""

    name: str
    title: str
    title_en: str
    description: str
    type: str
    sql_type: str
    required: bool = False
    key: int = 0
    unique: bool = False
    semantic: str | None = None
    personal: Personal = "none"
    values: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: Any = None
    maximum: Any = None
    min_length: int | None = None
    max_length: int | None = None
    check: str | None = None
    unit: str | None = None
    references: tuple[str, str] | None = None
    synonyms: tuple[str, ...] = ()
    example: str | None = None
    sample: str | None = None


@dataclass(frozen=True)
class Rule:
    """A rule over the columns of one row; NULL counts as passed."""

    name: str
    expression: str
    vi: str
    en: str


@dataclass(frozen=True)
class Check:
    """A question to the store after a load: ``sql`` counts violations, zero is a pass."""

    name: str
    sql: str
    vi: str
    en: str


@dataclass(frozen=True)
class Sample:
    """How sample deliveries of a dataset are made (`customProperties.sample`; see docs/contract.md)."""

    rows: int = 200
    totals: dict[str, float] = field(default_factory=dict)
    counts: dict[str, dict[Any, int]] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    cover: str | None = None
    children: dict[str, str] | None = None


@dataclass(frozen=True)
class Reading:
    """How a delivery's file is to be read, where the contract says so (`customProperties.reading`).

    What is None or empty is decided from the file, with the contract's names and types in hand.
    """

    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    """A Python codec name, or one of the legacy Vietnamese sets `tcvn3`, `vni`, `vps`, `viscii`."""
    header_row: int | None = None
    """Row of the file that holds the header (its last row where it has several), counted from 1."""
    by_position: bool = False
    """The columns come in the contract's order, whatever the header says; without this a position never decides."""
    sheets: tuple[str, ...] = ()
    """Names of the sheets to read, `*` for all; otherwise every visible sheet whose header fits."""
    sheet_column: str | None = None
    """A column of the contract that takes the name of the sheet (one sheet per district)."""
    group_column: str | None = None
    """A column of the contract that takes the text of the group row above (`I. Huyện Bến Lức`), carried down."""
    missing_codes: dict[str, str] = field(default_factory=dict)
    """Text that stands for a missing value → why it is missing."""
    decimal: Literal[",", "."] | None = None
    day_first: bool | None = None
    """Whether dates in numbers put the day (true) or the month (false) first."""


@dataclass(frozen=True)
class Source:
    """Where a dataset is fetched from, where nobody brings it (the contract's `servers` entry)."""

    kind: str
    """`postgres`, `mysql`, `sqlserver`, `oracle`, `api`…: the function of `pipelines.sources` that fetches."""
    server: str
    """Name of the system; an installation may give another address for it."""
    options: dict[str, Any] = field(default_factory=dict)
    """The entry's fields and properties. Of secrets it holds the names alone."""


@dataclass(frozen=True)
class Contract:
    """The whole truth about one dataset."""

    id: str
    file: Path
    version: str
    status: str
    title: str
    title_en: str
    purpose: str
    description_en: str
    usage: str
    limitations: str
    domain: str
    agency: str
    access: Access
    personal: Personal
    legal_basis: str | None
    licence: str | None
    load_mode: LoadMode
    delivery: str
    cycle: Cycle
    grace_days: int
    provenance: str
    keywords: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    checks: tuple[Check, ...]
    sample: Sample
    reading: Reading
    threshold: float
    """Share of rows (0–1) that may be quarantined before the delivery is refused as a whole."""
    fingerprint: str
    """Changes when the schema, the rules, the source or the query change: then the last delivery is judged again."""
    source: Source | None = None

    @property
    def schema(self) -> str:
        return self.domain.replace("-", "_")

    @property
    def table(self) -> str:
        return self.id.split("/", 1)[1].replace("-", "_")

    @property
    def sql_name(self) -> str:
        """Name in SQL, ``domain.dataset``, every hyphen an underscore."""
        return f"{self.schema}.{self.table}"

    @cached_property
    def key(self) -> tuple[str, ...]:
        return tuple(c.name for c in sorted((c for c in self.columns if c.key), key=lambda c: c.key))

    @cached_property
    def by_name(self) -> dict[str, Column]:
        return {c.name: c for c in self.columns}

    def sibling(self, suffix: str) -> Path:
        """The file of the same name beside the contract: ``.sql``, ``.data.csv``."""
        return self.file.with_name(self.file.name.removesuffix(".odcs.yaml") + suffix)

    @cached_property
    def query(self) -> str | None:
        """The SQL of a derived dataset; None for a delivered one."""
        path = self.sibling(".sql")
        return path.read_text(encoding="utf-8") if path.exists() else None

    @cached_property
    def reference_data(self) -> Path | None:
        """Real reference data kept beside the contract, if any."""
        path = self.sibling(".data.csv")
        return path if path.exists() else None

    @property
    def kind(self) -> Literal["derived", "reference", "delivered"]:
        return "derived" if self.query else "reference" if self.reference_data else "delivered"
