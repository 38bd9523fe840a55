"""A webhook leads over TLS to its product, or to a host that the account states; no error says where."""

from __future__ import annotations

import pytest

from sluice.catalog.records.notices import Channel
from sluice.domain.notices.webhooks import Address, WebhookError, address

SLACK = "https://hooks.slack.com/services/T0/B0/s3cret"
WORKFLOW = (
    "https://default1.5f.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/1/"
    "triggers/manual/paths/invoke?api-version=1&sig=s3cret"
)


@pytest.mark.parametrize(
    ("secret", "channel", "host"),
    [
        (SLACK, "slack", "hooks.slack.com"),
        (f'  {{"url": "{SLACK}"}}\n', "slack", "hooks.slack.com"),
        (WORKFLOW, "teams", "default1.5f.environment.api.powerplatform.com"),
        (
            "https://prod-1.westeurope.logic.azure.com:443/workflows/s3cret",
            "teams",
            "prod-1.westeurope.logic.azure.com",
        ),
    ],
)
def test_addresses_of_the_products_are_taken(secret: str, channel: Channel, host: str) -> None:
    found = address(secret, channel)
    assert (found.host, found.port) == (host, 443)
    assert "s3cret" in found.path


@pytest.mark.parametrize(
    "secret",
    [
        "http://hooks.slack.com/services/s3cret",
        "https://hooks.slack.com.evil.example/s3cret",
        "https://evilhooks.slack.com/s3cret",
        "https://hooks.slack.com:8443/s3cret",
        "https://hooks.slack.com:x/s3cret",
        "https://s3cret@hooks.slack.com/s3cret",
        "https://169.254.169.254/s3cret",
        "https://localhost/s3cret",
        "https:///s3cret",
        "https://[::1/s3cret",
        "s3cret",
        '{"uri": "s3cret"}',
        "{s3cret",
        "",
    ],
)
def test_all_others_are_refused_without_a_word_of_the_secret(secret: str) -> None:
    with pytest.raises(WebhookError) as error:
        address(secret, "slack")
    assert "s3cret" not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_the_host_of_one_product_is_none_of_another() -> None:
    with pytest.raises(WebhookError, match="WebhookHosts"):
        address(SLACK, "teams")


@pytest.mark.parametrize("stated", ["chat.example.org:8443", "Chat.Example.org:8443"])
def test_a_host_that_the_account_states_is_taken_with_its_port(stated: str) -> None:
    found = address("https://chat.example.org:8443/hooks/1", "slack", [stated])
    assert found == Address("chat.example.org", 8443, "/hooks/1")
    with pytest.raises(WebhookError):
        address("https://chat.example.org/hooks/1", "slack", [stated])
