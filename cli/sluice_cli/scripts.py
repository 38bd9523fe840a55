"""Read a project's scripts before an upload: a job would fail at one that is no Python minutes later."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator

from sluice.domain.build.projects import Project
from sluice_cli.errors import CommandError
from sluice_cli.target import Target


def check(target: Target, project: Project) -> list[str]:
    """Return warnings of files that may be no Python; raises CommandError for a script that is none.

    An image may have a newer Python than this command, which reads more: there a script gives a warning too.
    """
    scripts = set(project.config.scripts.values())
    folder = f"{project.source_dir}/" if project.source_dir else ""
    found = {
        path: problem(path, data)
        for path, data in sorted(project.files.items())
        if path in scripts or (path.startswith(folder) and path.endswith(".py"))
    }
    told = {path: said for path, said in found.items() if said}
    refused = [said for path, said in told.items() if path in scripts]
    if refused and _reads_all(target, project):
        raise CommandError("\n".join(refused), hint="Nothing was pushed: a job would fail there.")
    here = ".".join(map(str, sys.version_info[:2]))
    return [f"{said}, as Python {here} reads it" for said in told.values()]


def unread_letters(project: Project) -> Iterator[str]:
    """Tell of hyperparameters of one letter that train's script reads as `--C` only: it is given `-C`."""
    train = project.config.train_
    if train is None:  # a pipeline of SageMaker trains
        return
    budget = [train.candidates.budget.hyperparameter] if train.candidates.budget else []
    text = project.files[train.script].decode("utf-8", errors="replace")
    for name in sorted({*train.hyperparameters, *train.candidates.space, *budget}):
        if len(name) == 1 and _quotes(text, f"--{name}") and not _quotes(text, f"-{name}"):
            yield (
                f"{train.script} reads --{name}, and SageMaker's toolkit passes a hyperparameter of one "
                f'letter as -{name}: write add_argument("-{name}", "--{name}", ...), or give it a longer name'
            )


def _quotes(text: str, argument: str) -> bool:
    return re.search(rf"""["']{re.escape(argument)}["']""", text) is not None


def problem(path: str, data: bytes) -> str | None:
    """Say why a file is no Python, and in which line; None if it is."""
    try:
        with warnings.catch_warnings():
            # They are the script's own business.
            warnings.simplefilter("ignore")
            compile(data, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        code = f": {error.text.strip()[:80]}" if error.text and error.text.strip() else ""
        where = f"{path} line {error.lineno}" if error.lineno else path
        return f"{where}: {type(error).__name__}: {error.msg}{code}"
    except ValueError as error:
        return f"{path} is no Python: {error}"
    return None


def _reads_all(target: Target, project: Project) -> bool:
    """Tell whether this Python is known to be as new as that of the jobs."""
    if target.is_local:
        return True
    # Import it here: no other command needs it.
    from sluice_local.sagemaker.containers import images

    framework = project.config.framework
    known = images.REAL_PYTHONS.get(f"{framework.name} {framework.version}") if framework else None
    return known is not None and tuple(map(int, known.split("."))) <= sys.version_info[:2]
