"""A pipeline.yaml is loaded whole, or refused with every problem placed, explained and on one line."""

import contextlib
import copy
import functools
import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sluice.domain import config, names
from sluice.domain.config import ConfigError, PipelineConfig, Problem, rules
from sluice.domain.config.models import CompleteWhen

Problems = Callable[[str, str], tuple[Problem, ...]]
ROOT = Path(__file__).parents[4]


@pytest.fixture
def limited_recursion() -> Iterator[None]:
    """Python's own limit, as in a function: JSONata's interpreter raises it for good."""
    found = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(found)


@pytest.fixture(scope="module")
def problems(config_text: str) -> Problems:
    """The problems of the complete config with some text replaced."""

    def find(old: str, new: str) -> tuple[Problem, ...]:
        assert old in config_text
        return problems_of(config_text.replace(old, new, 1))

    return find


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        config.load(text)
    assert len(str(caught.value).splitlines()) == len(caught.value.problems) == len(caught.value.reasons)
    return caught.value.problems


def test_a_complete_config_is_loaded(pipeline_config: PipelineConfig) -> None:
    assert pipeline_config.name == "reviews-sentiment"
    assert pipeline_config.source_dir == "src"
    assert pipeline_config.model_package_group("sluice") == "reviews"
    assert pipeline_config.data.columns["review"].min_length == 1
    assert pipeline_config.train.candidates.space == {"alpha": (1e-5, 1e-4)}
    assert pipeline_config.release.stages[1].traffic.percent == 10


def test_what_is_left_out_has_its_default(config_text: str) -> None:
    document = yaml.safe_load(config_text)
    for field in ("register", "release", "retrain"):
        del document[field]
    loaded = config.load(yaml.safe_dump(document))
    assert loaded.model_package_group("sluice") == "sluice--reviews-sentiment"
    assert [stage.name for stage in loaded.release.stages] == ["production"]
    assert loaded.release.alarms.p99_latency_ms is None
    assert loaded.register_.approval == "manual"


RANDOM_OLD = "space: {alpha: [1e-5, 1e-4]}"
RANDOM = "strategy: random, max_candidates: 3, space: {{alpha: {{{}}}}}"
HALVING = "strategy: halving, max_candidates: 2, budget: {{hyperparameter: {}}}"


@pytest.mark.parametrize(
    ("last", "count", "age"),
    [
        ("30d", 30, timedelta(days=30)),
        ("12h", 12, timedelta(hours=12)),
        ("12 batches", 12, None),
        ("1 batch", 1, None),
    ],
)
def test_a_window_is_of_time_or_of_batches(
    config_text: str, last: str, count: int, age: timedelta | None
) -> None:
    text = config_text.replace("mode: append", f"mode: window\n  window: {{last: {last}}}")
    window = config.load(text).data.window
    assert window is not None
    assert (window.count, window.age) == (count, age)


def test_what_completes_a_batch_makes_waiting_needless(config_text: str) -> None:
    def completion(text: str) -> CompleteWhen:
        return config.load(config_text.replace("quiet_period_s: 2", text)).data.complete_when

    quiet, marker, manifest = (
        completion("quiet_period_s: 2"),
        completion("marker: _X"),
        completion("manifest: m"),
    )
    assert (quiet.control_name, quiet.wait_s, quiet.ask_delay_s) == (None, 2, 2)
    assert (marker.control_name, marker.wait_s) == ("_X", 0)
    assert (manifest.control_name, manifest.wait_s) == ("m", 0)


def test_a_stored_config_is_restored_as_it_was(pipeline_config: PipelineConfig) -> None:
    stored = config.dump(pipeline_config)
    assert config.restore(stored) == pipeline_config
    assert "schema" in json.loads(stored)["data"]


def test_a_config_cannot_be_changed(pipeline_config: PipelineConfig) -> None:
    with pytest.raises(ValueError, match="frozen"):
        pipeline_config.__setattr__("name", "other")


