"""What the columns of a sheet are to the contract."""

from dataclasses import dataclass

from pipelines.contract import Contract
from pipelines.gate.headers import fold, match
from pipelines.gate.readers.spreadsheet.header import Header
from pipelines.gate.readers.spreadsheet.words import RATES


@dataclass(frozen=True)
class Roles:
    """What the columns of a sheet are to the contract, by the sheet's names (`A`, `B`…)."""

    named: list[str]
    counter: str | None
    required: list[str]
    key: list[str]
    closed: dict[str, tuple[str, ...]]
    summed: dict[str, str]
    """Columns whose totals are sums → the name in the header."""
    numbers: list[str]
    text: frozenset[str]
    """The contract's other columns."""
    percent: frozenset[str]
    grouped: bool

    @classmethod
    def of(cls, header: Header, contract: Contract | None) -> "Roles":
        named = list(header.names)
        if contract is None:
            return cls(named, header.counter, [], [], {}, {}, [], frozenset(), frozenset(), False)
        by_name = {name: column for column, name in header.names.items()}
        at = {column: by_name[name] for column, name in match(contract, list(by_name)).columns.items()}
        columns = {at[column.name]: column for column in contract.columns if column.name in at}
        numbers = [c for c, column in columns.items() if column.type in ("integer", "number")]
        percent = frozenset(c for c in numbers if fold((columns[c].unit or "").replace("%", " phan tram ")) == "phan_tram")
        summed = {
            c: header.names[c]
            for c in numbers
            if not columns[c].key
            and columns[c].semantic is None
            and c not in percent
            and not any(word in f"{fold(columns[c].title)} {columns[c].name}" for word in RATES)
        }
        return cls(
            named,
            header.counter,
            [c for c, column in columns.items() if column.required],
            [c for c, column in columns.items() if column.key],
            {c: column.values for c, column in columns.items() if column.values},
            summed,
            numbers,
            frozenset(columns).difference(numbers),
            percent,
            contract.reading.group_column is not None,
        )
