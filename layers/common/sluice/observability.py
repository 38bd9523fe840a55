"""The logger of all functions. Never log an event, a row or a token.

Each line names the run, model and release that its event is about: one search finds all that happened to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger

# Where events of state machines, of our own and of AWS name what they are about; the name in the log.
_IDS = {
    "pipeline": "pipeline",
    "run_id": "run_id",
    "release_id": "release_id",
    "stage": "stage",
    "step": "step",
    "package_arn": "model_package_arn",
    "ModelPackageArn": "model_package_arn",
    "EndpointName": "endpoint_name",
    "alarmName": "alarm_name",
}
_WITHIN = ("detail", "release")


def ids(event: Any) -> dict[str, str]:
    """Return the names of what an event is about; nothing else of it."""
    if not isinstance(event, Mapping):
        return {}
    places = [event, *(event[name] for name in _WITHIN if isinstance(event.get(name), Mapping))]
    return {
        called: place[name]
        for place in places
        for name, called in _IDS.items()
        if isinstance(place.get(name), str)
    }


class EventLogger(Logger):
    """Powertools' logger, which also names what an event is about."""

    def inject_lambda_context(self, lambda_handler: Any = None, *args: Any, **options: Any) -> Any:
        if lambda_handler is None:
            return lambda handler: self.inject_lambda_context(handler, *args, **options)

        @wraps(lambda_handler)
        def naming(event: Any, context: Any, *given: Any, **named: Any) -> Any:
            self.append_keys(**ids(event))
            return lambda_handler(event, context, *given, **named)

        inject: Callable[..., Any] = super().inject_lambda_context
        return inject(naming, *args, **options)


# By its base's name: the types of its decorator are those of the base.
logger: Logger = EventLogger(service="sluice", utc=True)