@pytest.mark.parametrize(
    ("old", "new", "path", "line", "nearest"),
    [
        ("  label: sent", "  lable: sent", "data.lable", 6, "label"),
        ("format: csv", "format: cvs", "data.format", 4, "csv"),
        ("review: {type", "review: {typ", "data.schema.review.typ", 10, "type"),
        ("check: row_count", "check: rowcount", "data.quality[1].check", 18, "row_count"),
        ("label: sentiment", "label: sentimnt", "data.label", 6, "sentiment"),
        ("column: review", "column: reveiw", "data.quality[0].column", 17, "review"),
        ("scikit-learn", "scikit-lern", "framework.name", 2, "scikit-learn"),
        ('"1.4-2"', '"1.4-1"', "framework.version", 2, "1.4-2"),
        (
            'objective: "validation:a',
            'objective: "valdation:a',
            "train.candidates.objective",
            23,
            "validation:accuracy",
        ),
        ("max_parallel", "max_paralel", "train.candidates.max_paralel", 23, "max_parallel"),
        ("objective:", "objectve:", "train.candidates.objectve", 23, "objective"),
        ("  metrics:", "  max_parallel: 2\n  metrics:", "train.max_parallel", 24, "candidates.max_parallel"),
        # The very name below, not `script` and `cache`, which are spelt alike.
        ("  metrics:", "  spot: {max_wait_s: 7200}\n  metrics:", "train.spot", 24, "compute.spot"),
        ("  metrics:", "  space: {a: [1]}\n  metrics:", "train.space", 24, "candidates.space"),
        ("traffic: {type: canary", "traffic: {type: canery", "release.stages[1].traffic.type", 35, "canary"),
        ("not_worse_than champion", "not_worse_than chanpion", "gates[1]", 29, "champion"),
        ("retrain:", "retain:", "retain", 37, "retrain"),
        ("name: reviews", "nme: reviews", "nme", 1, "name"),
    ],
)
def test_a_typo_is_placed_and_the_nearest_match_named(
    problems: Problems, old: str, new: str, path: str, line: int, nearest: str | None
) -> None:
    (problem,) = problems(old, new)
    assert (problem.path, problem.line) == (path, line)
    assert problem.nearest == nearest


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("period_s: 2", "period_s: two", 'data.complete_when.quiet_period_s is "two": expected an integer'),
        ("quiet_period_s: 2", "quiet_period_s: 901", "is 901: expected at most 900"),
        ("quiet_period_s: 2", "quiet_period_s: true", "is true: expected an integer"),
        ("{quiet_period_s: 2}", "", "data.complete_when is empty: expected a mapping"),
        ("min: 0.99", "min: 1.5", "data.quality[0].min is 1.5: expected at most 1"),
        ("alpha: [1e-5, 1e-4]", "alpha: 1e-5", "space.alpha is 1e-05: expected a list of values, or a range"),
        ("alpha: [1e-5, 1e-4]", "alpha: {lo: 1}", "space.alpha.lo is no field here: expected one of min"),
        ("alpha: [1e-5, 1e-4]", "alpha: {min: 1}", "space.alpha.max is missing: expected the greatest"),
        ("alpha: [1e-5, 1e-4]", "alpha: {min: a, max: 2}", 'space.alpha.min is "a": expected a number'),
        ("max_parallel: 2", "strategy: rnadom", 'strategy is "rnadom": expected one of grid, random, ha'),
        ("max_parallel: 2", "max_candidates: 51", "max_candidates is 51: expected at most 50"),
        ("alpha: [1e-5, 1e-4]", "alpha: []", "space.alpha is empty: expected at least 1 item"),
        ("epochs: 10", "epochs: [1]", "epochs is a list: expected a string, number or boolean"),
        ("epochs: 10", "epochs: {a: 1}", "hyperparameters.epochs is a mapping: expected a string, number or"),
        ("epochs: 10", "epochs:", "hyperparameters.epochs is empty: expected a string, number or boolean"),
        ("epochs: 10", "epochs: 1e999", "train.hyperparameters.epochs is"),
        ("name: reviews-sentiment", "name: Reviews", 'name is "Reviews": expected 2 to 32 lower-case'),
        ("name: reviews-sentiment", "name: reviews-", 'name is "reviews-": expected 2 to 32 lower-case'),
        ("name: production", "name: Prod", 'release.stages[1].name is "Prod": expected 1 to 16 lower-case'),
        ("evaluate: {script: src/evaluate.py}", "", "evaluate is missing: expected the script that eva"),
        ("{check: completeness, column", "{column", "data.quality[0].check is missing: expected one of comp"),
        (
            '{space: {alpha: [1e-5, 1e-4]}, objective: "validation:accuracy", max_parallel: 2}',
            "",
            "train.candidates is empty: expected a mapping (which candidates to train, one or more, and how "
            "to choose the best, with objective: the name of one of train.metrics, which a model must report",
        ),
        (
            "  candidates: {",
            "  space: {",
            "train.candidates is missing: expected which candidates to train, one or more, and how to choose",
        ),
        ("serve:", "# serve:", "serve is missing: expected the script that serves, with script, sample"),
        ("{space:", "{max_cost_usd: 0, space:", "max_cost_usd is 0: expected more than 0"),
        ("metrics: [", "metrics: {", "has a YAML error"),
        (">= 0.70", "=> 0.70", "gates[0] has '=>' at column 24: expected one of >=, >"),
        ("alpha: [1e-5", '? [alpha] : [1e-5', "train.candidates.space has a key that is no plain word"),
        ("epochs: 10", "epochs: !!int x", "has the tag 'tag:yaml.org,2002:int': expected a plain value"),
        ("epochs: 10", "epochs: !env SECRET", "has the tag '!env': expected a plain value"),
        ("{epochs: 10", "!!set {epochs: 10", "train.hyperparameters has the tag"),
        ("mode: append", "format: csv", "data.format is given twice, first on line 4"),
        ("  mode: append", '  mode: "\\ud800"', "the file has an escape that is no character"),
        ("mode: append", "mode: windows", 'data.mode is "windows": expected one of append, replace, window'),
        ("mode: append", "mode: window\n  window: {last: 30}", 'data.window.last is 30: expected a'),
        ("mode: append", "mode: window\n  window: {last: 30 days}", 'data.window.last is "30 days": expe'),
        ("{quiet_period_s: 2}", "{marker: a/_SUCCESS}", 'data.complete_when.marker is "a/_SUCCESS"'),
        ("retrain:", "monitr: {}\nretrain:", "monitr is no field here"),
        ("src/evaluate.py", "src/evaluate.sh", "evaluate.script is"),
        ("format: csv", f"format: {'x' * 90}", f'data.format is "{"x" * 56}...: expected one of csv'),
    ],
)  # fmt: skip
def test_a_wrong_value_says_what_was_expected(problems: Problems, old: str, new: str, said: str) -> None:
    assert any(said in str(problem) for problem in problems(old, new)), list(map(str, problems(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        ('framework: {name: scikit-learn, version: "1.4-2"}\n', "", "", "names no image"),
        ("name: reviews-sentiment", "name: ab\nimage: x/y:1", "image", "is given beside framework"),
        ("src/train.py", "lib/train.py", "train.script", "a file in src, as all scripts share a folder"),
        ("src/train.py", "train.py", "train.script", "a file in src"),
        ("src/train.py", "../train.py", "train.script", "a path inside the project"),
        ("id: {type: integer", "id: {type: string", "data.schema.id.min", "does not apply to type string"),
        ("code: {type: string", "code: {type: number", "data.schema.code.pattern", "does not apply to type"),
        ("min: 1, max: 1000", "min: 1.5", "data.schema.id.min", "of type integer"),
        ("min: 1, max: 1000", "min: 5, max: 4", "data.schema.id.min", "at most max, 4"),
        ("min_length: 1, max", "min_length: 9999, max", "data.schema.review.min_length", "at most max_"),
        ("[great, other]", "[great, 1]", "data.schema.sentiment.allowed", "values of type string"),
        ("{type: boolean", "{type: boolean, allowed: [1]", "data.schema.verified.allowed", "has 1"),
        ("{type: number", "{type: number, allowed: [true]", "data.schema.score.allowed", "has True"),
        ('"2000-01-01"', "yesterday", "data.schema.written.min", "of type timestamp"),
        ('"2000-01-01"', "5", "data.schema.written.min", "of type timestamp"),
        ('"[A-Z]{2}"', '"[A-Z"', "data.schema.code.pattern", "cannot be read"),
        ('"[A-Z]{2}"', '"(?=A)"', "data.schema.code.pattern", "look-around"),
        ('"[A-Z]{2}"', r"'(A)\1'", "data.schema.code.pattern", "back-reference"),
        ("{check: row_count, min: 100}", "{check: row_count}", "data.quality[1]", "neither min nor max"),
        ("min: 100}", "min: 100, max: 9}", "data.quality[1].min", "at most max, 9"),
        ("mode: append", "mode: window", "data", "has no window"),
        ("mode: append", "window: {last: 30d}", "data.window", "is given with mode append"),
        ("{quiet_period_s: 2}", "{quiet_period_s: 2, marker: A}", "data.complete_when", "has marker and q"),
        ("{quiet_period_s: 2}", "{manifest: m, marker: A}", "data.complete_when", "has manifest and marker"),
        ("{quiet_period_s: 2}", "{marker: ..}", "data.complete_when.marker", "names a folder"),
        ('"validation accuracy: ([0-9.]+)"', '"accuracy"', "train.metrics[0].regex", "has 0 groups"),
        ('"validation accuracy: ([0-9.]+)"', '"("', "train.metrics[0].regex", "cannot be read"),
        ("cs: [", 'cs: [{name: "validation:accuracy", regex: (x)}, ', "train.metrics[1].name", "again"),
        ("[1e-5, 1e-4]", str(list(range(51))), "train.candidates.space", "makes 51 candidates"),
        ("[1e-5, 1e-4]", "[1, 1]", "train.candidates.space.alpha", "has a value twice"),
        ("[1e-5, 1e-4]", "{min: 0, max: 1}", "train.candidates.space.alpha", "is a range: expected a list"),
        ("max_parallel: 2", "max_candidates: 1", "train.candidates.space", "makes 2 candidates: expected"),
        ("max_parallel: 2", "strategy: random", "train.candidates", "draws random candidates without a nu"),
        ("max_parallel: 2", "reduction_factor: 2", "train.candidates.reduction_factor", "with strategy grid"),
        (RANDOM_OLD, RANDOM.format("min: 2, max: 1"), "train.candidates.space.alpha.max", "is 1: expected m"),
        (RANDOM_OLD, RANDOM.format("min: 0, max: 1, log: true"), "train.candidates.space.alpha.min", "is 0"),
        (
            RANDOM_OLD,
            RANDOM.format("min: 0.5, max: 2, integer: true"),
            "train.candidates.space.alpha.min",
            "is 0.5: expected a whole number",
        ),
        (
            RANDOM_OLD,
            RANDOM.format("min: 0, max: 1").replace("alpha", "sagemaker_x"),
            "train.candidates.space.sagemaker_x",
            "is reserved",
        ),
        (RANDOM_OLD, "space: {}, strategy: random, max_candidates: 2", "train.candidates.space", "is empty"),
        ("max_parallel: 2", "strategy: halving, max_candidates: 2", "train.candidates", "has no budget"),
        (
            'parallel: 2}\n  metrics: [{name: "validation:accuracy", '
            'regex: "validation accuracy: ([0-9.]+)"}]\n'
            "  compute: {instance_type: ml.m5.large",
            'parallel: 2, max_cost_usd: 1}\n  metrics: [{name: "validation:accuracy"}]\n'
            "  compute: {instance_type: ml.m5.lage",
            "train.compute.instance_type",
            "is 'ml.m5.lage' beside train.candidates.max_cost_usd",
        ),
        (
            "max_parallel: 2",
            HALVING.format("alpha, min: 1, max: 2"),
            "train.candidates.budget.hyperparameter",
            "is 'alpha': expected one outside of the space",
        ),
        (
            "max_parallel: 2",
            HALVING.format("epochs, min: 3, max: 2"),
            "train.candidates.budget.max",
            "is 2: expected more than min, 3",
        ),
        (
            "max_parallel: 2",
            HALVING.format("sagemaker_x, min: 1, max: 2"),
            "train.candidates.budget.hyperparameter",
            "is reserved",
        ),
        ("space: {", "space: {sagemaker_a: [x], ", "train.candidates.space.sagemaker_a", "is reserved"),
        ("epochs: 10", "sagemaker_program: x", "train.hyperparameters.sagemaker_program", "is reserved"),
        ("epochs: 10", f"epochs: {'x' * 2500}", "train.hyperparameters.epochs", "a value of 2502 characters"),
        (
            "space: {",
            f"space: {{long: [{'x' * 2500}], ",
            "train.candidates.space.long",
            "a value of 2502 characters",
        ),
        ("name: a b", f"name: {'x' * 257}", "prepare.parameters.name", "has 257 characters"),
        ("name: staging", "name: production", "release.stages[1].name", "is 'production' again"),
        ("percent: 10, ", "", "release.stages[1].traffic.percent", "does not suit canary"),
        ("staging}", "staging, traffic: {percent: 5}}", "release.stages[0].traffic.percent", "all_at_once"),
        ("compute: {instance_count: 2}", "", "release.stages[1].traffic.type", "over one instance"),
        (
            "{type: canary, percent: 10,",
            "{type: linear, percent: 9,",
            "release.stages[1].traffic.percent",
            "expected 10 to 50",
        ),
        (
            "staging}",
            "staging, traffic: {type: linear, percent: 10, bake_s: 2521}}",
            "release.stages[0].traffic.bake_s",
            "is 2521 s, 10 times: expected at most 2520",
        ),
        ("bake_s: 180", "bake_s: 179", "release.stages[1].traffic.bake_s", "too short for an alarm"),
        ("error_rate: 0.05", "error_rate: 0.1", "release.alarms.error_rate", "less than 0.1, or a larger"),
        ("p99_latency_ms: 500", "p99_latency_ms: 60000", "release.alarms.p99_latency_ms", "no latency"),
        (
            "{group: reviews}\nrelease:\n",
            "{approval: automatic}\nrelease:\n  approval: {approvals: 2}\n",
            "register.approval",
            "is automatic where people must approve",
        ),
    ],
)  # fmt: skip
def test_fields_that_do_not_go_together_are_refused(
    problems: Problems, old: str, new: str, path: str, said: str
) -> None:
    found = problems(old, new)
    assert any(problem.path == path and said in str(problem) for problem in found), list(map(str, found))


@pytest.mark.parametrize("bake", ["bake_s: 0", "bake_s: 179, unwatched: true", "bake_s: 180"])
def test_a_bake_that_nothing_watches_is_accepted_if_the_project_says_so(config_text: str, bake: str) -> None:
    canary = config.load(config_text.replace("bake_s: 180", bake)).release.stages[1].traffic
    assert f"bake_s: {canary.bake_s}" in bake


def test_too_many_hyperparameters_are_refused(config_text: str) -> None:
    many = ", ".join(f"h{i}: 1" for i in range(90))
    (problem,) = problems_of(config_text.replace("epochs: 10, penalty: l2", many))
    assert (problem.path, problem.expected) == ("train.hyperparameters", "at most 90 with those of the space")


def test_the_longest_pipeline_may_have_the_longest_stage(config_text: str) -> None:
    text = config_text.replace("name: reviews-sentiment", f"name: {'x' * 32}")
    loaded = config.load(text.replace("name: production", f"name: {'y' * 16}"))
    assert len(names.endpoint_name("sluice-production", loaded.name, loaded.release.stages[1].name)) == 63


def test_every_problem_is_reported_in_the_order_of_lines(problems: Problems, config_text: str) -> None:
    found = problems_of(
        config_text.replace("format: csv", "format: x").replace("cooldown_s: 60", "cooldown_s: x")
    )
    assert [problem.path for problem in found] == ["data.format", "retrain.cooldown_s"]


@pytest.mark.parametrize("gate", ["metrics.accuracy.value => 0.7", 5])
def test_what_breaks_rules_is_reported_beside_a_gate_that_is_none(config_text: str, gate: object) -> None:
    document = yaml.safe_load(config_text.replace("label: sentiment", "label: sentimnt"))
    document["gates"] = [gate, "bias.DPL <= 0.1"]
    found = problems_of(yaml.safe_dump(document))
    assert {problem.path for problem in found} == {"data.label", "gates[0]", "gates[1]"}


def test_scalars_follow_yaml_1_2(config_text: str) -> None:
    text = config_text.replace(
        "epochs: 10, penalty: l2", "a: no, b: 010, c: 1e3, d: 2024-01-01, e: 0x1, f: True"
    )
    assert config.load(text).train.hyperparameters == {
        "a": "no",
        "b": "010",
        "c": 1000.0,
        "d": "2024-01-01",
        "e": "0x1",
        "f": True,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is no mapping"),
        ("- 1", "the file is no mapping"),
        ("a: 1\n---\nb: 1", "has a YAML error"),
        ("a: \x00", "has a YAML error"),
        ("a: &x [1]\nb: *x", "b is the target of an alias"),
        ("[" * 600, "is nested too deeply"),
        ("#" * 270_000, "is too large"),
        ("a: *missing", "line 1: the file has a YAML error"),
    ],
)
@pytest.mark.usefixtures("limited_recursion")
def test_text_that_is_no_plain_yaml_mapping_is_refused(text: str, said: str) -> None:
    assert said in str(problems_of(text)[0])


