"""XMP packets as text: our properties are one `rdf:Description`, which can be removed again.

An existing packet keeps every byte, and properties that it has already are not added. Files may come from
anywhere, so reading is bounded, accepts UTF-8 only, and rejects document types: no entity is expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from xml.etree import ElementTree

from beluga_nb.errors import MetadataError

LARGEST = 4_000_000
"""Most bytes of a packet that is read."""

NAMESPACES: Mapping[str, str] = {
    "beluga": "urn:x-beluga-nb:recipe:1#",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}

DRAWN = "urn:x-beluga-nb:drawn:1#"
"""The namespace of what the built-in painter says of its pictures."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_HEAD = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">\n'
)
_TAIL = '</rdf:RDF></x:xmpmeta>\n<?xpacket end="r"?>'
_OPENING = f'<rdf:Description xmlns:beluga="{NAMESPACES["beluga"]}" '
_ENDING = "</rdf:Description>\n"
_CLOSING = re.compile(r"</(?:[\w.-]+:)?RDF\s*>")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def joined(packet: bytes | None, properties: Mapping[str, str]) -> bytes:
    """Return a packet with the properties, by names such as "xmp:CreateDate", added to an existing one.

    Raises `MetadataError` if the packet cannot be read, or holds a recipe that another program rewrote.
    """
    text = _decoded(packet) if packet is not None else _HEAD + _TAIL
    existing = _read(text)
    if _full_name("beluga:recipe") in existing:
        raise MetadataError("Its XMP holds another recipe, rewritten by some other program.")
    closing = [match.start() for match in _CLOSING.finditer(text)]
    if not closing:
        raise MetadataError("Its XMP has no place for more.")
    new = {name: value for name, value in properties.items() if _full_name(name) not in existing}
    grown = text[: closing[-1]] + _description(new, existing.get("about", "")) + text[closing[-1] :]
    _read(grown)  # raises for a packet that could not be read back
    return grown.encode()


def without(packet: bytes) -> bytes | None:
    """Return the packet as it was before `joined`; None if there was none."""
    try:
        text = packet.decode()
    except UnicodeDecodeError:
        return packet
    before, ours, after = text.partition(_OPENING)
    _, end, after = after.partition(_ENDING)
    rest = before + after if ours and end else text
    return None if rest == _HEAD + _TAIL and rest != text else rest.encode()


def recipe(packet: bytes) -> str | None:
    """Return the recipe's JSON that a packet holds, or None."""
    return _read(_decoded(packet)).get(_full_name("beluga:recipe"))


def drawn(packet: bytes) -> str | None:
    """Return the JSON of what the built-in painter drew, or None."""
    return _read(_decoded(packet)).get(f"{{{DRAWN}}}scene")


def quoted(value: str) -> str:
    """Return text as it stands in the quotes of an attribute, without what XML forbids."""
    return escape(_NOT_XML.sub("", value))


def _description(properties: Mapping[str, str], about: str) -> str:
    spaces = "".join(f' xmlns:{name}="{uri}"' for name, uri in NAMESPACES.items() if name != "beluga")
    lines = "".join(f" <{name}>{_escaped(value)}</{name}>\n" for name, value in properties.items())
    return f'{_OPENING}xmlns:rdf="{_RDF}"{spaces} rdf:about="{escape(about)}">\n{lines}{_ENDING}'


def _escaped(value: str) -> str:
    # An XML parser reads a literal carriage return as a newline.
    return escape(_NOT_XML.sub("", value), quote=False).replace("\r", "&#13;")


def _full_name(name: str) -> str:
    space, _, local = name.partition(":")
    return f"{{{NAMESPACES[space]}}}{local}"


def _decoded(packet: bytes) -> str:
    if len(packet) > LARGEST:
        raise MetadataError(f"Its XMP has {len(packet):,} bytes; at most {LARGEST:,} are read.")
    try:
        return packet.decode()
    except UnicodeDecodeError:
        raise MetadataError("Its XMP is not UTF-8.") from None


def _read(text: str) -> dict[str, str]:
    """Return the simple properties of a packet by their full names, and `about`."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise MetadataError("Its XMP holds a document type, which no packet needs.")
    try:
        root = ElementTree.fromstring(text.strip("\ufeff\0 \t\r\n"))
    except (ElementTree.ParseError, ValueError):
        raise MetadataError("Its XMP is damaged.") from None
    return dict(_properties(root))


def _properties(root: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for described in root.iter(f"{{{_RDF}}}Description"):
        for name, value in described.attrib.items():
            yield name.removeprefix(f"{{{_RDF}}}"), value
        for child in described:
            yield child.tag, child.text or ""
