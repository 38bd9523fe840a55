"""Read what the evaluations of a run wrote, and judge its gates by that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from sluice.domain import failures, names
from sluice.domain.build import champions, evaluations, gates
from sluice.domain.build.evaluations import Evaluation, EvaluationError
from sluice.domain.build.jobs import EVALUATION_FILE
from sluice.domain.build.verdicts import Champion, Facts, Meaning, Verdict
from sluice.domain.locations import bucket_and_key
from sluice.domain.nearest import hint
from sluice.lazy import dataclass
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.side_by_side import on_each, together

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Step
    from sluice.domain.config import PipelineConfig

FOLDER = "/opt/ml/processing/evaluation"
# Whose evaluations a run may have.
ROLES = ("candidate", champions.ROLE, champions.OWN_ROLE)
_LISTED = 8


class Scored:
    """The evaluations of a run, by role; each file is read once.

    `steps` are those of ROLES, in their order, if they were read before.
    """

    def __init__(
        self, cloud: Cloud, pipeline: str, run_id: str, steps: Sequence[Step | None] | None = None
    ) -> None:
        self._cloud, self._run_id = cloud, run_id
        self._locations = building.locations(cloud, pipeline)
        self._evaluations: dict[str, Evaluation] = {}
        self._steps = dict(zip(ROLES, steps, strict=True)) if steps is not None else {}

    def evaluation(self, role: str) -> Evaluation:
        """Return what a role's script found; raises EvaluationError."""
        if role not in self._evaluations:
            self._evaluations[role] = self._read(role)
        return self._evaluations[role]

    def _read(self, role: str) -> Evaluation:
        uri = f"{self._folder(role)}/{EVALUATION_FILE}"
        try:
            return evaluations.read(self._content(role, uri))
        except EvaluationError as error:
            raise EvaluationError(f"the {role}'s {EVALUATION_FILE} {error} ({uri})") from None

    def _content(self, role: str, uri: str) -> bytes:
        found = self._cloud.objects.open(*bucket_and_key(uri))
        if found is None:
            raise EvaluationError(
                f"was not written: the script must write it to {FOLDER}, where there is "
                f"{self._there(role, EVALUATION_FILE)}"
            )
        head, chunks = found
        if head.size_bytes > evaluations.MAX_BYTES:
            raise evaluations.too_large(head.size_bytes)
        return b"".join(chunks)

    def _there(self, role: str, wanted: str) -> str:
        """Say what a role's script wrote, in place of a file that it did not write."""
        found = self._files(role)
        shown = ", ".join(found[:_LISTED]) or "nothing"
        more = " and more" if len(found) > _LISTED else ""
        nested = next((name for name in found if name.endswith(f"/{wanted}")), None)
        return shown + more + (f"; write {nested} one folder up" if nested else hint(wanted, found))

    def _files(self, role: str) -> list[str]:
        bucket, prefix = bucket_and_key(f"{self._folder(role)}/")
        heads = islice(self._cloud.objects.listing(bucket, prefix), _LISTED + 1)
        return [head.key.removeprefix(prefix) for head in heads]

    def _folder(self, role: str) -> str:
        """Return the folder of an evaluation: the run's own, or another's that did the same."""
        step = self._step(role)
        uri = (step.outputs or {}).get("evaluation") if step else None
        return uri or self._locations.evaluation(self._run_id, role)

    def _step(self, role: str) -> Step | None:
        if role not in self._steps:
            self._steps[role] = building.find_step(self._cloud, self._run_id, names.evaluate_step(role))
        return self._steps[role]

    def facts(self, role: str, model_uri: str | None, *, with_predictions: bool) -> Facts:
        """Return what was measured of a role's model; predictions only if they are asked for."""

        def size_bytes() -> int | None:
            head = self._cloud.objects.head(*bucket_and_key(model_uri)) if model_uri else None
            return head.size_bytes if head else None

        if not with_predictions:
            return Facts(size_bytes=size_bytes())
        return Facts(*together(lambda: self._predictions(role), size_bytes))

    def _predictions(self, role: str) -> Any:
        """Return a role's predictions, or why there are none."""
        from sluice.domain.predictions import table

        places = [bucket_and_key(f"{self._folder(role)}/{name}") for name in table.FILES]
        opened = on_each(places, lambda place: self._cloud.objects.open(*place))
        found = {name: each for name, each in zip(table.FILES, opened, strict=True) if each}
        if not found:
            return (
                f"were not written: let evaluate.script write {' or '.join(table.FILES)} with {table.WANTED} "
                f"to {FOLDER}, where there is {self._there(role, table.CSV)}"
            )
        if len(found) > 1:
            return f"are there twice, as {' and '.join(found)}: write one of them"
        ((name, (head, chunks)),) = found.items()
        try:
            if head.size_bytes > table.MAX_BYTES:
                raise table.too_large(head.size_bytes)
            data = b"".join(chunks)
            return table.read_csv(data) if name == table.CSV else _read_parquet(data)
        except table.PredictionsError as error:
            return f"cannot be used: {name} {error}"

    def champion(
        self, known: Mapping[str, Any] | None, model_uri: str | None, *, with_predictions: bool
    ) -> tuple[Champion | None, str | None]:
        """Return the champion's scores and the role they are of: whichever of its evaluations completed."""
        if known is None:
            return None, None
        if why := known.get("passed_over"):
            return Champion(None, passed_over=why), None
        if problem := known.get("problem"):
            return Champion(None, unscored=f"{problem}; {champions.WAY_ON}"), None
        problems = []
        for role in (champions.ROLE, champions.OWN_ROLE):
            step = self._step(role)
            try:
                if step and step.status == building.COMPLETED:
                    evaluation, facts = together(
                        partial(self.evaluation, role),
                        partial(self.facts, role, model_uri, with_predictions=with_predictions),
                    )
                    recorded = (
                        str((step.detail or {}).get("recorded", "")) if step.kind == "evaluation" else ""
                    )
                    return Champion(evaluation.document, facts=facts, recorded=recorded), role
            except EvaluationError as error:
                problems.append(str(error))
            else:
                if step:
                    why = failures.plain(step.failure_reason or "")
                    problems.append(f"{names.evaluate_step(role)}: {why}")
        why = problems or ["no evaluation of it is on record"]
        return Champion(None, unscored=failures.cut("; ".join([*why, champions.WAY_ON]))), None


