"""ZIP and gzip: what is in them, unpacked beside the spill files and never beyond a limit."""

import errno
import gzip
import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

import duckdb

from pipelines.gate.readers.scratch import Scratch
from pipelines.gate.readers.source import Decision, Source, Unreadable
from pipelines.sql import literal, quote

GIB = 1 << 30
UNPACKED_LIMIT = 20 * GIB
"""Bytes that one delivery may unpack to."""
RATIO_LIMIT, RATIO_FROM = 200, 64 << 20
"""How many times larger than packed the content may be, once it is over so many bytes: text packs 5–20 times, repeated rows 100."""
MEMBERS_LIMIT = 1_000
CHUNK = 1 << 20
MALFORMED = (NotImplementedError, ValueError, OverflowError, struct.error, lzma.LZMAError)
"""What the standard library raises on archives whose own tables make no sense."""
PACKED = {".zip", ".gz"}
NESTED = PACKED | {".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz", ".zst"}


@dataclass(frozen=True)
class Member:
    """A file of a delivery, unpacked: ``name`` is the sender's, ``file`` where it is now."""

    name: str
    file: Path


def unpack(file: Path, scratch: Scratch, readable: Callable[[str], bool], limit: int) -> tuple[list[Member], list[Decision]]:
    """The readable files in ``file``, each once, in the order of their names, and what else was in it.

    Raises `Unreadable` for what is locked, damaged, packed twice, or larger unpacked than ``limit``.
    """
    try:
        if file.suffix.lower() == ".gz":
            return _gunzip(file, scratch, readable, limit)
        return _unzip(file, scratch, readable, limit)
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, *MALFORMED) as error:
        raise Unreadable("Tệp nén bị hỏng hoặc chưa gửi trọn", "The packed file is damaged or incomplete") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise  # the disk's trouble, not the sender's
        raise Unreadable("Tệp nén bị hỏng hoặc chưa gửi trọn", "The packed file is damaged or incomplete") from error


def _gunzip(file: Path, scratch: Scratch, readable: Callable[[str], bool], limit: int) -> tuple[list[Member], list[Decision]]:
    inner = PurePosixPath(file.stem).suffix.lower()
    if inner in NESTED:
        raise _nested(file.stem)
    if not readable(inner):
        raise Unreadable(
            "Không biết trong tệp .gz là loại gì; hãy đặt tên như «du-lieu.csv.gz»",
            "What is in the .gz file is not known; name it like “data.csv.gz”",
        )
    target = scratch.file("unpacked" + inner)
    with gzip.open(file) as stream:
        _pour(stream, target, _allowed(file.stat().st_size, limit))
    return [Member("", target)], []


def _unzip(file: Path, scratch: Scratch, readable: Callable[[str], bool], limit: int) -> tuple[list[Member], list[Decision]]:
    members: list[Member] = []
    decisions: list[Decision] = []
    seen: dict[str, str] = {}
    left = _allowed(file.stat().st_size, limit)
    with zipfile.ZipFile(file) as archive:
        inside = [i for i in archive.infolist() if not i.is_dir()]
        inside.sort(key=lambda i: (len(_own_name(i)), _own_name(i)))  # `a`, then `a (1)`
        if len(inside) > MEMBERS_LIMIT:
            raise Unreadable(f"Tệp nén chứa hơn {MEMBERS_LIMIT} tệp", f"The packed file holds more than {MEMBERS_LIMIT} files")
        for info in inside:
            name = _own_name(info)
            suffix = PurePosixPath(name.lower()).suffix
            if suffix in NESTED:
                raise _nested(name)
            if name.startswith((".", "~")) or "__MACOSX" in info.filename or not readable(suffix):
                decisions.append(Decision("ignored-file", name, "không phải tệp dữ liệu · not a data file"))
                continue
            if info.flag_bits & 1:
                raise Unreadable("Tệp nén có mật khẩu; hãy gửi tệp không đặt mật khẩu", "The packed file is locked with a password")
            target = scratch.file("unpacked" + suffix)
            with archive.open(info) as stream:
                digest = _pour(stream, target, left)
            left -= target.stat().st_size
            if digest in seen:
                decisions.append(Decision("duplicate-file", name, f"giống hệt · the same bytes as {seen[digest]}"))
                target.unlink()
                continue
            seen[digest] = name
            members.append(Member(name, target))
    if not members:
        raise Unreadable("Trong tệp nén không có tệp dữ liệu nào", "The packed file holds no data file")
    return members, decisions


