"""The store's own expectations: what must hold over committed data and its history, validated by Great Expectations.

Rules on the rows of one delivery live in `pipelines.gate`, queries asked inside a load in the contract's checks; see
docs/decisions/007-quality.md. Great Expectations takes seconds to import: only `check_store` does, when it is called.
"""

from pipelines.quality.check import check_store
from pipelines.quality.expectations import TABLE, Expectation, expectations_of
from pipelines.quality.result import ADVICE, ExpectationResult, Finding, QualityRun, latest_results, past_runs

__all__ = [
    "ADVICE",
    "TABLE",
    "Expectation",
    "ExpectationResult",
    "Finding",
    "QualityRun",
    "check_store",
    "expectations_of",
    "latest_results",
    "past_runs",
]
