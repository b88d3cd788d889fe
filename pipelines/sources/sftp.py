"""The kind `sftp`: files of an SFTP server's folder. The only module that knows the SSH library."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import paramiko

from pipelines.contract import Contract
from pipelines.contract.places import SftpPlace, sftp_place
from pipelines.sources import Fetched, SourceUnavailable
from pipelines.sources.remote_files import Changed, RemoteFile, describe, options_of, pull
from pipelines.sources.secrets import Secret, secret

CONNECT_SECONDS = 20
SILENCE_SECONDS = 60
"""A server that says nothing for so long is gone."""

REQUEST = 32_768
"""Bytes that every SFTP server answers at once."""
WINDOW = 256
"""Requests on their way together: 8 MB, the most that is held in memory."""

KEY_KINDS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


def fetch(contract: Contract, state: dict[str, Any], staging: Path) -> Iterator[Fetched]:
    """New whole files of the folder. Raises `SourceUnavailable`, whose text holds no secret, and `MissingSecret`."""
    options = options_of(contract, sftp_place)
    with connected(options) as folder:
        yield from pull(
            folder, options.pattern, state, staging,
            steady_seconds=options.steady_seconds, done_mark=options.done_mark, remove_taken=options.remove_taken,
        )  # fmt: skip


def probe(contract: Contract) -> str:
    """Look whether the server lets in and lists the folder. Raises as `fetch`."""
    options = options_of(contract, sftp_place)
    with connected(options) as folder:
        return describe(folder, options.pattern)


@contextmanager
def connected(options: SftpPlace) -> Iterator["Folder"]:
    """The folder, over one connection: its server is the pinned one, and the account was let in."""
    held = {name: secret(name) for name in (options.secret, options.key_secret, options.passphrase_secret) if name}
    revealed = lambda name: held[name].reveal() if name else None
    secrets = list(held.values())
    key = _key(revealed(options.key_secret), revealed(options.passphrase_secret))
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(_Pinned(options.host_keys))
    with _explained(options.host, secrets):
        try:
            client.connect(
                options.host, options.port, options.user,
                password=revealed(options.secret), pkey=key, allow_agent=False, look_for_keys=False,
                timeout=CONNECT_SECONDS, banner_timeout=CONNECT_SECONDS, auth_timeout=CONNECT_SECONDS, channel_timeout=CONNECT_SECONDS,
            )  # fmt: skip
            channel = client.open_sftp()
        except BaseException:
            client.close()
            raise
    try:
        if (pipe := channel.get_channel()) is not None:
            pipe.settimeout(SILENCE_SECONDS)
        yield Folder(channel, options, secrets)
    finally:
        client.close()


class Folder:
    """A folder of the server, as `remote_files` wants a place to be."""

    def __init__(self, channel: paramiko.SFTPClient, options: SftpPlace, secrets: list[Secret]) -> None:
        self._channel, self._options, self._secrets = channel, options, secrets
        self.identity = f"sftp://{options.user}@{options.host}:{options.port}{options.folder}"

    def listing(self) -> list[RemoteFile]:
        with _explained(self._options.host, self._secrets):
            entries = self._channel.listdir_attr(self._options.folder)
        # A server need not say what kind of file it is; links, folders and devices are left out where it does.
        return [self._file(entry.filename, entry) for entry in entries if entry.st_mode is None or stat.S_ISREG(entry.st_mode)]

    def _file(self, name: str, facts: paramiko.SFTPAttributes) -> RemoteFile:
        return RemoteFile(name, facts.st_size or 0, str(facts.st_mtime), float(facts.st_mtime or 0))

    def _path(self, name: str) -> str:
        return f"{self._options.folder.rstrip('/')}/{name}"

    def read(self, file: RemoteFile, offset: int) -> Iterator[bytes]:
        with _explained(self._options.host, self._secrets, missing=Changed):
            remote = self._channel.open(self._path(file.name), "rb")
        try:
            while offset < file.size:
                end = min(file.size, offset + WINDOW * REQUEST)
                wanted = [(start, min(REQUEST, end - start)) for start in range(offset, end, REQUEST)]
                with _explained(self._options.host, self._secrets):
                    yield from remote.readv(wanted)
                offset = end
        finally:
            remote.close()

    def unchanged(self, file: RemoteFile) -> bool:
        with _explained(self._options.host, self._secrets, missing=Changed):
            return self._file(file.name, self._channel.lstat(self._path(file.name))) == file

    def remove(self, name: str) -> None:
        with _explained(self._options.host, self._secrets):
            self._channel.remove(self._path(name))


class _Pinned(paramiko.MissingHostKeyPolicy):
    """Accepts the host keys that the contract names, no other; there is no list of known hosts beside."""

    def __init__(self, fingerprints: tuple[str, ...]) -> None:
        self.fingerprints = fingerprints

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        if key.fingerprint not in self.fingerprints:
            raise paramiko.SSHException(
                f"the server shows the host key {key.fingerprint} ({key.get_name()}), which the contract does not name: "
                "ask its keeper whether the key was changed before you write it there"
            )


def _key(text: str | None, passphrase: str | None) -> paramiko.PKey | None:
    if text is None:
        return None
    for kind in KEY_KINDS:
        try:
            return kind.from_private_key(StringIO(text + "\n"), passphrase)
        except (paramiko.SSHException, ValueError):
            continue
    raise SourceUnavailable("the secret named by keySecret is no private key that its passphrase opens (Ed25519, ECDSA or RSA)")


@contextmanager
def _explained(host: str, secrets: list[Secret], missing: type[Exception] = SourceUnavailable) -> Iterator[None]:
    """Trouble with the server as `SourceUnavailable`, without secrets and without the library's own chain of errors."""
    try:
        yield
    except FileNotFoundError as error:
        raise missing(f"{host}: {error.strerror or 'no such file'}") from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        text = str(error) or type(error).__name__
        for one in secrets:
            text = one.hidden_in(text)
        raise SourceUnavailable(f"{host}: {text}") from None
