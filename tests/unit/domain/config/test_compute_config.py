"""What AWS would refuse hours later is refused at the push, with what there is."""

from __future__ import annotations

import pytest

from sluice.domain import config
from sluice.domain.config import ConfigError, images

FRAMEWORK = 'framework: {name: scikit-learn, version: "1.4-2"}'


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.load(text)
    return [str(problem) for problem in caught.value.problems]


def with_compute(config_text: str, step: str, compute: str) -> str:
    """The config with another `compute` of a step."""
    import yaml

    document = yaml.safe_load(config_text)
    document[step]["compute"] = yaml.safe_load(compute)
    return yaml.safe_dump(document)


@pytest.mark.parametrize(
    ("step", "compute"),
    [
        ("prepare", "{instance_count: 4, data_distribution: sharded_by_s3_key}"),
        ("train", "{spot: {max_wait_s: 3600}}"),
        ("train", "{backend: lambda, max_runtime_s: 900, memory_mb: 10240}"),
        ("train", "{memory_mb: 20000, max_runtime_s: 3600}"),
        ("train", "{keep_alive_s: 1800, tags: {team: ml}, environment: {DEPTH: '3'}}"),
        ("evaluate", "{isolation: true}"),
    ],
)
def test_what_sagemaker_takes_is_taken(config_text: str, step: str, compute: str) -> None:
    assert config.load(with_compute(config_text, step, compute))


@pytest.mark.parametrize(
    ("step", "compute", "said"),
    [
        ("train", "{spot: {max_wait_s: 60}}", "max_wait_s is 60: expected at least max_runtime_s, 3600"),
        ("train", "{spot: {max_wait: 7200}}", "did you mean 'max_wait_s'?"),
        (
            "train",
            "{spot: {max_wait_s: 500000}}",
            "max_wait_s is 500000: expected at most 475200",
        ),
        ("train", "{spot: {max_wait_s: 7200}, keep_alive_s: 60}", "keep_alive_s is given beside spot"),
        ("train", "{keep_alive_s: 30000}", "keep_alive_s is 30000: expected at most 21600"),
        ("train", "{keepalive_s: 60}", "did you mean 'keep_alive_s'?"),
        ("prepare", "{instance_count: 101}", "instance_count is 101: expected at most 100"),
        ("prepare", "{data_distribution: ShardedByS3Key}", "did you mean 'sharded_by_s3_key'?"),
        ("evaluate", "{instance_count: 2}", "evaluate.compute.instance_count is no field here"),
        ("prepare", "{spot: {max_wait_s: 7200}}", "prepare.compute.spot is no field here"),
        ("train", "{backend: lambda, instance_count: 2}", "as only SageMaker has 2 instances"),
        ("train", "{backend: lambda, max_runtime_s: 3600}", "max_runtime_s is 3600 beside backend lambda"),
        ("train", "{backend: lambda, memory_mb: 20000}", "memory_mb is 20000 beside backend lambda"),
        ("train", "{environment: {SM_MODEL_DIR: x}}", "environment.SM_MODEL_DIR is reserved"),
        ("train", "{environment: {1A: x}}", "environment"),
        ("train", "{environment: {A: 1}}", "environment.A is 1: expected a string"),
        ("train", "{tags: {'AWS:x': y}}", "a name that does not start with aws:"),
        ("prepare", "{tags: {'sluice:run': y}}", "a name that does not start with sluice:"),
    ],
)
def test_what_sagemaker_would_refuse_is_refused(config_text: str, step: str, compute: str, said: str) -> None:
    found = problems(with_compute(config_text, step, compute))
    assert any(said in each for each in found), found


def test_a_budget_needs_instances_with_a_price(config_text: str) -> None:
    budgeted = config_text.replace("daily_budget: 10", "daily_budget: 10, monthly_budget_usd: 5")
    assert config.load(budgeted).retrain.monthly_budget_usd == 5
    found = problems(with_compute(budgeted, "train", "{instance_type: ml.m5.8xlarge}"))
    assert any("beside retrain.monthly_budget_usd" in each and "did you mean" in each for each in found)
    assert config.load(with_compute(config_text, "train", "{instance_type: ml.m5.8xlarge}"))


