"""Start by path, so that the user's script sees neither this package nor its dependencies."""

import importlib.util
import sys
from pathlib import Path

_NAME = "sluice_serving"


def _load_package() -> None:
    """Import this folder as a package, without changing `sys.path`."""
    folder = Path(__file__).parent
    spec = importlib.util.spec_from_file_location(
        _NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"the model server is not in {folder}")
    sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[_NAME])


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, which Python puts first for a script
    _load_package()
    importlib.import_module(f"{_NAME}.server").main()
