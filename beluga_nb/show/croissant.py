"""What a data set holds, in the vocabulary Croissant 1.0 of MLCommons."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

_NAMES = (
    *("citeAs", "column", "conformsTo", "data", "dataType", "equivalentProperty", "examples"),
    *("extract", "field", "fileObject", "fileProperty", "fileSet", "format", "includes"),
    *("isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references"),
    *("regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_TYPES = {bool: "sc:Boolean", int: "sc:Integer", float: "sc:Float", datetime: "sc:DateTime"}


def croissant(
    rows: Sequence[Mapping[str, object]], *, name: str, metadata: str, written: bytes, images: str
) -> Mapping[str, object]:
    """Return the description of some rows: the file of their lines, its bytes, and the folder of pictures."""
    columns = dict.fromkeys(column for row in rows for column in row)
    media_types = sorted({str(row["media_type"]) for row in rows})
    return {
        "@context": _context(),
        "@type": "sc:Dataset",
        "name": name,
        "description": f"Generated pictures ({len(rows)}) with their prompts, parameters and labels.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": metadata,
                "name": metadata,
                "contentUrl": metadata,
                "encodingFormat": "application/jsonlines",
                "sha256": hashlib.sha256(written).hexdigest(),
            },
            {
                "@type": "cr:FileSet",
                "@id": images,
                "name": images,
                "encodingFormat": media_types,
                "includes": f"{images}/*",
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "pictures",
                "name": "pictures",
                "field": [_field(column, rows, metadata) for column in columns],
            }
        ],
    }


def _context() -> Mapping[str, object]:
    names: dict[str, object] = {name: f"cr:{name}" for name in _NAMES}
    json = {each: {"@id": f"cr:{each}", "@type": "@json"} for each in ("data", "examples")}
    return {
        **names,
        **json,
        "@language": "en",
        "@vocab": "https://schema.org/",
        "conformsTo": "dct:conformsTo",
        "cr": "http://mlcommons.org/croissant/",
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "sc": "https://schema.org/",
    }


def _field(column: str, rows: Sequence[Mapping[str, object]], metadata: str) -> Mapping[str, object]:
    kinds = {type(row.get(column)) for row in rows if row.get(column) is not None}
    [kind] = kinds if len(kinds) == 1 else {str}
    return {
        "@type": "cr:Field",
        "@id": f"pictures/{column}",
        "name": column,
        "dataType": _TYPES.get(kind, "sc:Text"),
        "source": {"fileObject": {"@id": metadata}, "extract": {"column": column}},
    }
