"""Post a notice to a webhook; the queue asks again if that fails, and keeps what fails for good."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.domain.notices.webhooks import WebhookError
from sluice.events import PostNotice, PostNoticeBatch, event_parser
from sluice.observability import logger
from sluice.services import telling


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=PostNoticeBatch)
def lambda_handler(batch: PostNoticeBatch, context: LambdaContext) -> dict[str, Any]:
    cloud, failed = wiring.cloud(), []
    for message in batch.records:
        asked = PostNotice.model_validate_json(message.body)
        try:
            telling.post(cloud, asked.key, asked.channel)
        except WebhookError as error:
            logger.warning("not posted", extra={"channel": asked.channel, "reason": str(error)})
            failed.append({"itemIdentifier": message.message_id})
    return {"batchItemFailures": failed}
