"""XML answers: records are elements, and stay elements. Nothing outside the answer is fetched, no entity resolved."""

from lxml import etree

from pipelines.sources.rest.answer import Form, Unacceptable, unreadable

FILE = Form(".xml", b'<?xml version="1.0" encoding="UTF-8"?>\n<rows>\n', b"\n", b"\n</rows>\n")


def root_of(text: bytes) -> etree._Element:
    """The document's root. Raises `Unacceptable` where the text is no XML."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        # The parser quotes the name of a tag at most.
        raise unreadable("XML", str(error)) from error


def elements_at(root: etree._Element, path: str) -> list[etree._Element]:
    """The elements at ``items.item`` below the root, namespaces aside; for the empty path the root's children."""
    names = [name for name in path.split(".") if name]
    found = [root] if names else [child for child in root if isinstance(child.tag, str)]
    for name in names:
        found = [child for element in found for child in element if local(child) == name]
    return found


def records_at(root: etree._Element, path: str) -> list[etree._Element]:
    """Like `elements_at`. Raises `Unacceptable` where even the element around the records is missing."""
    around = path.rpartition(".")[0]
    if around and not elements_at(root, around):
        names = sorted({local(child) for child in root})
        raise Unacceptable.because(
            "no_records",
            f"Không thấy danh sách bản ghi ở «{path}»; ngay dưới gốc có: {', '.join(names[:10])}",
            f"There are no records at `{path}`; below the root stand: {', '.join(names[:10])}",
        )
    return elements_at(root, path)


def text_at(root: etree._Element, path: str) -> str | None:
    """The text there, an attribute as `path.@name`; None where there is none."""
    path, _, attribute = path.partition("@")
    found = elements_at(root, path.rstrip(".")) if path else [root]
    if not found:
        return None
    return (found[0].get(attribute) if attribute else found[0].text) or None


def local(element: etree._Element) -> str:
    """The element's name without its namespace."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def without(records: list[etree._Element], ignored: frozenset[str]) -> list[etree._Element]:
    """The records without some of their children."""
    for record in records if ignored else ():
        for child in [child for child in record if local(child) in ignored]:
            record.remove(child)
    return records


def names_of(records: list[etree._Element]) -> frozenset[str]:
    """The records' fields: the names of their children."""
    return frozenset(local(child) for record in records for child in record if isinstance(child.tag, str))


def lines(records: list[etree._Element]) -> bytes:
    """The records, one after another."""
    return b"\n".join(etree.tostring(record, encoding="utf-8", with_tail=False) for record in records)


def fields_of(text: str) -> frozenset[str]:
    """The fields of the one record that ``text`` is; none where it is no XML."""
    try:
        return names_of([root_of(text.encode())])
    except Unacceptable:
        return frozenset()
