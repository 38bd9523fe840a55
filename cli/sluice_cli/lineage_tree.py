"""Draw lineage as trees: what a model was made of, and what was made of data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text
from rich.tree import Tree

from sluice.domain import wording
from sluice.domain.build import sources
from sluice_cli.output import escape, metric, short, styled

# So many packages and artifacts are printed; --json has all.
_SHOWN = 5


def of_model(found: Mapping[str, Any]) -> Tree:
    """Return what a model was made of, and where it serves, as a tree."""
    tree = Tree(_told(found))
    run = found["run"]
    _add_serving(tree, found)
    made = tree.add(
        Text.assemble(
            "run ",
            (run["run_id"], "bold"),
            f" ({run['cause'] or 'cause unknown'}, by ",
            run["actor"] or "?",
            ")",
        )
    )
    _add_dataset(made, found["dataset"])
    _add_project(made, found)
    for step in found["steps"]:
        if step.get("job_name") or step.get("cached") or step["artifacts"]:
            _add_step(made, step, found)
    seen = set[str]()
    for environment in found["environments"]:
        _add_environment(made, environment, seen)
    image = found["image"]
    made.add(
        _plain(
            f"served by {image['uri']}" + (f" {image['digest']}" if image["digest"] else ", no digest known")
        )
    )
    at = tree
    for champion in found["champions"]:
        of_run = f" of {champion['run_id']}" if champion.get("run_id") else ""
        at = at.add(_plain(f"compared with {champion['model']}{of_run}"))
        if champion.get("problem"):
            at.add(_plain(champion["problem"]))
    return tree


def of_dataset(found: Mapping[str, Any]) -> Tree:
    """Return what came from a data set version, as a tree."""
    tree = Tree(_plain(f"data set {short(found['dataset_version'])} of {found['pipeline']}"))
    _add_runs(tree, found["runs"])
    if not found["runs"]:
        tree.add("no run read it")
    return tree


def of_object(found: Mapping[str, Any]) -> Tree:
    """Return what came from an object, as a tree."""
    tree = Tree(_plain(found["key"]))
    for each in found["object_versions"]:
        told = f"version {each['version_id']} {short(each['sha256'])}, arrived {each['arrived_at']}, "
        at = tree.add(Text.assemble(_plain(told), " ", styled(each["status"])))
        if each["reason"]:
            at.add(_plain(each["reason"]))
        for dataset in found["dataset_versions"]:
            if dataset["version_id"] == each["version_id"]:
                _add_runs(at.add(_plain(f"data set {short(dataset['dataset_version'])}")), dataset["runs"])
    return tree


def _add_runs(node: Tree, runs: Sequence[Mapping[str, Any]]) -> None:
    for run in runs:
        at = node.add(Text.assemble("run ", run["run_id"], " ", styled(run["status"])))
        if model := run["model"]:
            _add_serving(at.add(_told(model)), model)


def _told(model: Mapping[str, Any]) -> Text:
    decided = f" by {model['approver']}" if model.get("approver") else ""
    return Text.assemble((str(model["model"]), "bold"), " ", styled(model["approval_status"]), decided)


def _add_serving(node: Tree, model: Mapping[str, Any]) -> None:
    for live in model["live_on"]:
        node.add(_plain(f"serves on {live['endpoint_name']} ({live['stage']}) since {live['promoted_at']}"))


def _add_dataset(node: Tree, dataset: Mapping[str, Any]) -> None:
    count = wording.count(dataset["objects"], "object")
    held = f"{count}, {wording.count(dataset['rows'], 'row')}"
    at = node.add(_plain(f"data set {short(dataset['version'])}: {held}"))
    _add_objects(at, dataset["shown"], dataset["objects"])
    if dataset["parent"]:
        at.add(_plain(f"grown from {short(dataset['parent'])}"))


def _add_objects(node: Tree, shown: Sequence[Mapping[str, Any]] | None, total: int | None) -> None:
    if shown is None:
        node.add(_plain("its list of objects is lost"))
        return
    for obj in shown[:_SHOWN]:
        new = " (new)" if obj.get("is_new") else ""
        node.add(_plain(f"{obj['key']} {short(obj['sha256'])}, version {obj['version_id']}{new}"))
    if total is not None and total > len(shown[:_SHOWN]):
        node.add(_plain(f"and {total - len(shown[:_SHOWN])} more"))


def _add_project(node: Tree, found: Mapping[str, Any]) -> None:
    project = found["project"]
    at = node.add(_plain(f"project {short(project['version'])}"))
    at.add(_plain(sources.described(project["source"])))
    if project["source"].get("remote"):
        at.add(_plain(f"repository {project['source']['remote']}"))
    if framework := project["framework"]:
        at.add(_plain(" ".join(map(str, filter(None, framework.values())))))
    for name, value in found["overrides"].items():
        at.add(_plain(f"{name} = {wording.written(value)} (by hand)"))
    _add_limited(at, map(_artifact, project["artifacts"]))


def _add_step(node: Tree, step: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    chosen = ", chosen" if step["step"] == found["candidate"] else ""
    metrics = ", ".join(metric(*each) for each in (step.get("metrics") or {}).items())
    cached = step.get("cached")
    source = f", from {cached['step']} of {cached['run_id']}" if cached else ""
    named = f"{step['step']}{chosen}{source}"
    at = node.add(_plain(" ".join(filter(None, (named, metrics and f"({metrics})")))))
    # Those of training are the chosen candidate's; a pipeline of SageMaker has its own, by its name.
    of = "train" if chosen and step["step"] not in found["parameters"] else step["step"]
    for name, value in (found["parameters"].get(of) or {}).items():
        at.add(_plain(f"{name} = {wording.written(value)}"))
    _add_limited(at, (_artifact(each, step["step"]) for each in step["artifacts"]))


def _artifact(artifact: Mapping[str, Any], step: str = "") -> str:
    """Name an artifact with its digest; a file by its path in what its step wrote."""
    return f"{artifact['name'].removeprefix(f'{step}/')} {short(artifact['sha256']) or 'not hashed'}"


def _add_environment(node: Tree, environment: Mapping[str, Any], seen: set[str]) -> None:
    """Add what jobs ran in; `seen` are the environments whose packages the tree has already."""
    digest = environment["environment"] or environment["image_digest"]
    told = f"environment {short(digest)}" if digest else "environment without a digest"
    python = f", Python {environment['python']}" if environment["python"] else ""
    at = node.add(_plain(f"{told}{python}, {environment['image']} ({', '.join(environment['steps'])})"))
    if environment["packages"] is None:
        at.add(_plain("its packages are not known"))
    elif environment["environment"] in seen:
        at.add(_plain("the same packages"))
    else:
        seen.add(str(environment["environment"] or digest))
        _add_limited(at, (f"{name} {version}" for name, version in environment["packages"].items()))


def _add_limited(node: Tree, texts: Iterable[str]) -> None:
    listed = [*texts]
    for each in listed[:_SHOWN]:
        node.add(_plain(each))
    if len(listed) > _SHOWN:
        node.add(_plain(f"and {len(listed) - _SHOWN} more"))


def _plain(text: str) -> Text:
    """Return foreign text without markup or control characters."""
    return Text.from_markup(escape(" ".join(text.split())))
