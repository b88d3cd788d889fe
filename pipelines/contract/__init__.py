"""The contract of a dataset and the register of all contracts, read from `datasets/`."""

from pipelines.contract.model import (
    Agency,
    Check,
    Column,
    Contract,
    ErrorGroup,
    GroupRule,
    Level,
    Reference,
    Rule,
    Sample,
    SemanticType,
    Source,
    Unique,
)
from pipelines.contract.problem import InvalidRegister, Problem
from pipelines.contract.register import Register, load_register, register_state

__all__ = [
    "Agency",
    "Check",
    "Column",
    "Contract",
    "ErrorGroup",
    "GroupRule",
    "InvalidRegister",
    "Level",
    "Problem",
    "Reference",
    "Register",
    "Rule",
    "Sample",
    "SemanticType",
    "Source",
    "Unique",
    "load_register",
    "register_state",
]
