"""What typing itself may find in a value: missing, not of its type, one of two numbers; and what it put right and says so."""

from pipelines.contract import Column
from pipelines.contract.options import WRITTEN_FORMATS
from pipelines.gate.forms import EITHER, Form, bare
from pipelines.gate.rules import Test
from pipelines.gate.values import missing_codes, raw, restored
from pipelines.sql import literal, one_of, quote

TYPE_NAMES = {
    "integer": ("số nguyên", "a whole number"),
    "number": ("số", "a number"),
    "boolean": ("có/không (true/false)", "yes or no (true/false)"),
    "date": ("ngày yyyy-mm-dd hoặc dd/mm/yyyy", "a date yyyy-mm-dd or dd/mm/yyyy"),
    "timestamp": ("ngày giờ yyyy-mm-dd hh:mm:ss", "a time yyyy-mm-dd hh:mm:ss"),
    "string": ("văn bản", "text"),
}


ERROR_CELLS = ("#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!")


def type_tests(column: Column, form: Form, declared: dict[str, str], original: str | None = None) -> list[Test]:
    """Tests on the typing of one column. ``declared`` are the contract's codes of missing data.

    ``original`` is the SQL of the text before the reader converted it from a legacy font, where it did.
    """
    text, value = raw(column.name), quote(column.name)
    codes = missing_codes(column, declared)
    coded = one_of(text, codes)
    found = []
    if column.required:
        found.append(
            Test(column.name, "required", f"CASE WHEN {value} IS NULL THEN {text} IS NULL OR {coded} ELSE false END",
                 "Bắt buộc nhưng để trống", "Required, but empty", group="missing", rank=0)
        )  # fmt: skip
    if column.type != "string":
        either = "false"
        if column.type in ("integer", "number") and form.decimal is None:
            either = f"regexp_full_match({bare(text)}, {literal(EITHER)})"
            found.append(
                Test(column.name, "ambiguous_number", f"CASE WHEN {value} IS NULL THEN {either} ELSE false END",
                     "Không rõ dấu chấm, dấu phẩy ngăn hàng nghìn hay phần thập phân; hãy gửi kèm số có phần thập phân hoặc ghi `decimal` trong hợp đồng",
                     "The mark may part thousands or decimals; send a figure that shows which, or write `decimal` in the contract", rank=0)
            )  # fmt: skip
        vi, en = TYPE_NAMES[column.type]
        found.append(
            Test(column.name, "type", f"CASE WHEN {value} IS NULL THEN {text} IS NOT NULL AND NOT {coded} AND NOT {either} ELSE false END",
                 f"Không phải {vi}", f"This is not {en}", rank=0)
        )  # fmt: skip
    else:
        # Numbers and dates cannot be such a text; a text could.
        found.append(
            Test(column.name, "error_cell", f"CASE WHEN starts_with({text}, '#') THEN {one_of(text, ERROR_CELLS)} ELSE false END",
                 "Ô báo lỗi của bảng tính", "An error of the spreadsheet, not a value", rank=0)
        )  # fmt: skip
    if column.format:
        # A date cell of a spreadsheet arrives in ISO form, whatever it looks like there.
        iso = "[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9:.]+)?"
        fails = f"NOT regexp_full_match({text}, {literal(f'{iso}|{WRITTEN_FORMATS[column.format]}')})"
        found.append(
            Test(column.name, "format", fails, f"Phải ghi theo dạng {column.format}", f"Must be written as {column.format}", rank=1)
        )
    found.append(
        Test(column.name, "missing_code", f"CASE WHEN {value} IS NULL THEN {coded} ELSE false END",
             "Mã của giá trị thiếu, ghi là trống", "A code for a missing value; stored as empty", level="note", group="missing")
    )  # fmt: skip
    if zeros := restored(column):
        found.append(
            Test(column.name, "restored_zero", zeros, "Đã bù số 0 ở đầu bị bảng tính làm mất", "Leading zeros that a spreadsheet ate were restored",
                 level="note")
        )  # fmt: skip
    if form.swapped:
        found.append(
            Test(column.name, "swapped_date", f"{value} IS NOT NULL AND regexp_matches({text}, '^[0-9]{{4}}-')",
                 "Ngày và tháng bị đảo khi nhập, đã đổi lại", "Day and month were exchanged on entry; swapped back", level="note")
        )  # fmt: skip
    if original:
        found.append(
            Test(column.name, "legacy_text", f"{original} <> {text}", "Đã chuyển từ bảng mã cũ sang Unicode", "Converted from a legacy encoding to Unicode",
                 level="note")
        )  # fmt: skip
    return found
