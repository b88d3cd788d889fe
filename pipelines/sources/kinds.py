"""Kind of source → the module that fetches. Imported only when one of the kind is fetched: drivers are heavy."""

from importlib import import_module

from pipelines.contract.service import KEYS
from pipelines.contract.source import DATABASES
from pipelines.sources import Fetch, Probe

MODULES = (
    dict.fromkeys(DATABASES, "pipelines.sources.database")
    | dict.fromkeys(KEYS, "pipelines.sources.rest")
    | {"sftp": "pipelines.sources.sftp", "s3": "pipelines.sources.s3"}
)


def fetcher(kind: str) -> Fetch:
    """The function that fetches from sources of this kind."""
    fetch: Fetch = import_module(MODULES[kind]).fetch
    return fetch


def prober(kind: str) -> Probe:
    """The function that looks whether a source of this kind can be read, and reads nothing of it."""
    probe: Probe = import_module(MODULES[kind]).probe
    return probe
