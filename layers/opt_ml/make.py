"""Write opt-ml.zip, the layer that links /opt/ml to /tmp/ml; the same bytes each time.

`sam build` follows links, and fails on one that leads nowhere, so the archive lies here ready.
"""

import zipfile
from pathlib import Path

_LINK_MODE = 0o120777


def main() -> None:
    link = zipfile.ZipInfo("ml")  # of 1980, the format's first year
    link.create_system = 3  # Unix: then the mode counts
    link.external_attr = _LINK_MODE << 16
    with zipfile.ZipFile(Path(__file__).with_name("opt-ml.zip"), "w") as archive:
        archive.writestr(link, "/tmp/ml")  # noqa: S108 - Lambda's


if __name__ == "__main__":
    main()