@pytest.mark.parametrize(
    ("framework", "said"),
    [
        ("{name: xgbost, version: 1.7-1}", "did you mean 'xgboost'?"),
        ("{name: xgboost, version: '1.7'}", "did you mean '1.7-1'?"),
        ("{name: pytorch, version: '2.9'}", "one of 2.0.0, 2.0.1"),
        (
            "{name: pytorch, version: 2.8.0}",
            "inference_version is missing, and nothing serves version '2.8.0'",
        ),
        (
            "{name: pytorch, version: 2.8.0, inference_version: 2.5.0}",
            "one of 2.0.0, 2.0.1, 2.1.0, 2.2.0, 2.3.0, 2.4.0, 2.5.1, 2.6.0; did you mean",
        ),
        ("{name: huggingface, version: 4.49.0}", "one with a GPU, such as ml.g4dn.xlarge"),
    ],
)
def test_an_image_that_sagemaker_does_not_have_is_refused(
    config_text: str, framework: str, said: str
) -> None:
    found = problems(config_text.replace(FRAMEWORK, f"framework: {framework}"))
    assert any(said in each for each in found), found


@pytest.mark.parametrize(
    ("framework", "train", "serve"),
    [
        ("{name: xgboost, version: 3.0-5}", "sagemaker-xgboost:3.0-5", "sagemaker-xgboost:3.0-5"),
        (
            "{name: pytorch, version: 2.8.0, inference_version: 2.6.0}",
            "pytorch-training:2.8.0-cpu-py312",
            "pytorch-inference:2.6.0-cpu-py312",
        ),
        (
            "{name: tensorflow, version: '2.16'}",
            "tensorflow-training:2.16.2-cpu-py310",
            "tensorflow-inference:2.16.1-cpu",
        ),
    ],
)
def test_a_framework_trains_and_serves_in_its_own_images(
    config_text: str, framework: str, train: str, serve: str
) -> None:
    found = config.load(config_text.replace(FRAMEWORK, f"framework: {framework}")).image_uris("eu-central-1")
    assert found["train"].endswith(f"/{train}")
    assert found["prepare"] == found["evaluate"] == found["train"]
    assert found["serve"].endswith(f"/{serve}")


def test_no_image_of_a_region_that_has_none_stands_in(config_text: str) -> None:
    loaded = config.load(config_text)
    with pytest.raises(images.UnknownImageError, match="mars-1"):
        loaded.processing_image_uri("mars-1", loaded.prepare.compute)


def test_transformers_prepare_without_a_gpu_in_the_image_that_serves(config_text: str) -> None:
    text = config_text.replace(FRAMEWORK, "framework: {name: huggingface, version: 4.49.0}")
    found = config.load(with_compute(text, "train", "{instance_type: ml.g5.xlarge}")).image_uris("us-east-1")
    assert "huggingface-pytorch-training:" in found["train"]
    assert "huggingface-pytorch-inference:" in found["prepare"]


@pytest.mark.parametrize(
    ("compute", "problem"),
    [
        (
            "{serverless: {memory_mb: 1500}}",
            "memory_mb is 1500: expected one of 1024, 2048, 3072, 4096, 5120, 6144",
        ),
        ("{serverless: {max_concurrency: 201}}", "serve.compute.serverless.max_concurrency"),
        ("{serverless: {}, instance_count: 2}", "serve.compute.instance_count is given beside serverless"),
    ],
)
def test_a_serverless_endpoint_has_limits_and_no_instances(
    config_text: str, compute: str, problem: str
) -> None:
    assert any(problem in each for each in problems(with_compute(config_text, "serve", compute)))


@pytest.mark.parametrize(
    ("compute", "problem"),
    [
        ("{autoscaling: {invocations_per_instance: 5}}", "serve.compute.autoscaling.max"),
        ("{autoscaling: {max: 2}}", "serve.compute.autoscaling.invocations_per_instance"),
        (
            "{instance_count: 3, autoscaling: {max: 2, invocations_per_instance: 5}}",
            "serve.compute.instance_count is 3",
        ),
        (
            "{autoscaling: {min: 2, max: 4, invocations_per_instance: 5}}",
            "serve.compute.instance_count is 1",
        ),
        (
            "{serverless: {}, autoscaling: {max: 2, invocations_per_instance: 5}}",
            "serve.compute.autoscaling is given beside serverless",
        ),
    ],
)
def test_instances_begin_within_the_limits_that_they_are_scaled_in(
    config_text: str, compute: str, problem: str
) -> None:
    found = problems(with_compute(config_text, "serve", compute))
    assert any(problem in each for each in found), found