def test_an_image_replaces_the_framework_and_is_used_in_every_region(config_text: str) -> None:
    loaded = config.load(
        config_text.replace('framework: {name: scikit-learn, version: "1.4-2"}', "image: x/y:1")
    )
    assert loaded.training_image_uri("eu-central-1") == "x/y:1"


def test_a_framework_resolves_to_its_image_in_the_region(pipeline_config: PipelineConfig) -> None:
    assert pipeline_config.training_image_uri("eu-central-1").startswith("492215442770.dkr.ecr.eu-central-1.")


@given(st.text() | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(yaml.safe_dump))
@example("? {a: b}\n: c")
@example("!!binary |\n  aGk=")
@example("a: .inf")
def test_any_text_is_loaded_or_refused_with_problems(text: str) -> None:
    with contextlib.suppress(ConfigError):
        config.load(text)


_read = functools.cache(yaml.safe_load)


@given(st.data())
def test_a_config_with_any_part_replaced_is_loaded_or_refused_with_problems(
    config_text: str, data: st.DataObject
) -> None:
    document = copy.deepcopy(_read(config_text))
    parent = document
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(parent[key], dict | list) or not parent[key] or data.draw(st.booleans()):
            break
        parent = parent[key]
    parent[key] = data.draw(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([{}])
    )
    with contextlib.suppress(ConfigError):
        config.load(yaml.safe_dump(document))


