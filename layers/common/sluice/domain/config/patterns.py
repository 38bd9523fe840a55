"""Check that the validation engine's regular expressions (RE2) accept a pattern."""

from __future__ import annotations

import re
import warnings

_CLASS = r"\\[pP](?:\{\^?[A-Z]\w*\}|[CLMNPSZ])"
_POSIX_NAMES = (
    *("alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph"),
    *("lower", "print", "punct", "space", "upper", "word", "xdigit"),
)
_POSIX = rf"\[:\^?(?:{'|'.join(_POSIX_NAMES)}):\]"
_ESCAPE = rf"{_CLASS}|\\x(?:\{{[0-9a-fA-F]{{1,6}}\}}|[0-9a-fA-F]{{2}})|\\."
_TOKEN = re.compile(
    rf"""
      (?P<escape>{_ESCAPE})
    | (?P<set>\[\^?\]?(?:{_POSIX}|\\.|[^\]\\])*\])
    | (?P<group>\(\?(?:P<\w+>|[a-zA-Z-]*[:)]|.{{0,2}}))
    | (?P<times>[*+?]|\{{\d+(?:,\d*)?\}})
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_GROUP = re.compile(r"\(\?(?:P<\w+>|[ims]*(?:-[ims]+)?[:)])")
_REFERENCES = ("(?=", "(?!", "(?<=", "(?<!", "(?P=")
_TIMES_MAX = 1000


def problem(pattern: str) -> str | None:
    """Name what of the pattern cannot be used, or None."""
    translated, after_times = "", False
    for token in _TOKEN.finditer(pattern):
        kind, text = token.lastgroup, token.group()
        if unknown := _unknown(kind, text, after_times=after_times):
            return f"has {unknown}, which the validation engine (RE2) does not know"
        translated += _in_python(kind, text)
        # `a+?` is a lazy `a+`; RE2 does not allow to repeat a repetition.
        after_times = kind == "times" and not (after_times and text == "?")
    try:
        with warnings.catch_warnings():
            # It warns of what Python may read differently one day.
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(translated)
    except (re.error, OverflowError) as error:
        return f"cannot be read: {error}"
    return None


def _unknown(kind: str | None, text: str, *, after_times: bool) -> str | None:
    match kind:
        case "escape":
            return _unknown_escape(text, "AbBzdDsSwWaftnrv0")
        case "set":
            escapes = (_unknown_escape(escape, "dDsSwWaftnrv0") for escape in re.findall(_ESCAPE, text))
            return next(filter(None, escapes), None)
        case "group" if not _GROUP.fullmatch(text):
            return "a look-around or a back-reference" if text.startswith(_REFERENCES) else text
        case "times" if after_times and text != "?":
            return f"{text} after a repetition"
        case "times" if any(int(count) > _TIMES_MAX for count in re.findall(r"\d+", text)):
            return f"{text}, more than {_TIMES_MAX} repetitions"
    return None


def _unknown_escape(text: str, known: str) -> str | None:
    """Find an escape of a letter or digit that is not among the known ones."""
    letter = text[1:]
    if len(letter) > 1 or letter in known or not letter.isalnum():
        return None
    if letter.isdigit():
        return "a look-around or a back-reference"
    return r"\Z (the end is \z)" if letter == "Z" else text


def _in_python(kind: str | None, text: str) -> str:
    """Write the token for Python, or another that may stand in the same places."""
    if kind == "escape":
        return r"\Z" if text == r"\z" else r"\w" if len(text) > 2 else text
    if kind == "set":
        return re.sub(rf"{_CLASS}|{_POSIX}", r"\\w", re.sub(r"\\x\{\w+\}", "x", text))
    return text