def _own_name(info: zipfile.ZipInfo) -> str:
    """The name without its folders, which say nothing and may lead out of ours."""
    return PurePosixPath(info.filename.replace("\\", "/")).name


def _allowed(packed: int, limit: int) -> int:
    return min(limit, max(RATIO_FROM, packed * RATIO_LIMIT))


def _pour(stream: IO[bytes] | gzip.GzipFile, target: Path, allowed: int) -> str:
    """Copy at most ``allowed`` bytes; the SHA-256 of what was copied. What the archive says of its sizes is not believed."""
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as out:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > allowed:
                raise Unreadable(
                    "Giải nén ra quá lớn so với tệp nén: có thể là tệp phá hoại",
                    "It unpacks to far more than its size or the limit allows: it may be made to do harm",
                )
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _nested(name: str) -> Unreadable:
    return Unreadable(f"Tệp nén lồng trong tệp nén ({name}) không được nhận", f"A packed file inside a packed file ({name}) is not taken")


@contextmanager
def naming(member: Member) -> Iterator[None]:
    """Say in which file of several the trouble is."""
    try:
        yield
    except Unreadable as error:
        prefix = f"{member.name}: " if member.name else ""
        raise Unreadable(prefix + error.vi, prefix + error.en) from error


ROW, FAULT = "_kho_packed_row", "_kho_packed_fault"


def settle(connection: duckdb.DuckDBPyConnection, source: Source, scratch: Scratch) -> Source:
    """The source with its rows in a Parquet file of their own, so that others can be opened on the same connection."""
    number = quote(source.row) if source.row else f"row_number() OVER () + {source.first_row - 1}"
    fault = quote(source.fault) if source.fault else "CAST(NULL AS VARCHAR)"
    names = ", ".join(f"CAST({quote(h)} AS VARCHAR) AS {quote(h)}" for h in [*source.header, *source.raw.values()])
    target = scratch.file("rows.parquet")
    connection.execute(
        f"COPY (SELECT {number} AS {ROW}, {fault} AS {FAULT}, {names} FROM {source.relation}) TO {literal(target)} (FORMAT parquet)"
    )
    left_out = None
    if source.left_out:
        others = scratch.file("left-out.parquet")
        connection.execute(f"COPY ({source.left_out}) TO {literal(others)} (FORMAT parquet)")
        left_out = f"SELECT row_number, kind, text FROM read_parquet({literal(others)})"
    return replace(source, relation=f"read_parquet({literal(target)})", row=ROW, fault=FAULT, left_out=left_out, csv=None, file=None)


def together(connection: duckdb.DuckDBPyConnection, parts: list[tuple[Member, Source]], scratch: Scratch) -> Source:
    """Several settled files of one dataset as one delivery.

    Rows are numbered on from file to file; the decisions say where each file begins.
    """
    first = parts[0][1]
    header = list(dict.fromkeys(name for _, part in parts for name in part.header))
    raw = {h: column for _, part in parts for h, column in part.raw.items()}
    relations, left_out, decisions, totals, before = [], [], [], [], 0
    for member, part in parts:
        own = {*part.header, *part.raw.values()}
        names = ", ".join(quote(h) if h in own else f"CAST(NULL AS VARCHAR) AS {quote(h)}" for h in [*header, *raw.values()])
        relations.append(f"SELECT {ROW} + {before} AS {ROW}, {FAULT}, {names} FROM {part.relation}")
        if part.left_out:
            left_out.append(f"SELECT row_number + {before} AS row_number, kind, text FROM ({part.left_out})")
        decisions.append(Decision("file", member.name, f"từ hàng · from row {before + 1}"))
        decisions += [replace(d, value=f"{member.name}: {d.value}") for d in part.decisions]
        totals += [
            replace(t, row_number=t.row_number + before, first_row=t.first_row + before, last_row=t.last_row + before) for t in part.totals
        ]
        before += _last_row(connection, part)
    return Source(
        f"({' UNION ALL '.join(relations)})",
        header,
        first.first_row,
        row=ROW,
        fault=FAULT,
        left_out=" UNION ALL ".join(left_out) or None,
        decisions=tuple(decisions),
        totals=tuple(totals),
        unit=first.unit,
        raw=raw,
        scratch=(scratch,),
    )


def _last_row(connection: duckdb.DuckDBPyConnection, part: Source) -> int:
    others = f" UNION ALL SELECT max(row_number) FROM ({part.left_out})" if part.left_out else ""
    row = connection.execute(f"SELECT coalesce(max(n), 0) FROM (SELECT max({ROW}) AS n FROM {part.relation}{others})").fetchone()
    return int(row[0]) if row else 0
