"""Pin parameters of a built template: with other values, functions would get wheels that do not fit."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def pinned(template: str, parameter: str, value: str) -> str:
    """Allow a parameter of the template only one value; raises ValueError if there is no such parameter."""
    block = re.compile(rf"^  {parameter}:\n(?:    .*\n)+", re.MULTILINE)
    only = f"  {parameter}:\n    Type: String\n    Default: {value}\n    AllowedValues:\n    - {value}\n"
    text, count = block.subn(only, template, count=1)
    if not count:
        raise ValueError(f"the template has no parameter {parameter}")
    return text


def main(path: str, *values: str) -> None:
    """Run `python -m sluice_cli.built TEMPLATE NAME=VALUE ...`."""
    template = Path(path)
    text = template.read_text()
    for each in values:
        text = pinned(text, *each.split("=", 1))
    template.write_text(text)
    sys.stdout.write(f"built for {', '.join(each.partition('=')[2] for each in values)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
