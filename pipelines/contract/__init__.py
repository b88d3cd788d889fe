"""The contract of a dataset and the register of all contracts, read from `datasets/`."""

from pipelines.contract.model import Agency, Check, Column, Contract, Rule, Sample, SemanticType, Source
from pipelines.contract.problem import InvalidRegister, Problem
from pipelines.contract.register import Register, load_register, register_state

__all__ = [
    "Agency",
    "Check",
    "Column",
    "Contract",
    "InvalidRegister",
    "Problem",
    "Register",
    "Rule",
    "Sample",
    "SemanticType",
    "Source",
    "load_register",
    "register_state",
]