def _read_parquet(data: bytes) -> Any:
    # Only here is the engine loaded: most predictions are text.
    from sluice.quality.engine import predictions_file

    return predictions_file.read_parquet(data)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, the role of the champion's scores, and which predictions were not to be had."""

    verdict: Verdict
    role: str | None
    problems: tuple[str, ...] = ()


def judge(
    scored: Scored,
    config: PipelineConfig,
    known: Mapping[str, Any] | None,
    models: Sequence[Mapping[str, Any]] = (),
) -> Judgement:
    """Judge a run by a config's gates; raises EvaluationError if the candidate has no evaluation.

    `known` is what the run knew of the champion, `models` its evaluations with their models' URIs.
    """
    with_predictions = gates.reads_predictions(config.gates)
    uris = {each["role"]: each.get("model_uri") for each in models}
    candidate, facts, (champion, role) = together(
        partial(scored.evaluation, "candidate"),
        partial(scored.facts, "candidate", uris.get("candidate"), with_predictions=with_predictions),
        partial(scored.champion, known, uris.get(champions.ROLE), with_predictions=with_predictions),
    )
    verdict = gates.judge(config.gates, candidate.document, champion, facts, meaning(config))
    if not with_predictions:
        return Judgement(verdict, role)
    of_both = {"candidate": facts, **({"champion": champion.facts} if champion and role else {})}
    problems = (f"the {who}'s predictions {each.problem}" for who, each in of_both.items() if each.problem)
    return Judgement(verdict, role, tuple(problems))


def meaning(config: PipelineConfig) -> Meaning:
    """Return what a project says that its predictions mean."""
    positive = config.evaluate_.positive if config.evaluate_ else None
    if positive is None:
        return Meaning(bias=config.data.bias)
    from sluice.domain.predictions.table import class_name

    return Meaning(class_name(str(positive)), config.data.bias)
