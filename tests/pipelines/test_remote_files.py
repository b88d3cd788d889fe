"""Whatever happens to files and line between two pulls: every version that stays is brought whole, and none twice."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from pipelines.sources import SourceUnavailable
from pipelines.sources.remote_files import Changed, RemoteFile, pull

NAMES = st.sampled_from(["a.csv", "b.csv", "c.csv.part", "d.txt"])
FITTING = ("a.csv", "b.csv")
PIECE = 3
REWRITTEN = b"another content"


class Memory:
    """A place in memory whose line breaks off, and whose files change, where the test says."""

    identity = "memory"

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, int]] = {}
        self.clock = 0
        self.pieces_left = 0
        self.rewrite: str | None = None

    def put(self, name: str, content: bytes) -> None:
        self.clock += 1
        self.files[name] = (content, self.clock)

    def listing(self) -> list[RemoteFile]:
        return [RemoteFile(name, len(content), str(clock), clock) for name, (content, clock) in self.files.items()]

    def read(self, file: RemoteFile, offset: int) -> Iterator[bytes]:
        while offset < file.size:
            if self.pieces_left == 0:
                raise SourceUnavailable("broken off")
            self.pieces_left -= 1
            if self.rewrite in self.files:
                self.put(self.rewrite, REWRITTEN)
                self.rewrite = None
            if file.name not in self.files:
                raise Changed(file.name)
            yield self.files[file.name][0][offset : offset + PIECE]
            offset += PIECE

    def unchanged(self, file: RemoteFile) -> bool:
        return file in self.listing()

    def remove(self, name: str) -> None:
        del self.files[name]


class Pulls(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.place = Memory()
        self.folder = tempfile.TemporaryDirectory()
        self.staging = Path(self.folder.name)
        self.state: dict[str, Any] = {}
        self.brought: dict[str, bytes] = {}
        self.versions: set[tuple[str, bytes]] = set()
        self.changed: set[str] = set()

    @rule(name=NAMES, content=st.binary(max_size=20))
    def put(self, name: str, content: bytes) -> None:
        self.place.put(name, content)
        self.versions.add((name, content))
        self.changed.add(name)

    @rule(name=NAMES)
    def take_away(self, name: str) -> None:
        self.place.files.pop(name, None)
        self.brought.pop(name, None)

    @rule(pieces=st.integers(0, 20), rewritten=st.none() | st.sampled_from(FITTING), killed_after=st.integers(0, 3))
    def pull_over_a_bad_line(self, pieces: int, rewritten: str | None, killed_after: int) -> None:
        self.place.pieces_left, self.place.rewrite = pieces, rewritten
        if rewritten in self.place.files:
            self.versions.add((rewritten, REWRITTEN))
            self.changed.add(rewritten)
        self._pull(killed_after)
        # Rewritten behind its own delivery, it is to be brought again.
        if rewritten in self.place.files and self.brought.get(rewritten) != self.place.files[rewritten][0]:
            self.changed.add(rewritten)

    @rule()
    def pull_over_a_good_line(self) -> None:
        self.place.pieces_left, self.place.rewrite = 10_000, None
        self._pull(10_000)
        assert self.brought == {name: self.place.files[name][0] for name in FITTING if name in self.place.files}

    def _pull(self, killed_after: int) -> None:
        try:
            for n, fetched in enumerate(pull(self.place, "*.csv", self.state, self.staging)):
                content = fetched.file.read_bytes()
                fetched.file.unlink()
                if n == killed_after:
                    return  # fetched, and never committed
                assert (fetched.name, content) in self.versions, "half a file, or a mixture"
                assert fetched.name in self.changed, "brought twice"
                self.changed.discard(fetched.name)
                self.brought[fetched.name] = content
                self.state = fetched.state
        except SourceUnavailable:
            pass

    def teardown(self) -> None:
        self.folder.cleanup()


TestPulls = Pulls.TestCase
TestPulls.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
