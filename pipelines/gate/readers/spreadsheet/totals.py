"""What a sheet's own totals say of its rows, for the judge to verify."""

import re

import polars as pl

from pipelines.gate.readers.source import Total
from pipelines.gate.readers.spreadsheet.roles import Roles
from pipelines.gate.readers.spreadsheet.sheet import KIND, ROW
from pipelines.gate.readers.spreadsheet.words import NUMBER


def totals_of(cells: pl.DataFrame, roles: Roles) -> list[Total]:
    """The figures stated for columns that can be summed, and the rows that they speak of.

    A subtotal speaks of the rows since the last total or group; a group's figures of the rows under it; the first or last `Tổng cộng` of all.
    """
    stated = cells.filter(pl.col(KIND).is_in(["total", "subtotal", "group"])).select(ROW, KIND, *roles.summed).to_dicts()
    rows = cells.filter(pl.col(KIND).is_null()).get_column(ROW)
    if not stated or rows.is_empty() or not roles.summed:
        return []
    first, last = int(rows[0]), int(rows[-1])
    totals: list[Total] = []
    for n, row in enumerate(stated):
        number, kind = int(row[ROW]), row[KIND]
        if kind == "group":
            low, high = number, next((int(later[ROW]) for later in stated[n + 1 :]), last + 1)
        elif kind == "total" and (number < first or not any(later[KIND] != "group" for later in stated[n + 1 :])):
            low, high = first - 1, last + 1
        else:
            low, high = (int(stated[n - 1][ROW]) if n else first - 1), number
        covered = rows.filter((rows > low) & (rows < high))
        if covered.is_empty():
            continue
        for column, name in roles.summed.items():
            if row[column] and re.fullmatch(NUMBER, row[column]):
                totals.append(Total(number, name, row[column], int(covered[0]), int(covered[-1])))
    return totals
