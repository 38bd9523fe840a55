"""Where a notice's commands and links lead to: a stack in a region."""

from __future__ import annotations

from urllib.parse import quote

from sluice.domain.locations import bucket_and_key
from sluice.lazy import dataclass

_DEFAULT_STACK = "sluice"
_DOMAINS = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


@dataclass(frozen=True, slots=True)
class Place:
    """A stack in a region of AWS."""

    stack: str
    region: str

    def command(self, words: str) -> str:
        """Return a command that runs as it stands: another stack than the usual one is named."""
        named = "" if self.stack == _DEFAULT_STACK else f"--stack {self.stack} "
        return f"sluice {named}{words}"

    def shortest(self, command: str) -> str:
        """Return a command with the name of its stack left out, if that is the usual one's."""
        return command.replace(f"sluice --stack {_DEFAULT_STACK} ", "sluice ", 1)

    def execution(self, arn: str | None) -> str | None:
        return self._page("states", f"#/v2/executions/details/{quote(arn, safe=':')}") if arn else None

    def alarm(self, name: str) -> str:
        return self._page("cloudwatch", f"#alarmsV2:alarm/{quote(name, safe='')}")

    def endpoint(self, name: str | None) -> str | None:
        return self._page("sagemaker", f"#/endpoints/{quote(name, safe='')}") if name else None

    def object(self, uri: str | None) -> str | None:
        """Return the page of an object in S3."""
        if not uri or not uri.startswith("s3://"):
            return None
        bucket, key = bucket_and_key(uri)
        return f"{self._console}/s3/object/{bucket}?region={self.region}&prefix={quote(key, safe='/')}"

    def _page(self, service: str, fragment: str) -> str:
        return f"{self._console}/{service}/home?region={self.region}{fragment}"

    @property
    def _console(self) -> str:
        found = (domain for begins, domain in _DOMAINS.items() if self.region.startswith(begins))
        return f"https://{self.region}.{next(found, 'console.aws.amazon.com')}"
