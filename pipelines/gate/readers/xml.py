"""XML → objects, streamed. Nothing is fetched, no entity is resolved."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from lxml import etree

from pipelines.contract import Contract
from pipelines.gate.headers import fold, known_names
from pipelines.gate.readers.source import Unreadable

SAMPLE_EVENTS = 20_000
"""Events of the parser (start and end of elements) within which it is decided which elements are rows."""
Path_ = tuple[str, ...]


def write_rows(file: Path, target: Path, contract: Contract | None) -> str:
    """Write the rows of ``file`` to ``target``, one JSON object a line, and return which element they are (`a/b/row`).

    Raises `Unreadable` for a file without rows or with entities of its own, `etree.XMLSyntaxError` for one that is no XML.
    """
    row = _row_path(file, contract)
    with target.open("w", encoding="utf-8") as out:
        for element in _elements(file, row):
            out.write(json.dumps(_fields(element), ensure_ascii=False) + "\n")
    return "/".join(row)


def fields_as_json(text: str) -> str | None:
    """The fields of an XML document in a string as a JSON object; None where it is no XML."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    while len(root) == 1 and len(root[0]) and not root.attrib:
        root = root[0]
    return json.dumps(_fields(root), ensure_ascii=False)


def _name(element: Any) -> str:
    return str(etree.QName(element).localname)


def _is_element(node: Any) -> bool:
    return isinstance(node.tag, str)  # comments and processing instructions are not


def _events(file: Path) -> Iterator[tuple[str, Any]]:
    events = etree.iterparse(str(file), events=("start", "end"), resolve_entities=False, no_network=True, huge_tree=False)
    for index, (event, element) in enumerate(events):
        if index == 0:
            declared = element.getroottree().docinfo.internalDTD
            if declared is not None and next(declared.iterentities(), None) is not None:
                raise Unreadable(
                    "Tệp XML tự khai báo thực thể (ENTITY); hãy gửi XML không có DTD",
                    "The XML declares entities of its own; send XML without a DTD",
                )
        yield event, element


def _row_path(file: Path, contract: Contract | None) -> Path_:
    """The path of the elements that are rows: they hold the contract's fields, or come most often; the outermost such."""
    fields: dict[Path_, Counter[str]] = {}
    often: Counter[Path_] = Counter()
    path: list[str] = []
    for event, element in islice(_events(file), SAMPLE_EVENTS):
        if event == "start":
            path.append(_name(element) if _is_element(element) else "")
            fields.setdefault(tuple(path), Counter()).update(map(_local, element.attrib))
            continue
        here = tuple(path)
        path.pop()
        if _is_element(element) and (len(element) or element.attrib):
            often[here] += 1
        elif _is_element(element) and len(here) > 1:
            fields.setdefault(here[:-1], Counter())[_name(element)] += 1
        if len(path) == 1:
            element.clear()
    known = known_names(contract) if contract else {}

    def fit(candidate: Path_) -> tuple[int, int, int]:
        named = {known[fold(f)] for f in fields[candidate] if fold(f) in known}
        return len(named), min(often[candidate], 2), -len(candidate)

    candidates = [p for p in fields if fields[p] and (len(p) > 1 or contract)]
    if not candidates:
        raise Unreadable("XML không có hàng nào", "The XML holds no rows")
    return max(candidates, key=fit)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _elements(file: Path, row: Path_) -> Iterator[Any]:
    """The elements at ``row``, each freed once it was used."""
    path: list[str] = []
    for event, element in _events(file):
        if event == "start":
            path.append(_name(element) if _is_element(element) else "")
            continue
        here = tuple(path)
        path.pop()
        if here == row:
            yield element
        if len(here) <= len(row):
            element.clear()
            while element.getprevious() is not None and element.getparent() is not None:
                del element.getparent()[0]


def _fields(element: Any) -> dict[str, Any]:
    """Attributes and children as fields; a child with children of its own is an object, one that comes again a list."""
    found: dict[str, Any] = {_local(name): value for name, value in element.attrib.items()}
    for child in element:
        if not _is_element(child):
            continue
        name, value = _name(child), (_fields(child) if len(child) or child.attrib else child.text)
        if name in found and name not in element.attrib:
            found[name] = [*found[name], value] if isinstance(found[name], list) else [found[name], value]
        else:
            found[name] = value
    if not len(element) and element.text and element.text.strip():
        found["#text"] = element.text
    return found
