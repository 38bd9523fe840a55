"""Read requirements.txt as pip reads it."""

from __future__ import annotations

import codecs
import re

REQUIREMENTS_FILE = "requirements.txt"
_BYTE_ORDER_MARKS = (  # the longest first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAVE_IT = "save it as UTF-8 (or as UTF-16 with a byte order mark, as PowerShell does)"
_CODING = re.compile(rb"#.*coding[:=]\s*([-\w.]+)")


def lines(data: bytes) -> list[str]:
    """Return the lines without comments; raises ValueError with the reason if pip could not read them."""
    text = _text(data)
    if "\0" in text:
        raise ValueError(f"it has NULs, as UTF-16 without a byte order mark does: {_SAVE_IT}")
    found = (line.strip() for line in text.splitlines())
    return [line for line in found if line and not line.startswith("#")]


def _text(data: bytes) -> str:
    """Decode by the byte order mark or the coding line, else as UTF-8."""
    encoding = "utf-8"
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            data, encoding = data.removeprefix(mark), name
            break
    else:
        if declared := next(filter(None, map(_CODING.match, data.split(b"\n", 2)[:2])), None):
            encoding = declared[1].decode("ascii", errors="replace")
    try:
        return data.decode(encoding)
    except LookupError:
        raise ValueError(f"it says that its encoding is {encoding!r}, which is none") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is no {encoding.upper()} text: {_SAVE_IT}") from None
