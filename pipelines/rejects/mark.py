"""What marks a workbook as a fix sheet, and each of its rows as a row of one delivery.

The mark is a hidden sheet: it survives Excel, LibreOffice and web editors alike, where document properties do not. It names
the *bytes* that are corrected, so that a sheet stays good when that delivery is judged again under a newer contract.
"""

import hashlib

MARK_SHEET = "_kho"
LISTS_SHEET = "_kho_danh_muc"
KIND = "kho-fix-sheet"
VERSION = "1"

TOKEN = "_kho"  # noqa: S105 - no secret: the name of a column
"""Technical name of the hidden column that says which row of the delivery a row mends."""
ROW = "_hang"
WHY = "_ly_do"
OWN_COLUMNS = (ROW, TOKEN, WHY)


def token(sha256: str, row_number: int) -> str:
    """The mark of one row. Its check part tells a copied or dragged-down cell from a mark that we wrote."""
    return f"{row_number}.{hashlib.sha256(f'{sha256}:{row_number}'.encode()).hexdigest()[:8]}"
