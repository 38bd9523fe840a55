"""Say how a stage's endpoint differs from what was released to it, however that came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.domain.release import serving

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Deployment, Stage
    from sluice.domain.release.serving import Serving

_GONE, _BROKEN = "deleting", ("failed", "outofservice", "updaterollbackfailed")
_CHANGING = ("creating", "updating", "systemupdating", "rollingback")


def is_changing(endpoint: Mapping[str, Any] | None) -> bool:
    """Tell whether the endpoint is on its way to something: what it serves then is no answer yet."""
    return endpoint is not None and serving.status(endpoint["EndpointStatus"]) in _CHANGING


def state_fault(endpoint: Mapping[str, Any] | None, name: str) -> str | None:
    """Say so if an endpoint serves nothing at all."""
    state = serving.status(endpoint["EndpointStatus"]) if endpoint else None
    if endpoint is None or state == _GONE:
        return f"the endpoint {name} {'is being deleted' if endpoint else 'does not exist'}"
    if state in _BROKEN:
        why = endpoint.get("FailureReason") or "SageMaker gives no reason"
        return f"the endpoint is {endpoint['EndpointStatus']}: {why}"
    return None


def config_fault(found: str, live: Deployment, served: Deployment | None) -> str:
    """Say what the endpoint serves in place of the live release: an earlier one, or what nobody released."""
    wanted = f"{live.endpoint_config_name} of v{live.package_version}"
    if served is None:
        return f"it serves the config {found}, which no release made, not {wanted}"
    return f"it serves v{served.package_version} again, by the config {found}, not {wanted}"


def content_faults(
    found: Serving, live: Deployment, image_digest: str | None, model_sha256: str | None
) -> list[str]:
    """Compare what lies behind the right config's name: a config or a model can be deleted and made anew."""
    if found.endpoint is None:
        return []
    faults = _variant_faults(found.endpoint)
    if image_digest:
        running = serving.resolved_digests(found.endpoint)
        faults += [f"an image {each} runs, not {image_digest}" for each in running if each != image_digest]
    if found.config is None:
        return [
            *faults,
            f"its config {live.endpoint_config_name} was deleted: it serves on, but cannot scale",
        ]
    names = [str(variant.get("ModelName")) for variant in found.config["ProductionVariants"]]
    if names != [live.model_name]:
        return [*faults, f"its config names the model {', '.join(names)}, not {live.model_name}"]
    if found.model is None:
        return [*faults, f"its model {live.model_name} was deleted: it serves on, but cannot scale"]
    return faults + _archive_faults(found.model, model_sha256)


def model_faults(model: Mapping[str, Any] | None, live: Deployment, model_sha256: str | None) -> list[str]:
    """Say how the model that transforms use differs from what was released."""
    if model is None:
        return [f"its model {live.model_name} was deleted: no transform can use it"]
    return _archive_faults(model, model_sha256)


def _archive_faults(model: Mapping[str, Any], model_sha256: str | None) -> list[str]:
    data = str(model.get("PrimaryContainer", {}).get("ModelDataUrl"))
    if model_sha256 and f"/{model_sha256}/" not in data:
        return [f"its model is {data}, not the archive {model_sha256[:12]} that was approved"]
    return []


def _variant_faults(endpoint: Mapping[str, Any]) -> list[str]:
    names = [variant["VariantName"] for variant in endpoint.get("ProductionVariants", ())]
    return (
        [] if names == [serving.VARIANT] else [f"its variants are {', '.join(names)}, not {serving.VARIANT}"]
    )


def is_news(stage: Stage, faults: Sequence[str]) -> bool:
    """Tell whether these faults are not yet on record, or on record but not yet told."""
    return stage.known_faults != list(faults) or stage.has_untold


def status_of_hint(endpoint: Mapping[str, Any] | None) -> str:
    """Return the status that a hint names: the rule leaves out that an endpoint is going, as AWS tells it."""
    if endpoint is None or serving.status(endpoint["EndpointStatus"]) == _GONE:
        return "DELETED"
    return str(endpoint["EndpointStatus"])