def test_the_schema_for_editors_accepts_the_complete_config_and_refuses_a_typo(config_text: str) -> None:
    # It is slow to import, and each worker collects all tests.
    import jsonschema  # type: ignore[import-untyped]

    validator = jsonschema.Draft202012Validator(config.json_schema())
    assert validator.is_valid(yaml.safe_load(config_text))
    assert not validator.is_valid(yaml.safe_load(config_text.replace("label:", "lable:")))


def test_the_published_schema_is_current() -> None:
    published = json.loads((ROOT / "docs" / "pipeline.schema.json").read_text())
    assert published == config.json_schema(), (
        "run: python -m sluice.domain.config > docs/pipeline.schema.json"
    )


def test_the_documentation_names_every_field() -> None:
    text = (ROOT / "docs" / "pipeline-yaml.md").read_text()
    schema = config.json_schema()
    fields = {field for model in (schema, *schema["$defs"].values()) for field in model.get("properties", ())}
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    named = {word for code in re.findall(r"`([^`]+)`", prose) for word in code.split(".")}
    assert fields - named == set()


def test_what_is_wrong_in_a_list_is_said_once(config_text: str) -> None:
    document = yaml.safe_load(config_text)
    document["gates"] = ["report.weighted avg.f1 >= 0.5"]
    (problem,) = problems_of(yaml.safe_dump(document))
    assert problem.path == "gates[0]"
    document["gates"] = []
    (problem,) = problems_of(yaml.safe_dump(document))
    assert problem.path == "gates"


def test_a_wide_contract_is_stored_without_its_defaults_and_one_beyond_the_limit_is_refused(
    config_text: str,
) -> None:
    def wide(columns: int) -> str:
        names = "".join(f"    c{index}: {{type: number, required: true}}\n" for index in range(columns))
        return config_text.replace("  schema:\n", f"  schema:\n{names}", 1)

    loaded = config.load(wide(3000))
    assert len(config.dump(loaded)) < 300_000
    assert config.restore(config.dump(loaded)) == loaded
    (problem,) = problems_of(wide(20_000))
    assert "is too large" in str(problem)


def test_a_config_as_it_is_stored_keeps_the_rules_of_candidates(config_text: str) -> None:
    """A person's overrides are checked on it, and it has every default value."""
    stored = yaml.safe_dump(json.loads(config.dump(config.load(config_text))))
    for strategy in ("grid", "random"):
        wanted = {"strategy": strategy, "max_candidates": 2}
        document = yaml.safe_load(stored)
        document["train"]["candidates"] |= wanted
        found = rules.breaches(config.restore(json.dumps(document)))
        assert [breach for breach in found if breach.loc[0] == "train"] == []
