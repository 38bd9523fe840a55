"""Tell before an upload which images the local cloud lacks: a job would tell it only minutes later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.domain.config import PipelineConfig
from sluice_cli.errors import CommandError
from sluice_cli.target import Target

if TYPE_CHECKING:
    from sluice.domain.build.sdk.definitions import Definition


def require(target: Target, config: PipelineConfig, definition: Definition | None = None) -> None:
    """Raise CommandError if the target is the local cloud and a step's image does not exist there.

    The definition is that of the pipeline of SageMaker that builds run.
    """
    if not target.is_local:
        return
    # Import it here: no other command needs it, and AWS has no local cloud.
    from sluice.containers import packages
    from sluice.domain.build.sdk import definitions
    from sluice_local.sagemaker.containers import images

    uris = config.image_uris(target.session.region_name or "")
    for step, uri in {**uris, **(definitions.images(definition) if definition else {})}.items():
        try:
            images.lock_file(uri)
        except images.ImageError:
            image, there_are = uri.rpartition("/")[2], ", ".join(packages.names())
            raise CommandError(
                f"the local cloud has no image {image}, which {step} needs; it has {there_are}",
                hint="Name one of these in pipeline.yaml, push to AWS (`sluice --aws push`), or add its "
                "packages as docs/local-cloud.md says.",
            ) from None
