"""The expectations of all datasets, with an earlier release of each to compare with; Great Expectations' import included."""

from pathlib import Path

from benchmarks.measure import Figure, python
from benchmarks.whole import kho_in, sample_servers


def measure(folder: Path) -> list[Figure]:
    """Needs the warehouse that `benchmarks.whole` loads into ``folder``: delivers everything once more, with other rows."""
    kho = kho_in(folder)
    kho("samples", "--seed", "7")
    with sample_servers(folder):
        kho("run")
    quality = kho("quality")
    alone = python("import great_expectations")
    return [
        Figure(
            "expectations of all 226 datasets with Data Docs, `kho quality`",
            quality.seconds,
            "s",
            30,
            "`import great_expectations`",
            alone.seconds,
        ),
        Figure("… resident memory", quality.megabytes, "MB", 1500, "the same", alone.megabytes),
    ]
