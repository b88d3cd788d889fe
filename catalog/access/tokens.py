"""Tokens by which an agency's systems deliver: one secret per agency and purpose, kept here as a hash alone."""

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

PREFIX = "kho"
"""By which secret scanners and people know what they have found."""

NEVER_USED_HASH = hashlib.sha256(b"").hexdigest()
USE_NOTED_EVERY = timedelta(minutes=1)

TABLE = """
    CREATE TABLE IF NOT EXISTS tokens (
        id TEXT PRIMARY KEY, agency TEXT NOT NULL, note TEXT NOT NULL, hash TEXT NOT NULL, created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL, revoked_at TEXT, last_used_at TEXT
    )
"""


@dataclass(frozen=True)
class Token:
    """What is known of a token: everything but its secret. Times are UTC."""

    id: str
    agency: str
    note: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def valid_at(self, moment: datetime) -> bool:
        return self.revoked_at is None and moment < self.expires_at


class Tokens:
    """The tokens of one warehouse, in a small SQLite file that its owner alone can read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def issue(self, agency: str, valid: timedelta, note: str = "") -> tuple[Token, str]:
        """A new token and its text, which nobody can show a second time.

        The secret is 256 random bits, which no one guesses: one SHA-256 keeps it as safe as a slow hash keeps a password.
        """
        now = datetime.now(UTC)
        token = Token(secrets.token_hex(4), agency, note, now, now + valid)
        secret = secrets.token_urlsafe(32)
        with self._open() as database:
            database.execute(
                "INSERT INTO tokens (id, agency, note, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
                [token.id, agency, note, _hash(secret), now.isoformat(), token.expires_at.isoformat()],
            )
        return token, f"{PREFIX}_{token.id}_{secret}"

    def holder(self, text: str) -> Token | None:
        """The valid token whose text this is; the use is noted."""
        prefix, _, rest = text.partition("_")
        id, _, secret = rest.partition("_")
        if prefix != PREFIX or not self.file.exists():
            return None
        now = datetime.now(UTC)
        with self._open() as database:
            row = database.execute("SELECT hash FROM tokens WHERE id = ?", [id]).fetchone()
            # An unknown id takes as long as a wrong secret.
            if not hmac.compare_digest(_hash(secret), row[0] if row else NEVER_USED_HASH) or row is None:
                return None
            [token] = self._select(database, id)
            if not token.valid_at(now):
                return None
            if token.last_used_at is None or now - token.last_used_at > USE_NOTED_EVERY:
                database.execute("UPDATE tokens SET last_used_at = ? WHERE id = ?", [now.isoformat(), id])
        return token

    def agency(self, text: str) -> str | None:
        """Code of the agency that this token speaks for; None when it is nobody's (any more)."""
        holder = self.holder(text)
        return holder.agency if holder else None

    def revoke(self, id: str) -> Token | None:
        """End a token now; None when there is none of this id."""
        with self._open() as database:
            database.execute("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", [datetime.now(UTC).isoformat(), id])
            return next(iter(self._select(database, id)), None)

    def all(self) -> list[Token]:
        """Every token ever issued, the newest first."""
        with self._open() as database:
            return self._select(database)

    def _select(self, database: sqlite3.Connection, id: str | None = None) -> list[Token]:
        rows = database.execute(
            """
            SELECT id, agency, note, created_at, expires_at, revoked_at, last_used_at
            FROM tokens WHERE ?1 IS NULL OR id = ?1 ORDER BY created_at DESC
            """,
            [id],
        ).fetchall()
        return [
            Token(id, agency, note, datetime.fromisoformat(created), datetime.fromisoformat(expires), _moment(revoked), _moment(used))
            for id, agency, note, created, expires, revoked, used in rows
        ]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if not self.file.exists():
            os.close(os.open(self.file, os.O_CREAT, 0o600))
        with closing(sqlite3.connect(self.file, timeout=5)) as database, database:
            database.execute(TABLE)
            yield database


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
