"""Real servers for files that come from elsewhere: an SFTP server and an S3-compatible one, each in a thread of the tests."""

import asyncio
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import obstore
import requests
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

ACCOUNT, PASSWORD, PASSPHRASE = "kho", "mật-khẩu-SFTP-chớ-nói", "câu mở khóa"


@dataclass
class SftpServer:
    """A folder served over SFTP; ``on_listing`` and ``cut_after`` are the troubles that a test may make."""

    root: Path
    port: int = 0
    fingerprint: str = ""
    client_key: str = ""
    """A private key, locked with `PASSPHRASE`, that the server lets in."""
    on_listing: Callable[[int], object] = lambda _: None
    """Called before each listing with the number of listings so far."""
    cut_after: int | None = None
    """Bytes after which the connection breaks off, once."""
    listings: int = 0
    offsets: list[int] = field(default_factory=list)
    """Where reading began, read by read."""

    def put(self, name: str, content: str | bytes) -> Path:
        file = self.root / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file


@contextmanager
def sftp_server(root: Path) -> Iterator[SftpServer]:
    served = SftpServer(root)
    host_key, client_key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    served.fingerprint = host_key.get_fingerprint()
    with warnings.catch_warnings(action="ignore"):  # one round is weak, and quick
        served.client_key = client_key.export_private_key(passphrase=PASSPHRASE, rounds=1).decode()
    sent = 0

    class Accounts(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (ACCOUNT, PASSWORD)

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            return username == ACCOUNT and key.get_fingerprint() == client_key.get_fingerprint()

    class Files(asyncssh.SFTPServer):
        def __init__(self, channel: Any) -> None:
            super().__init__(channel, chroot=str(root).encode())

        async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
            served.on_listing(served.listings)
            served.listings += 1
            async for entry in super().scandir(path):
                yield entry

        def read(self, file_obj: object, offset: int, size: int) -> Any:
            nonlocal sent
            served.offsets.append(offset)
            sent += size
            if served.cut_after is not None and sent > served.cut_after:
                served.cut_after = None
                self.channel.get_connection().abort()
            return super().read(file_obj, offset, size)

    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        listener = await asyncssh.listen("127.0.0.1", 0, server_factory=Accounts, server_host_keys=[host_key], sftp_factory=Files)
        served.port = listener.get_port()
        ready.set()
        await stop.wait()
        listener.close()
        await listener.wait_closed()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    try:
        yield served
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@dataclass(frozen=True)
class S3Server:
    url: str

    def bucket(self, name: str) -> S3Store:
        """A new bucket, open for writing."""
        requests.put(f"{self.url}/{name}", timeout=20).raise_for_status()
        return S3Store(
            name, endpoint=self.url, access_key_id="a", secret_access_key="b", region="us-east-1", client_options={"allow_http": True}
        )


@contextmanager
def s3_server() -> Iterator[S3Server]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(f"http://{host}:{port}")
    finally:
        server.stop()


def put(store: S3Store, key: str, content: str | bytes) -> None:
    obstore.put(store, key, content.encode() if isinstance(content, str) else content)
