"""Messages to people further up, over a real web server and a real mail server."""

import asyncio
import base64
import hmac
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiosmtpd.controller import Controller

from events.customer_care import Escalated
from ops.processes import LOOPBACK, usable_port
from services.customer_care.notifications import Email, Message, NotDelivered, Webhook, load_channels, signed
from tests.customer_care.conftest import SECRET, SINCE, Server, webhook

message = Message(
    id="complaint-C1@7",
    at=datetime(2026, 3, 3, 4, 0, tzinfo=UTC),
    site="sh01",
    escalated=Escalated(
        complaint_id="C1",
        level="general_manager",
        rule="C-22.contact",
        step="first_contact",
        due_at=datetime(2026, 3, 3, 3, 0, tzinfo=UTC),
    ),
)


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    """The example of the specification."""
    body = b'{"test": 2432232314}'
    headers = signed(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_webhook_is_signed_and_names_no_person(web: Server) -> None:
    await webhook(web.url).send(message)
    [(headers, body)] = web.got
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.digest(base64.b64decode(SECRET.removeprefix("whsec_")), content, "sha256")
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert headers["webhook-id"] == "complaint-C1@7"
    assert orjson.loads(body)["data"] == {
        "site": "sh01",
        "complaint_id": "C1",
        "level": "general_manager",
        "rule": "C-22.contact",
        "step": "first_contact",
        "due_at": "2026-03-03T03:00:00Z",
    }


@pytest.mark.parametrize("answer", [301, 400, 404, 410, 500, 503])
async def test_a_webhook_that_is_refused_is_not_delivered(web: Server, answer: int) -> None:
    web.answer = answer
    with pytest.raises(NotDelivered, match=f"hook answered {answer}"):
        await webhook(web.url).send(message)


async def test_a_webhook_nobody_listens_to_is_not_delivered() -> None:
    with pytest.raises(NotDelivered, match="hook cannot be reached"):
        await webhook(f"http://{LOOPBACK}:{usable_port(0)}/").send(message)


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


def email(port: int) -> Email:
    return Email.model_validate(
        {
            "kind": "email",
            "name": "mail",
            "since": SINCE,
            "host": LOOPBACK,
            "port": port,
            "sender": "care@example.com",
            "to": {"general_manager": ["gm@example.com", "deputy@example.com"]},
            "security": "none",
        }
    )


async def test_a_mail_reaches_the_people_of_its_level() -> None:
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname=LOOPBACK, port=usable_port(0))
    await asyncio.to_thread(controller.start)
    try:
        await email(controller.port).send(message)
    finally:
        await asyncio.to_thread(controller.stop)
    [(to, content)] = mailbox.mails
    assert to == ["gm@example.com", "deputy@example.com"]
    assert "Message-ID: <complaint-C1.7@bayledger>" in content


async def test_a_mail_nobody_takes_is_not_delivered() -> None:
    with pytest.raises(NotDelivered, match="mail cannot be reached"):
        await email(usable_port(0)).send(message)


def test_a_text_is_in_both_languages_and_says_what_is_late() -> None:
    assert "first_contact was due at 2026-03-03 03:00 UTC (C-22.contact)" in message.text()
    assert "已超过" in message.text()


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({}, True),
        ({"levels": ["region"]}, False),
        ({"sites": ["hz01"]}, False),
        ({"sites": ["sh01"]}, True),
        ({"since": datetime(2026, 3, 4, tzinfo=UTC)}, False),
    ],
)
def test_a_channel_takes_what_it_is_configured_for(change: dict[str, Any], taken: bool) -> None:
    channel = Webhook.model_validate(webhook("http://127.0.0.1/").model_dump() | change)
    assert channel.takes(message) is taken


def test_the_example_can_be_used() -> None:
    example = Path(__file__).parents[2] / "deploy" / "notifications" / "channels.example.toml"
    assert [channel.kind for channel in load_channels(example)] == ["webhook", "email"]


def test_channels_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "notifications.toml"
    lines = [
        'kind = "webhook"',
        'name = "hook"',
        "since = 2026-01-01T00:00:00Z",
        'url = "https://x.example/"',
    ]
    one = "\n".join(["[[channel]]", *lines, f'secret = "{SECRET}"\n'])
    file.write_text(one)
    assert [channel.name for channel in load_channels(file)] == ["hook"]
    assert load_channels(None) == ()
    for wrong in (one + one, one.replace("https", "ftp"), one.replace("webhook", "pigeon"), "[[channel"):
        file.write_text(wrong)
        with pytest.raises(ValueError, match="the notifications of"):
            load_channels(file)
    with pytest.raises(ValueError, match="cannot be used"):
        load_channels(tmp_path / "missing.toml")


def test_a_slip_in_the_file_tells_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "notifications.toml"
    file.write_text(
        '[[channel]]\nkind = "email"\nname = "mail"\nhost = "x"\nsender = "y"\npassword = "hunter2"\n'
    )
    with pytest.raises(ValueError, match="the notifications of") as refused:
        load_channels(file)
    assert "hunter2" not in str(refused.value)
    file.write_text('[[channel]]\nkind = "webhook"\nname = "hook"\nsecret = "hunter2"\n')
    with pytest.raises(ValueError, match="the notifications of") as refused:
        load_channels(file)
    assert "hunter2" not in str(refused.value)
