"""Tell people of what happened: one message for each thing, with what to do next."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.domain.notices import making
from sluice.domain.notices.making import Told
from sluice.domain.notices.place import Place
from sluice.events import Happening, event_parser
from sluice.observability import logger
from sluice.services import hearing, telling


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=Happening)
def lambda_handler(event: Happening, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    place = Place(cloud.stack_name, cloud.region)
    notice = making.notice_of(Told(event.detail_type, event.detail, event.time, place))
    told = telling.tell(cloud, notice) if notice else None
    hearing.hear(cloud, "send_notice", event.detail_type, event.detail)
    if notice is None:
        return {"status": "nothing to tell"}
    logger.info("notice", extra={"kind": notice.kind, "key": notice.key, "told": told is not None})
    return {"status": "told" if told else "known", "key": notice.key}
