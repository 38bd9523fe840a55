"""Answer with what the layer says."""

import shared


def handler(event, context):
    return {"layer": shared.NAME, "event": event}
