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
Level = Literal["error", "warning"]
"""What a broken rule does to its row: `error` holds it back, `warning` lets it in and marks it."""
ErrorGroup = Literal["missing", "outlier", "duplicate", "wrong format", "broken reference", "contradiction", "stale", "mismatch"]
"""The eight groups in which faults are reported (công văn 4856/BCA-TTDLQG, 14 September 2026)."""

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
class Code:
    """One entry of a code list, with the days of its validity (ISO; `until` is the first day on which it no longer holds)."""

    code: str
    label: str
    since: str = ""
    until: str = ""


@dataclass(frozen=True)
class TypeRule:
    """A rule that a semantic type brings to its columns; the condition is a template (see `pipelines.contract.semantic`)."""

    name: str
    condition: str
    vi: str
    en: str
    level: Level = "error"
    group: ErrorGroup = "wrong format"
    suggest: str | None = None


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
    codes: tuple[Code, ...] = ()
    """The whole code list with its history; empty where there is none."""
    rules: tuple[TypeRule, ...] = ()
    names: tuple[str, ...] = ()
    """Column names that suggest this type in a draft; content must agree."""
    identifier: bool = False
    """It says officially which person, body or thing is meant: must be right in every row."""
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
class Rule:
    """A rule over the columns of one row; NULL counts as passed. ``column`` is whose fault it is, empty for the row's."""

    name: str
    expression: str
    vi: str
    en: str
    column: str = ""
    level: Level = "error"
    group: ErrorGroup = "contradiction"
    suggest: str | None = None
    """SQL over the row for the value that was probably meant; NULL where nothing can be said."""


@dataclass(frozen=True)
class GroupRule:
    """A rule over all rows of a delivery that agree in ``per``; the rows of a group that breaks it are all at fault.

    Either ``condition`` over the group's aggregates, or ``overlap``: (from, to), spans of days that may not overlap;
    then only the later row is at fault. Rows with an empty value in ``per`` belong to no group.
    """

    name: str
    per: tuple[str, ...]
    vi: str
    en: str
    condition: str | None = None
    overlap: tuple[str, str] | None = None
    level: Level = "error"
    group: ErrorGroup = "contradiction"


@dataclass(frozen=True)
class Unique:
    """Columns whose values, taken together, may occur once in a delivery; with an empty one among them they count as different."""

    columns: tuple[str, ...]
    level: Level = "error"


@dataclass(frozen=True)
class Reference:
    """A foreign key: the values of ``columns`` must occur in ``targets`` of another dataset's current release."""

    columns: tuple[str, ...]
    dataset: str
    targets: tuple[str, ...]
    level: Level = "warning"
    """An error only where the contract says so: deliveries of different agencies come in any order."""


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
    exclusive_minimum: Any = None
    exclusive_maximum: Any = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    format: str | None = None
    """How a date or time is written, as ODCS says it (`dd/MM/yyyy`); None where any known form will do."""
    check: str | None = None
    listed: tuple[str, ...] = ()
    """What the gate's closed list takes: every code that was ever valid, where a rule judges by the row's period; else ``values``."""
    rules: tuple[Rule, ...] = ()
    """What the semantic type and ODCS's metrics say about this column beyond the fields above."""
    unit: str | None = None
    references: tuple[str, str] | None = None
    synonyms: tuple[str, ...] = ()
    example: str | None = None
    sample: str | None = None
    identifier: bool = False
    """An official identifier by its semantic type: wrong values flag the delivery."""
    threshold: float | None = None
    """Share of rows (0–1) that may hold a wrong value here before the whole delivery is refused; None: only the contract's counts."""


@dataclass(frozen=True)
class Check:
    """A question to the store after a load: ``sql`` counts violations, zero is a pass."""

    name: str
    sql: str
    vi: str
    en: str
    level: Level = "error"


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
    """A column of the contract that takes the text of the group row above (`I. Huyện Bến Lức`, without its number), carried down."""
    missing_codes: dict[str, str] = field(default_factory=dict)
    """Text that stands for a missing value → why it is missing."""
    decimal: Literal[",", "."] | None = None
    day_first: bool | None = None
    """Whether dates in numbers put the day (true) or the month (false) first."""


@dataclass(frozen=True)
class Expectations:
    """What the contract expects of the store and its history (docs/quality.md). None as a limit: there is none."""

    drop: float | None = 0.5
    """Share of its rows (0–1) that a release may lack against the median of the earlier ones."""
    growth: float | None = 1.0
    """Share of rows that a release may have more."""
    null_share: float | None = 0.2
    """How far the share of missing values of a column may move, in either direction (0–1)."""
    distinct_share: float | None = 0.3
    """How far the share of different values among the filled ones may move (0–1)."""
    mean: float | None = 1.0
    """How far the mean of a number may move, in standard deviations of the earlier releases."""
    psi: float | None = 0.25
    """Largest population stability index of a closed list; above 0.25 is commonly called a major shift."""
    drift_except: frozenset[str] = frozenset()
    """Columns that are free to drift."""
    unmatched: float | None = 0.0
    """Share of filled references (0–1) that may name nothing in the dataset they refer to."""
    rows: tuple["RowCount", ...] = ()
    never_falls: tuple["NeverFalls", ...] = ()
    blocking: frozenset[str] = frozenset()
    """Kinds (`volume`, `freshness`, `drift`, `references`) and names whose failure holds back what is derived from the dataset."""


@dataclass(frozen=True)
class RowCount:
    """Bounds on the rows of the newest release, both inclusive."""

    name: str
    vi: str
    en: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class NeverFalls:
    """A cumulative figure: for each combination of ``by`` it never falls, ``along`` a period or from release to release."""

    name: str
    vi: str
    en: str
    column: str
    by: tuple[str, ...] = ()
    along: str | None = None
    resets: Literal["yearly", "monthly"] | None = None
    """When the figure starts again from nothing: read from the period ``along`` which it is followed."""


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
    group_rules: tuple[GroupRule, ...]
    unique: tuple[Unique, ...]
    """What must be unique besides the key."""
    references: tuple[Reference, ...]
    checks: tuple[Check, ...]
    period: str | None
    """The column that says to which time a row belongs; codes are judged as of then. None: as of the register's day."""
    expectations: Expectations
    sample: Sample
    reading: Reading
    threshold: float
    """Share of rows (0–1) that may be quarantined before the delivery is refused as a whole."""
    fingerprint: str
    """Changes when the schema, the rules, the source or the query change: then the last delivery is judged again."""
    source: Source | None = None

    @property
    def promised_within(self) -> timedelta | None:
        """The longest time between two deliveries before the dataset is late: a cycle and its grace; None where none is promised."""
        length = CYCLE_LENGTH[self.cycle]
        return None if length is None else length + timedelta(days=self.grace_days)

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
