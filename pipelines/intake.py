"""A warehouse ready to take deliveries: one store, one register, tables prepared once per process."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipelines import archive
from pipelines.contract import Contract, Register
from pipelines.ingest import derived_state, ingest, pending
from pipelines.outcome import Outcome
from pipelines.settings import Settings
from pipelines.sources.dropfolder import unfinished_name
from pipelines.store import Store


class Intake:
    """What assets and commands share. ``listeners`` hear every outcome as it comes: progress bars, mostly."""

    def __init__(self, settings: Settings, register: Register) -> None:
        self.settings, self.register = settings, register
        self.store = Store(settings)
        self.listeners: list[Callable[[str, list[Outcome]], None]] = []
        self._prepared = False

    def prepare(self) -> None:
        """Bring the store's tables in line with the register (once)."""
        if not self._prepared:
            self.store.prepare(self.register)
            self._prepared = True

    def take(self, dataset: str, run_id: str) -> list[Outcome]:
        """Take in whatever is new for ``dataset``."""
        self.prepare()
        outcomes = ingest(self.store, self.register, dataset, run_id)
        for listener in self.listeners:
            listener(dataset, outcomes)
        return outcomes

    def troubled(self) -> dict[str, str]:
        """Fetched datasets whose source could not be read the last time, and why."""
        if self.store.snapshot() == 0:
            return {}
        states = {c.id: self.store.source_state(c.id) for c in self.register.contracts.values() if c.source}
        return {dataset: state.trouble for dataset, state in states.items() if state and state.trouble}

    def stale(self) -> dict[str, str]:
        """Datasets with something to do, and why; derived ones after what they read."""
        releases = self.store.releases() if self.store.snapshot() else {}
        found: dict[str, str] = {}
        for dataset in self.register.order():
            contract = self.register.contracts[dataset]
            release = releases.get(dataset)
            if contract.query:
                changed = [s for s in self.register.upstream[dataset] if s in found]
                if changed:
                    found[dataset] = f"reads {', '.join(changed[:3])}{'…' if len(changed) > 3 else ''}"
                else:
                    judged = self.store.judged(dataset) if releases else None
                    state = derived_state(self.register, contract, releases)
                    if state not in (None, release and release.sha256, judged and judged.sha256):
                        found[dataset] = "its sources have newer releases"
            elif waiting := self._waiting(contract):
                found[dataset] = waiting
            elif contract.source and not (releases and self.store.source_state(dataset)):
                found[dataset] = "its source was never read"
            elif contract.reference_data and (release is None or release.sha256 != archive.digest(contract.reference_data)):
                found[dataset] = "its reference data is new"
            elif release and release.fingerprint != contract.fingerprint and contract.load_mode != "append":
                found[dataset] = "its contract changed"
            elif release and release.due:
                found[dataset] = "its fix sheets are to be taken in again"
        return found

    def _waiting(self, contract: Contract) -> str | None:
        try:
            folder = pending(self.store, contract)
        except OSError as error:
            return f"its drop folder cannot be read: {error.strerror}"
        return "a delivery is waiting" if folder.ready else "a delivery is still being written" if folder.arriving else None

    def overlooked(self) -> list[tuple[Path, str]]:
        """Entries of the drop folder that will never be read, and why: nobody shall wait for an answer to them."""
        drop = self.settings.drop
        folders = {drop / c.id: c for c in self.register.contracts.values() if c.kind == "delivered"}
        above = {drop} | {folder.parent for folder in folders}
        found = []
        for folder in (f for f in sorted(above) if f.is_dir()):
            for path in sorted(folder.iterdir()):
                if path not in folders and path not in above and not unfinished_name(path.name):
                    found.append((path, "belongs to no dataset that is delivered: put files into <domain>/<dataset>/"))
        for contract in folders.values():
            with suppress(OSError):  # a folder that cannot be read is something to do, and said there
                found += pending(self.store, contract).passed_over
        return found
