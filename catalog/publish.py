"""The catalogue: everything the pages and the API say, as one immutable object made from the register and the store's facts."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

from catalog.alphabet import alphabetically
from catalog.facts import Delivery, Facts, Profile, ReadableStore, read_facts
from catalog.freshness import Freshness, freshness
from catalog.search import Searchable, SearchIndex
from pipelines.contract import Agency, Contract, Register
from pipelines.outcome import CheckResult
from pipelines.quality import ExpectationResult, QualityRun

QualityState = Literal["passed", "quarantined", "failed-checks", "refused", "no-data"]
QUALITY_STATES: tuple[QualityState, ...] = ("passed", "quarantined", "failed-checks", "refused", "no-data")


@dataclass(frozen=True)
class Entry:
    """One dataset with all that is known about it."""

    contract: Contract
    agency: Agency
    deliveries: tuple[Delivery, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    profile: dict[str, Profile] = field(default_factory=dict)
    expectations: tuple[ExpectationResult, ...] = ()
    """Of the newest quality run."""
    quality_runs: tuple[QualityRun, ...] = ()
    """Newest first."""
    upstream: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()
    open_rows: int = 0
    """Rows held back that wait to be mended, of all deliveries."""

    @property
    def waits(self) -> bool:
        """Whether somebody has something to mend."""
        return bool(self.open_rows) or (self.judged is not None and self.judged.outcome == "refused")

    @property
    def id(self) -> str:
        return self.contract.id

    @property
    def path(self) -> str:
        return f"/datasets/{self.contract.id}"

    @cached_property
    def releases(self) -> tuple[Delivery, ...]:
        return tuple(d for d in self.deliveries if d.release is not None)

    @property
    def latest(self) -> Delivery | None:
        """The delivery that made the newest release."""
        return self.releases[0] if self.releases else None

    @cached_property
    def judged(self) -> Delivery | None:
        """The newest delivery that the gate judged: the same bytes again say nothing new."""
        return next((d for d in self.deliveries if d.outcome != "duplicate"), None)

    @property
    def rows(self) -> int:
        return self.latest.rows_total if self.latest else 0

    @cached_property
    def synthetic(self) -> bool:
        """Whether the newest release holds synthetic rows. Where deliveries add up, one synthetic delivery is enough."""
        if self.contract.load_mode == "replace":
            return bool(self.latest and self.latest.synthetic)
        return any(d.synthetic for d in self.releases)

    @cached_property
    def quality(self) -> QualityState:
        if self.judged is None:
            return "no-data"
        if self.judged.outcome == "refused":
            return "refused"
        # Lateness has its own badge.
        if self.failed_checks or any(e.kind != "freshness" for e in self.failed_expectations):
            return "failed-checks"
        return "quarantined" if self.open_rows else "passed"

    @property
    def accepted_share(self) -> float | None:
        """Accepted rows of the rows read in the newest judged delivery, 0–1."""
        return self.judged.rows_accepted / self.judged.rows_read if self.judged and self.judged.rows_read else None

    @property
    def failed_checks(self) -> tuple[CheckResult, ...]:
        return tuple(c for c in self.checks if not c.passed)

    @property
    def failed_expectations(self) -> tuple[ExpectationResult, ...]:
        return tuple(e for e in self.expectations if e.passed is False)

    @property
    def release_number(self) -> int | None:
        return self.latest.release if self.latest else None

    @property
    def freshness(self) -> Freshness:
        """As of this moment; a page that shows many datasets asks once for the time and uses `freshness_at`."""
        return self.freshness_at(datetime.now(UTC).replace(tzinfo=None))

    def freshness_at(self, now: datetime) -> Freshness:
        return freshness(self.contract, self.latest.received_at if self.latest else None, now)

    def title(self, language: str) -> str:
        return self.contract.title_en if language == "en" else self.contract.title


@dataclass(frozen=True)
class Catalogue:
    """One state of everything. Readers keep the object they started with; a newer state is a new object."""

    register: Register
    snapshot: int
    entries: dict[str, Entry]
    index: SearchIndex
    mistakes: tuple[str, ...] = ()
    """What is wrong with the register's files now, while this catalogue still shows the last good register."""

    @cached_property
    def by_agency(self) -> dict[str, list[Entry]]:
        return self._group("agency")

    @cached_property
    def by_domain(self) -> dict[str, list[Entry]]:
        return self._group("domain")

    def _group(self, attribute: str) -> dict[str, list[Entry]]:
        groups: dict[str, list[Entry]] = {}
        for entry in self.alphabetical:
            groups.setdefault(getattr(entry.contract, attribute), []).append(entry)
        return groups

    @cached_property
    def alphabetical(self) -> list[Entry]:
        return sorted(self.entries.values(), key=lambda e: (alphabetically(e.contract.title), e.id))

    @cached_property
    def rows(self) -> int:
        return sum(e.rows for e in self.entries.values())

    @cached_property
    def newest(self) -> list[Entry]:
        """Datasets with data, the most recently released first."""
        released = [(e.latest.finished_at, e) for e in self.alphabetical if e.latest]
        return [e for _, e in sorted(released, key=lambda pair: pair[0], reverse=True)]

    def late(self, now: datetime) -> list[Entry]:
        """Datasets past their promised date, the longest overdue first."""
        due = [(f.due, e) for e in self.alphabetical if (f := e.freshness_at(now)).late and f.due]
        return [e for _, e in sorted(due, key=lambda pair: pair[0])]


def build(register: Register, facts: Facts, index: SearchIndex | None = None) -> Catalogue:
    """The catalogue of a register and the facts about it. ``index`` may be kept while the register is the same."""
    entries = {
        id: Entry(
            contract=contract,
            agency=register.agencies[contract.agency],
            deliveries=facts.deliveries.get(id, ()),
            checks=facts.checks.get(id, ()),
            profile=facts.profiles.get(id, {}),
            expectations=facts.expectations.get(id, ()),
            quality_runs=facts.quality_runs.get(id, ()),
            upstream=register.upstream.get(id, ()),
            downstream=register.downstream.get(id, ()),
            open_rows=facts.open_rows.get(id, 0),
        )
        for id, contract in register.contracts.items()
    }
    return Catalogue(register, facts.snapshot, entries, index or index_of(register))


def publish(register: Register, store: ReadableStore) -> Catalogue:
    """The catalogue of a register and the store as it is now."""
    return build(register, read_facts(store))


def index_of(register: Register) -> SearchIndex:
    return SearchIndex(_searchable(register, contract) for contract in register.contracts.values())


def _searchable(register: Register, contract: Contract) -> Searchable:
    agency = register.agencies[contract.agency]
    return Searchable(
        contract.id,
        {
            "title": contract.title,
            "title_en": contract.title_en,
            "keywords": " | ".join(contract.keywords),
            "id": contract.id,
            "domain": f"{register.domain_title(contract.domain)} | {register.domain_title(contract.domain, 'en')}",
            "agency": f"{agency.name} | {agency.name_en} | {agency.code}",
            "columns": " | ".join(f"{c.title} | {c.title_en} | {c.name}" for c in contract.columns),
            "text": f"{contract.purpose} | {contract.description_en} | {contract.usage}",
        },
    )