def test_a_canary_needs_two_instances_at_any_time(config_text: str) -> None:
    import yaml

    scaled = "{instance_count: 2, autoscaling: {min: %d, max: 4, invocations_per_instance: 5}}"
    document = yaml.safe_load(with_compute(config_text, "serve", scaled % 2))
    canary = {"type": "canary", "percent": 10}
    document["release"]["stages"] = [{"name": "production", "traffic": canary}]
    assert config.load(yaml.safe_dump(document)).serve.compute.autoscaling
    document["serve"]["compute"]["autoscaling"]["min"] = 1
    found = problems(yaml.safe_dump(document))
    assert any("serve.compute.autoscaling.min of at least 2" in each for each in found), found


def serverless(config_text: str, traffic: str) -> str:
    """The config with a serverless endpoint, and such traffic on its one stage."""
    import yaml

    document = yaml.safe_load(config_text)
    document["serve"]["compute"] = {"serverless": {"memory_mb": 6144, "max_concurrency": 200}}
    document["release"]["stages"] = [{"name": "production", "traffic": yaml.safe_load(traffic)}]
    return str(yaml.safe_dump(document))


def test_a_serverless_endpoint_has_no_canary(config_text: str) -> None:
    assert config.load(serverless(config_text, "{type: all_at_once}")).serve.compute.serverless
    canary = problems(serverless(config_text, "{type: canary, percent: 10}"))
    assert any("is canary of a serverless endpoint" in each for each in canary)


def test_of_a_serverless_endpoint_the_script_captures(config_text: str) -> None:
    text = serverless(config_text, "{type: all_at_once}")
    watched = problems(text + "\nmonitor: {}\n")
    assert any("monitor.capture is endpoint beside serve.compute.serverless" in each for each in watched)
    monitor = config.load(text + "\nmonitor: {capture: script}\n").monitor
    assert monitor is not None
    assert monitor.capture == "script"


def test_alarms_of_ones_own_guard_no_serverless_endpoint(config_text: str) -> None:
    import yaml

    document = yaml.safe_load(serverless(config_text, "{type: all_at_once}"))
    document["release"]["stages"][0]["alarms"] = ["refunds"]
    assert any("are given for a serverless endpoint" in each for each in problems(yaml.safe_dump(document)))


def test_batch_has_instances_and_limits_but_neither_autoscaling_nor_serverless(config_text: str) -> None:
    given = "{batch: {max_payload_mb: 20, max_concurrency: 5}}"
    text = with_compute(config_text, "serve", given).replace("percent: 10", "percent: null")
    text = text.replace("type: canary", "type: all_at_once")
    assert config.load(text).serve.compute.batch is not None
    for old, new, said in [
        ("compute:\n    batch:", "compute:\n    serverless: {}\n    batch:", "serve.compute.serverless"),
        ("max_concurrency: 5", "max_concurrency: 6", "serve.compute.batch.max_concurrency"),
        ("type: all_at_once", "type: canary", "release.stages[1].traffic.type"),
        ("name: reviews-sentiment", "monitor: {capture: script}\nname: reviews-sentiment", "monitor.capture"),
        ("name: reviews-sentiment", "name: batch", "name"),
        (
            "- name: staging",
            "- name: staging\n    alarms: [mine]",
            "release.stages[0].alarms are given beside",
        ),
    ]:
        assert old in text
        assert any(said in problem for problem in problems(text.replace(old, new, 1))), said


def shadowed(config_text: str, monitor: str | None, **serve: object) -> str:
    """The config with a shadow on its one stage."""
    import yaml

    document = yaml.safe_load(config_text)
    document["serve"]["compute"] = serve
    document["release"]["stages"] = [{"name": "production", "shadow": {"percent": 50}}]
    if monitor:
        document["monitor"] = {"capture": monitor}
    return str(yaml.safe_dump(document))


def test_a_shadow_has_instances_and_answers_that_can_be_compared(config_text: str) -> None:
    shadow = config.load(shadowed(config_text, "endpoint")).release.stages[0].shadow
    assert shadow is not None
    assert (shadow.percent, shadow.bake_s, shadow.min_agreement) == (50, 600, 0.9)
    for monitor in (None, "script"):
        found = problems(shadowed(config_text, monitor))
        assert any("shadow has nothing to compare answers by" in each for each in found), found
    found = problems(shadowed(config_text, "script", serverless={}))
    assert any("shadow is given for a serverless endpoint" in each for each in found), found
    found = problems(shadowed(config_text, None, batch={}))
    assert any("shadow is given beside serve.compute.batch" in each for each in found), found
