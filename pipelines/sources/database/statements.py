"""The SELECTs that read a table: the contract's columns alone, in windows of its key. Each database's own SQL is sqlglot's affair."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlglot import exp, select

from pipelines.sources.database.columns import SourceColumn

CURSOR = "_cursor"
"""Name under which the cursor column is read beside the contract's columns; it is no part of the delivery."""

SOURCE = "source"

ORDERED = ("integer", "number", "text", "date", "timestamp")
"""Families whose values can be written down and compared again: fit for keys of windows."""


@dataclass(frozen=True)
class Table:
    """A table to read: where it is, contract column → source column, and its key in order."""

    dialect: str
    """sqlglot's name of the database: `postgres`, `mysql`, `tsql`, `oracle`."""
    schema: str
    name: str
    columns: dict[str, SourceColumn]
    key: tuple[SourceColumn, ...]
    cursor: SourceColumn | None = None

    def _from(self, *what: exp.Expr) -> exp.Select:
        table = exp.table_(self.name, db=self.schema or None, quoted=True)
        return select(*what).from_(exp.alias_(table, SOURCE, table=True))

    def page(self, low: tuple[Any, ...] | None, high: tuple[Any, ...] | None, since: Any, keyless: bool = False) -> str:
        """Rows whose key is above ``low`` and up to ``high``; with ``keyless``, those whose key has an empty part.

        ``since`` is the lowest value of the cursor; rows without one are always read.
        """
        what = [exp.alias_(_readable(c, self.dialect), name, quoted=True) for name, c in self.columns.items()]
        if self.cursor:
            what.append(exp.alias_(_plain(self.cursor, self.dialect), CURSOR, quoted=True))
        query = self._where(self._from(*what), low, high, since, keyless)
        return query.order_by(*[_name(c) for c in self.key]).sql(dialect=self.dialect)

    def boundary(self, low: tuple[Any, ...] | None, since: Any, rows: int) -> str:
        """The key of the row that is ``rows`` further; no row when there are fewer."""
        query = self._where(self._from(*[_plain(c, self.dialect) for c in self.key]), low, None, since, False)
        return query.order_by(*[_name(c) for c in self.key]).limit(1).offset(rows - 1).sql(dialect=self.dialect)

    def _where(self, query: exp.Select, low: tuple[Any, ...] | None, high: tuple[Any, ...] | None, since: Any, keyless: bool) -> exp.Select:
        empty = [exp.Is(this=_name(c), expression=exp.Null()) for c in self.key if c.nullable]
        if keyless:
            query = query.where(exp.or_(*empty))
        elif self.key:
            query = query.where(*[exp.not_(condition) for condition in empty])
        if low is not None:
            query = query.where(self._beyond(low, exp.GT, exp.GT, exp.GTE))
        if high is not None:
            query = query.where(self._beyond(high, exp.LT, exp.LTE, exp.LTE))
        if since is not None and self.cursor:
            reached = exp.GTE(this=_name(self.cursor), expression=_literal(since, self.cursor, self.dialect))
            query = query.where(exp.or_(reached, exp.Is(this=_name(self.cursor), expression=exp.Null())))
        return query

    def _beyond(self, values: tuple[Any, ...], beyond: type[exp.Binary], last: type[exp.Binary], first: type[exp.Binary]) -> exp.Expr:
        """``(k1, k2) > (v1, v2)`` spelt out, since not every database compares rows; `k1 >= v1` lets each use its index."""
        literals = [_literal(v, c, self.dialect) for v, c in zip(values, self.key, strict=True)]
        condition: exp.Expr = last(this=_name(self.key[-1]), expression=literals[-1])
        for column, value in zip(self.key[-2::-1], literals[-2::-1], strict=True):
            same = exp.and_(exp.EQ(this=_name(column), expression=value.copy()), condition)
            condition = exp.or_(beyond(this=_name(column), expression=value.copy()), same)
        if len(self.key) > 1:
            condition = exp.and_(first(this=_name(self.key[0]), expression=literals[0].copy()), condition)
        return condition


def windows_fit(key: tuple[SourceColumn, ...]) -> bool:
    """Whether the table can be read in windows of this key."""
    return bool(key) and all(c.family in ORDERED and c.type not in ("real", "float", "double", "double precision") for c in key)


def _name(column: SourceColumn) -> exp.Column:
    # Named with its table: in ORDER BY a bare name could be that of a converted column, which no index orders.
    return exp.column(exp.to_identifier(column.name, quoted=True), table=SOURCE)


def _plain(column: SourceColumn, dialect: str) -> exp.Expr:
    """The column as its own type, times as local ones."""
    if dialect == "postgres" and column.type == "timestamp with time zone":
        return exp.cast(_name(column), "timestamp")
    return _name(column)


def _readable(column: SourceColumn, dialect: str) -> exp.Expr:
    """The column in a form that its driver brings over without loss: as it is, or as text where types differ between worlds."""
    name = _name(column)
    if column.family == "number" and (dialect in ("postgres", "oracle") or column.type == "bigint unsigned"):
        # PostgreSQL's and Oracle's numbers may have no declared precision, or be NaN; text keeps every digit.
        if dialect == "oracle":
            format_ = exp.Literal.string("TM9")
            return exp.func("TO_CHAR", name, format_, exp.Literal.string("NLS_NUMERIC_CHARACTERS = '.,'"), dialect=dialect)
        return exp.cast(name, "text")
    if column.family == "number" and "money" in column.type:
        return exp.cast(name, "decimal(19,4)")
    if column.family == "boolean" and dialect == "mysql":
        return exp.cast(name, exp.DataType.Type.UBIGINT)
    if column.type == "datetimeoffset":
        return exp.cast(name, "datetime2", dialect="tsql")
    if column.family == "other":
        return exp.cast(name, "nvarchar(4000)", dialect="tsql") if dialect == "tsql" else exp.cast(name, _TEXT[dialect])
    return _plain(column, dialect)


_TEXT = {"postgres": "text", "mysql": "text", "oracle": "varchar(4000)"}


def _literal(value: Any, column: SourceColumn, dialect: str) -> exp.Expr:
    """A value read from ``column``, written so that the database compares it as that column's type."""
    if isinstance(value, bool):
        return exp.Literal.number(int(value))
    if isinstance(value, int | Decimal):
        return exp.Literal.number(value)
    if column.family == "number":
        return exp.Literal.number(str(Decimal(str(value))))
    if column.family == "integer":
        return exp.Literal.number(int(value))
    if column.family in ("date", "timestamp"):
        moment = value if isinstance(value, date) else datetime.fromisoformat(str(value))
        text = moment.isoformat(sep=" ") if isinstance(moment, datetime) else moment.isoformat()
        if dialect == "oracle":
            mask = "YYYY-MM-DD HH24:MI:SS.FF6" if isinstance(moment, datetime) else "YYYY-MM-DD"
            text = moment.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(moment, datetime) else text
            return exp.func("TO_TIMESTAMP", exp.Literal.string(text), exp.Literal.string(mask), dialect=dialect)
        if dialect == "tsql":
            return exp.cast(exp.Literal.string(text.replace(" ", "T")), "datetime2", dialect="tsql")
        return exp.Literal.string(text)
    return exp.National(this=str(value)) if dialect == "tsql" else exp.Literal.string(str(value))
