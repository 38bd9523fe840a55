"""Build the environment that a first job would wait for.

python -m sluice_local.sagemaker.containers.prebuild IMAGE [REQUIREMENTS]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sluice_local.sagemaker.containers.images import ImageCache
from sluice_local.settings import Settings


def main() -> None:
    """Build the environment, unless it exists."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", help="an image's URI, such as sagemaker-scikit-learn:1.4-2-cpu-py3")
    parser.add_argument("requirements", type=Path, nargs="?", help="the scripts' requirements.txt")
    options = parser.parse_args()
    cache = Settings(port=0, state_dir=Path()).image_cache
    ImageCache(cache).environment(options.image, options.requirements)


if __name__ == "__main__":
    main()
