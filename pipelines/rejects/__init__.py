"""What comes back to the agency: the rows that were held, why, the sheet to mend them in, and that sheet taken in again.

A held row is *open* until it is closed: by the fix sheet that corrects it, by a newer delivery that takes its place, or by a
steward who sets it aside.
"""

from pipelines.rejects.closing import reopen, set_aside, supersede
from pipelines.rejects.correction import Correction, correct
from pipelines.rejects.fix_sheet import SHEET_ROWS, write_fix_sheet
from pipelines.rejects.listing import write_list
from pipelines.rejects.reading import Fault, OpenDelivery, Quarantine
from pipelines.rejects.submitted import SHEET_BYTES, FixSheet, read_fix_sheet

__all__ = [
    "SHEET_BYTES", "SHEET_ROWS", "Correction", "Fault", "FixSheet", "OpenDelivery", "Quarantine", "correct", "read_fix_sheet", "reopen",
    "set_aside", "supersede", "write_fix_sheet", "write_list",
]  # fmt: skip
