"""A mistake in the register, said so that a steward can mend it."""

from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, what is wrong, what to write instead."""

    file: Path
    line: int
    field: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.message}\n    → {self.fix}"

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"file": str(self.file)}


class InvalidRegister(Exception):
    """The register cannot be used; carries every problem found, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__(f"{len(problems)} problem(s) in the register\n" + "\n".join(map(str, problems)))
