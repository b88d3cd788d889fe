"""Draft contracts: from a sample of the data, or from the inventory workbook that provinces keep (one row per dataset).

A draft is honest guesswork: types and semantic types by name *and* content, keys, closed lists, personal data. A steward
corrects it; `kho check` judges it; until `status` says `active` nothing is taken in or published under it.
"""

import tempfile
from pathlib import Path

import duckdb

from pipelines.contract import Register
from pipelines.contract.odcs import ContractReader
from pipelines.drafts.columns import infer_columns
from pipelines.drafts.document import Draft, Facts, draft_text, refusal_of
from pipelines.drafts.inventory import drafts_from_inventory
from pipelines.drafts.similar import similar_datasets
from pipelines.gate.headers import fold
from pipelines.gate.judge import Judgement, judge
from pipelines.gate.readers import Unreadable, read

__all__ = ["Draft", "draft_from_sample", "drafts_from_inventory", "try_out", "write_draft"]

UNSORTED = "chua-phan-loai"
"""The domain of a draft whose id nobody gave."""

DELIVERY = {".tsv": "csv", ".txt": "csv", ".xls": "xlsx", ".xlsm": "xlsx", ".xlsb": "xlsx", ".ods": "xlsx"}


def draft_from_sample(
    file: Path, register: Register, dataset: str | None = None, agency: str | None = None, title: str | None = None
) -> Draft:
    """Infer a contract from a sample in any form the gate reads. A sample that cannot be read is a refusal, not an error."""
    dataset = dataset or f"{UNSORTED}/{fold(file.name.partition('.')[0]).replace('_', '-') or 'bo-du-lieu'}"
    if refusal := refusal_of(dataset, agency, register):
        return Draft(dataset, refusal=refusal)
    with duckdb.connect() as connection:
        try:
            source = read(connection, file)
        except Unreadable as error:
            return Draft(dataset, refusal=f"{file}: {error.vi} / {error.en}")
        columns, warnings = infer_columns(connection, source, register.semantic_types)
    title = title or dataset.rpartition("/")[2].replace("-", " ").capitalize()
    warnings += similar_datasets(title, {c.name for c in columns}, register)
    suffix = file.suffix.lower()
    facts = Facts(dataset, title, agency, delivery=DELIVERY.get(suffix, suffix.lstrip(".")))
    return Draft(dataset, draft_text(facts, columns), warnings=warnings)


def write_draft(draft: Draft, register: Register) -> Path:
    """Write the draft into the register; raises `FileExistsError` rather than overwrite."""
    path = register.root / f"{draft.id}.odcs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(draft.text)
    return path


def try_out(contract_file: Path, sample: Path, register: Register) -> Judgement | None:
    """What the gate would say of ``sample`` under the drafted contract; None while the draft has mistakes."""
    contract = ContractReader(contract_file, register.root, register.semantic_types, register.agencies).contract
    if contract is None:
        return None
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        return judge(connection, contract, sample, Path(folder))
