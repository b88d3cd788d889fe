"""A workbook of 200 000 rows from the drop folder to the committed release, against reading it with calamine alone."""

from pathlib import Path

from benchmarks.measure import Figure, middle_of, python_work
from pipelines.contract import load_register
from pipelines.samples import make_samples
from pipelines.settings import PROJECT, Settings

DATASET = "xay-dung/giay-phep-xay-dung"
ROWS = 200_000

TAKE = """
import sys
from pathlib import Path
from time import perf_counter
from pipelines.contract import load_register
from pipelines.intake import Intake
from pipelines.settings import PROJECT, Settings
dataset, file = sys.argv[1], Path(sys.argv[2])
settings = Settings(PROJECT / "datasets", Path(sys.argv[3]))
drop = settings.drop / dataset / file.name
drop.parent.mkdir(parents=True, exist_ok=True)
drop.write_bytes(file.read_bytes())
intake = Intake(settings, load_register(settings.register))
intake.prepare()
start = perf_counter()
[outcome] = intake.take(dataset, "benchmark")
assert outcome.rows_accepted >= 200_000, outcome
print(perf_counter() - start)
"""
CALAMINE = """
import sys, fastexcel
from time import perf_counter
start = perf_counter()
fastexcel.read_excel(sys.argv[1]).load_sheet(0, dtypes="string").to_arrow()
print(perf_counter() - start)
"""


def measure(folder: Path) -> list[Figure]:
    register = load_register(PROJECT / "datasets")
    contract = register.contracts[DATASET]
    scale = -(-ROWS // contract.sample.rows)
    [file] = make_samples(register, Settings(PROJECT / "datasets", folder / "workbook"), [DATASET], scale=scale, faults=False)
    homes = iter(folder / f"workbook-{n}" for n in range(9))
    take = middle_of(3, lambda: python_work(TAKE, DATASET, file, next(homes)))
    alone = middle_of(3, lambda: python_work(CALAMINE, file))
    what = f"XLSX of {scale * contract.sample.rows} rows and {len(contract.columns)} columns, from the drop folder to the release"
    return [
        Figure(what, take.seconds, "s", 15, "calamine alone, its text in memory", alone.seconds),
        Figure("… resident memory", take.megabytes, "MB", 2000, "the same", alone.megabytes),
    ]
