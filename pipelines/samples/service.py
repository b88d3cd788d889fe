"""The sample service of a first run: stands in for agencies' REST services, with SYNTHETIC records."""

import secrets
import socket
import sys
from contextlib import closing
from typing import Any

from pipelines.contract import Contract, Register
from pipelines.contract.service import KEYS
from pipelines.sample_service import TOKEN
from pipelines.samples.delivery import sample_file
from pipelines.settings import Settings

HOST = "127.0.0.1"


class SampleService:
    """`pipelines.sample_service` over one warehouse's samples: its command, its token, and what `servers.synthetic.yaml` says of it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.samples / "service.log"
        self.port = 0

    def contracts(self, register: Register) -> list[Contract]:
        """The datasets that it has records for."""
        return [c for c in register.contracts.values() if c.source and c.source.kind in KEYS and sample_file(self.settings, c).exists()]

    def command(self) -> list[str]:
        """The command that runs it in the foreground: on the port of the last time, so that what was remembered of it still holds,
        else on a free one.
        """
        file = self.settings.samples / "service.port"
        self.port = _free(int(file.read_text(encoding="utf-8"))) if file.exists() else _free(0)
        file.write_text(str(self.port), encoding="utf-8")
        return [sys.executable, "-m", "pipelines.sample_service", "--folder", str(self.settings.samples), "--port", str(self.port)]

    def environment(self) -> dict[str, str]:
        """The token, as the service and whoever pulls from it find it; the same for every run of this warehouse."""
        file = self.settings.samples / "service.token"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(), encoding="utf-8")
        return {f"KHO_SECRET_{TOKEN}": file.read_text(encoding="utf-8")}

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}/"

    def servers(self, register: Register) -> dict[str, dict[str, Any]]:
        """What `servers.synthetic.yaml` says of the services that it stands in for."""
        facts = {"type": "api", "location": f"{self.address}api", "auth": {"type": "bearer", "secret": TOKEN}, "synthetic": True}
        return {c.source.server: facts for c in self.contracts(register) if c.source}


def _free(port: int) -> int:
    """The port, or another where somebody has it by now."""
    try:
        with closing(socket.create_server((HOST, port))) as probe:
            return int(probe.getsockname()[1])
    except OSError:
        return _free(0)
