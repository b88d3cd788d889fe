"""Passwords, tokens and keys of sources: from the environment or a secret file, never from a contract."""

import os
import re
from pathlib import Path

NAME = re.compile(r"[A-Z][A-Z0-9_]*")
MASK = "•••"
FOLDER = Path("/run/secrets")


class MissingSecret(Exception):
    """A contract names a secret that this machine does not hold; the text says where to put it."""


class Secret:
    """A secret's text. It shows itself to nobody: `reveal` is called where it is handed to a driver, nowhere else."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def hidden_in(self, text: str) -> str:
        """``text`` with the secret masked: for messages of drivers, which like to quote what they were given."""
        return text.replace(self._text, MASK) if self._text else text


def secret(name: str) -> Secret:
    """The secret ``name``: environment variable ``KHO_SECRET_<name>``, or the file ``<name>`` in ``KHO_SECRETS`` (default /run/secrets).

    A trailing line break of the file is not part of it. Raises `MissingSecret`.
    """
    if not NAME.fullmatch(name):
        raise MissingSecret(f"`{name}` is not a secret's name: use capital letters, digits and _")
    if (text := os.environ.get(f"KHO_SECRET_{name}")) is not None:
        return Secret(text)
    file = Path(os.environ.get("KHO_SECRETS", FOLDER)) / name
    if file.is_file():
        return Secret(file.read_text(encoding="utf-8").rstrip("\r\n"))
    raise MissingSecret(f"secret {name} is not set: put it in the environment as KHO_SECRET_{name}, or in the file {file}")
