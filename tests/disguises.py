"""All the ways a service may echo a key: how it is written, what breaks it, and what it stands in."""

import base64
import html
import itertools
import json
import urllib.parse

WRITTEN = {
    "as it is": lambda key: key,
    "cut": lambda key: key[:17],
    "quoted": lambda key: urllib.parse.quote(key, safe=""),
    "percent": lambda key: "".join(f"%{byte:02x}" for byte in key.encode()),
    "PERCENT": lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    "every third percent": lambda key: "".join(f"%{ord(x):02X}" if i % 3 else x for i, x in enumerate(key)),
    "json": lambda key: "".join(f"\\u{byte:04x}" for byte in key.encode()),
    "repr": lambda key: "".join(f"\\x{byte:02x}" for byte in key.encode()),
    "octal": lambda key: "".join(f"\\{byte:03o}" for byte in key.encode()),
    "in braces": lambda key: "".join(f"\\u{{{byte:x}}}" for byte in key.encode()),
    "quoted-printable": lambda key: "".join(f"={byte:02X}" for byte in key.encode()),
    "another case": lambda key: key.upper(),
    "backwards": lambda key: key[::-1],
    "html": lambda key: html.escape(key),
    "html decimal": lambda key: "".join(f"&#{byte};" for byte in key.encode()),
    "html hexadecimal": lambda key: "".join(f"&#x{byte:04X};" for byte in key.encode()),
    "hex": lambda key: key.encode().hex(),
    "HEX": lambda key: key.encode().hex().upper(),
    "hex with colons": lambda key: key.encode().hex(":"),
    "hex of a header": lambda key: f"Bearer {key}".encode().hex(),
    "two bytes each": lambda key: key.encode("utf-16-le").decode("latin-1"),
    "base64 of UTF-16": lambda key: base64.b64encode(f'"{key}"'.encode("utf-16-le")).decode(),
    "base64 of UTF-16, the other way round": lambda key: base64.b64encode(key.encode("utf-16-be")).decode(),
    "base64 of a header": lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    "base64 of a login": lambda key: base64.b64encode(f"user:{key}".encode()).decode(),
    **{
        f"{name}, {offset} before, {after} after": lambda key, encode=encode, offset=offset, after=after: (
            encode(b"?" * offset + key.encode() + b">" * after).decode().rstrip("=")
        )
        for (name, encode), offset, after in itertools.product(
            {"base64": base64.b64encode, "urlsafe": base64.urlsafe_b64encode}.items(), range(3), range(3)
        )
    },
}
"""How a key is written."""

UNSEEN = (
    "\u200e\u200f\u200b\u200c\u200d\u2060\u2066\u2069\u202a\u202e\xad\u034f\u061c\ufeff\u180e\ufe0f\u0301"
    "\U000e0041\x00\x07\x1b\x7f\x85\u2028\xa0 \t\n\r"
)
"""What nobody sees between two characters, or what a line is wrapped with."""

BROKEN = {
    "whole": lambda text: text,
    **{f"U+{ord(sign):04X}": lambda text, sign=sign: sign.join(text) for sign in UNSEEN},
    "wrapped": lambda text: "\r\n".join(text[at : at + 7] for at in range(0, len(text), 7)),
    "all of them": lambda text: "".join(f"{x}{UNSEEN}" for x in text),
}
"""What breaks it."""

AROUND = {
    "text": lambda text: text,
    "json": json.dumps,
    "json as it is": lambda text: json.dumps(text, ensure_ascii=False),
    "json in json": lambda text: json.dumps({"error": json.dumps({"message": text})}),
    "html": html.escape,
    "html twice": lambda text: html.escape(html.escape(text)),
    "an address": lambda text: urllib.parse.quote(text, safe="/"),
    "an address in one": lambda text: urllib.parse.quote(urllib.parse.quote(text)),
    "a path": lambda text: f"C:\\{text}",
}
"""What it stands in."""

# What a backslash begins is read by no decoder when it is broken and its breaks are escaped in turn.
ALL = [
    (written, broken, around)
    for written, broken, around in itertools.product(WRITTEN, BROKEN, AROUND)
    if not (
        written in {"json", "repr", "octal", "in braces"} and broken != "whole" and around.startswith("json")
    )
    # The sign of quoted-printable is read as it stands, not out of other escapes.
    and (written != "quoted-printable" or around in {"text", "html", "a path"})
]


def disguised(key, written, broken, around):
    return AROUND[around](BROKEN[broken](WRITTEN[written](key)))
