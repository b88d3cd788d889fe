"""The fix sheet: a workbook with the open rows of one delivery, the wrong cells coloured, each saying why."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import xlsxwriter
from xlsxwriter.utility import xl_rowcol_to_cell

from pipelines.contract import Column, Contract
from pipelines.rejects.mark import KIND, LISTS_SHEET, MARK_SHEET, OWN_COLUMNS, TOKEN, VERSION, token
from pipelines.rejects.reading import Example, OpenDelivery, Quarantine

SHEET_ROWS = 5_000
"""Rows of one sheet; more comments than that make Excel crawl. The next sheet holds the rest."""
HEADER = 1
FIRST = 2
"""Rows of the sheet, from 0: technical names (hidden), titles, then the data."""
CELL_CHARACTERS = 32_767
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
MONTH_FIRST = ("Tháng trước ngày, như cả cột: mm/dd/yyyy", "Month first, as in the whole column: mm/dd/yyyy")
COMMA = ("Số, phần thập phân sau dấu phẩy", "A number; the decimal mark is a comma")
_FORMATS = {
    "date": ("Ngày viết dd/mm/yyyy, ví dụ 05/02/2023", "A date, dd/mm/yyyy, such as 05/02/2023"),
    "timestamp": ("Ngày giờ viết dd/mm/yyyy hh:mm", "Date and time, dd/mm/yyyy hh:mm"),
    "integer": ("Số nguyên, không có chữ", "A whole number, no letters"),
    "number": ("Số, phần thập phân sau dấu chấm", "A number; the decimal mark is a point"),
}


def write_fix_sheet(quarantine: Quarantine, contract: Contract, delivery: OpenDelivery, file: Path | IO[bytes]) -> int:
    """Write the sheet of a delivery's open rows (the first `SHEET_ROWS`); how many rows it holds.

    Every cell is text, as it was delivered: codes keep their zeros, a date stays what was typed, nothing is a formula.
    """
    rows = quarantine.rows(contract, delivery.delivery_id, SHEET_ROWS)
    last = rows[-1][0] if rows else 0
    why: dict[int, list[Example]] = defaultdict(list)
    for fault in quarantine.examples(delivery.delivery_id, last_row=last):
        why[fault.row_number].append(fault)
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(file) if isinstance(file, Path) else file, options) as book:
        _Sheet(book, contract, delivery).write(rows, why)
    return len(rows)


class _Sheet:
    """One workbook being written."""

    def __init__(self, book: Any, contract: Contract, delivery: OpenDelivery) -> None:
        self.book, self.contract, self.delivery = book, contract, delivery
        self.at = {c.name: n for n, c in enumerate(contract.columns, len(OWN_COLUMNS))}
        # Text, so that typing into the cell does not turn codes into numbers or texts into dates and formulas.
        text = {"num_format": "@", "valign": "top", "border": 1, "border_color": "#CFD7E2", "quote_prefix": True}
        self.plain = book.add_format(text)
        self.wrong = book.add_format(text | {"bg_color": "#F8C9C4", "border_color": "#96201B"})
        self.related = book.add_format(text | {"bg_color": "#FFE8B3", "border_color": "#744600"})
        self.why = book.add_format({"text_wrap": True, "valign": "top", "font_color": "#96201B", "border": 1, "border_color": "#CFD7E2"})
        self.number = book.add_format({"valign": "top", "font_color": "#4A5768", "border": 1, "border_color": "#CFD7E2"})
        self.title = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#E6EBF2", "border": 1})

    def write(self, rows: list[tuple[int, dict[str, str | None]]], why: dict[int, list[Example]]) -> None:
        self.sheet = self.book.add_worksheet("Sửa lỗi")
        guide = self.book.add_worksheet("Hướng dẫn")
        self.lists = self.book.add_worksheet(LISTS_SHEET)
        self._mark()
        self._head(len(rows))
        for line, (row_number, cells) in enumerate(rows, FIRST):
            self._row(line, row_number, cells, why[row_number])
        self._guide(guide, len(rows))
        self.lists.hide()

    def _head(self, rows: int) -> None:
        sheet, last = self.sheet, len(OWN_COLUMNS) + len(self.contract.columns) - 1
        sheet.write_row(0, 0, [*OWN_COLUMNS, *self.at])
        sheet.set_row(0, None, None, {"hidden": True})
        sheet.write_row(HEADER, 0, ["Hàng trong tệp đã giao / Row delivered", TOKEN, "Vì sao / Why"], self.title)
        sheet.set_row(HEADER, 45)
        sheet.set_column(0, 0, 12)
        sheet.set_column(1, 1, 8, None, {"hidden": True})
        sheet.set_column(2, 2, 46)
        for number, (name, at) in enumerate(self.at.items()):
            column = self.contract.by_name[name]
            unit = (self.delivery.decided(f"{name}: unit") or "").partition(" × ")[0]
            title = f"{column.title} ({unit})" if unit else column.title
            sheet.write_string(HEADER, at, title + (" *" if column.required else ""), self.title)
            sheet.write_comment(HEADER, at, _explained(column), {"x_scale": 2, "author": "Kho"})
            sheet.set_column(at, at, max(12, min(30, len(column.title) + 2)), self.plain)
            if rows:
                self._validate(number, column, at, FIRST + rows - 1)
        if rows:
            sheet.autofilter(HEADER, 0, FIRST + rows - 1, last)
            sheet.ignore_errors({"number_stored_as_text": f"A1:{xl_rowcol_to_cell(FIRST + rows, last)}"})
        sheet.freeze_panes(FIRST, 1)

    def _validate(self, number: int, column: Column, at: int, last: int) -> None:
        """A drop-down where a closed list applies, else a word on how the value is written."""
        values = ("có", "không") if column.type == "boolean" else column.values
        if values:
            self.lists.write_column(0, number, values)
            name = f"kho_ds_{number}"
            self.book.define_name(
                name,
                f"='{LISTS_SHEET}'!{xl_rowcol_to_cell(0, number, True, True)}:{xl_rowcol_to_cell(len(values) - 1, number, True, True)}",
            )
            self.sheet.data_validation(
                FIRST, at, last, at,
                {"validate": "list", "source": f"={name}", "error_title": "Ngoài danh mục",
                 "error_message": "Hãy chọn một giá trị trong danh mục. / Choose a value from the list."},
            )  # fmt: skip
        elif column.type in _FORMATS:
            vi, en = _FORMATS[column.type]
            if self.delivery.decided(f"{column.name}: order of dates") == "month first":
                vi, en = MONTH_FIRST
            if self.delivery.decided(f"{column.name}: decimal mark") == ",":
                vi, en = COMMA
            self.sheet.data_validation(
                FIRST, at, last, at, {"validate": "any", "input_title": column.title[:32], "input_message": f"{vi}\n{en}"}
            )

    def _row(self, line: int, row_number: int, cells: dict[str, str | None], faults: list[Example]) -> None:
        wrong: dict[str, list[Example]] = defaultdict(list)
        related: dict[str, list[Example]] = defaultdict(list)
        for fault in faults:
            for name in self._columns(fault):
                (wrong if fault.column else related)[name].append(fault)
        self.sheet.write_number(line, 0, row_number, self.number)
        self.sheet.write_string(line, 1, token(self.delivery.sha256, row_number))
        self.sheet.write_string(line, 2, _lines(faults, self.contract), self.why)
        for name, at in self.at.items():
            form = self.wrong if name in wrong else self.related if name in related else self.plain
            if value := cells[name]:
                self.sheet.write_string(line, at, _CONTROL.sub("", value)[:CELL_CHARACTERS], form)
            else:
                self.sheet.write_blank(line, at, None, form)
            if said := [*wrong[name], *related[name]]:
                text = "\n".join(f"{f.vi}\n{f.en}" for f in said)
                self.sheet.write_comment(line, at, text, {"x_scale": 2, "y_scale": 1 + 0.4 * len(said), "author": "Kho"})

    def _columns(self, fault: Example) -> Iterable[str]:
        """The columns a fault is about: its own, a key's, or those that the rule names."""
        if fault.column:
            return [name for name in fault.column.split(", ") if name in self.at]
        rule = next((r for r in self.contract.rules if r.name == fault.rule), None)
        words = set(re.findall(r"[a-z][a-z0-9_]*", rule.expression)) if rule else set()
        return [name for name in self.at if name in words]

    def _guide(self, guide: Any, rows: int) -> None:
        c, more = self.contract, self.delivery.open_rows - rows
        guide.set_column(0, 0, 100, self.book.add_format({"text_wrap": True, "valign": "top"}))
        bold = self.book.add_format({"bold": True, "font_size": 14, "text_wrap": True})
        guide.write_string(0, 0, f"{c.title} / {c.title_en}", bold)
        lines = [
            f"Bộ dữ liệu / dataset: {c.id}",
            f"Tệp đã giao / file delivered: {self.delivery.file_name}",
            f"{rows} hàng cần sửa trong tệp này. / {rows} rows to mend in this sheet.",
            *([f"Còn {more} hàng nữa: gửi tệp này xong, tải tệp sửa lỗi tiếp theo. / {more} more rows: send this sheet, then get the next one."]
              if more > 0 else []),
            "",
            "1. Ở trang «Sửa lỗi», ô màu đỏ là ô sai; ô màu vàng là các ô mâu thuẫn nhau. Để chuột lên ô để xem vì sao.",
            "2. Sửa ngay trong ô. Cột có danh mục thì chọn trong danh sách thả xuống.",
            "3. Hàng nào chưa sửa được thì cứ để nguyên hoặc xóa: hàng đó vẫn chờ ở kho, không mất.",
            "4. Không thêm hàng mới và không sửa cột đầu. Hàng mới gửi trong một đợt giao khác.",
            "5. Lưu dạng .xlsx rồi gửi lại bằng đúng cách cơ quan vẫn giao dữ liệu, hoặc ở trang «Hàng bị giữ lại» của bộ dữ liệu.",
            "",
            "1. On the sheet “Sửa lỗi”, red cells are wrong; yellow cells contradict each other. Point at one to read why.",
            "2. Mend the value in its cell. Where there is a list, choose from the drop-down.",
            "3. Leave or delete the rows that you cannot mend yet: they keep waiting in the warehouse.",
            "4. Add no rows and leave the first column as it is. New rows come in a delivery of their own.",
            "5. Save as .xlsx and send it the way you always deliver, or on the dataset's page of rows held back.",
        ]  # fmt: skip
        for line, text in enumerate(lines, 1):
            guide.write_string(line, 0, text)

    def _mark(self) -> None:
        mark = self.book.add_worksheet(MARK_SHEET)
        for line, pair in enumerate(
            [(KIND, VERSION), ("dataset", self.contract.id), ("sha256", self.delivery.sha256), ("contract", self.contract.version)]
        ):
            mark.write_row(line, 0, pair)
        mark.hide()


def _explained(column: Column) -> str:
    example = f"\nVí dụ / for example: {column.example}" if column.example else ""
    return f"{column.title}\n{column.title_en}\n{column.description}{example}"


def _lines(faults: list[Example], contract: Contract) -> str:
    said = []
    for fault in faults:
        column = contract.by_name.get(fault.column)
        said.append(f"{column.title}: {fault.vi} / {fault.en}" if column else f"{fault.vi} / {fault.en}")
    return "\n".join(said)
