"""How people further up learn that they are to act: by webhook and by e-mail, as configured.

A message names the complaint and what is late, never a person. Each is sent under an id that stays the same
when it has to be sent again, so that whoever receives it twice can tell.
"""

import asyncio
import base64
import hmac
import smtplib
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

import httpx2
import orjson
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from events.customer_care import Escalated
from events.rulebook import Level

PATIENCE = 5.0
"""Seconds for a channel to accept a message."""


class NotDelivered(Exception):
    """The channel did not accept the message; it is sent again later."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one escalation says to one level."""

    id: str
    """Of the escalation's event."""
    at: datetime
    site: str
    escalated: Escalated

    def body(self) -> bytes:
        """As a webhook carries it."""
        return orjson.dumps(
            {
                "type": "complaint.escalated",
                "timestamp": self.at,
                "data": {"site": self.site, **self.escalated.model_dump(mode="json", exclude_none=True)},
            }
        )

    def text(self) -> str:
        """For people, in both languages."""
        what = self.escalated
        if what.due_at is None:
            return (
                f"投诉 {what.complaint_id}（{self.site}）为重大投诉，请立即处理。\n"
                f"Complaint {what.complaint_id} at {self.site} is passed to you at once.\n"
            )
        due = f"{what.due_at:%Y-%m-%d %H:%M} UTC"
        return (
            f"投诉 {what.complaint_id}（{self.site}）已超过 {due} 的时限：{what.step}（{what.rule}）。\n"
            f"Complaint {what.complaint_id} at {self.site}: {what.step} was due at {due} ({what.rule}).\n"
        )


class _Channel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern="^[a-z0-9-]{1,40}$")]
    """In the log; it must not change."""
    since: AwareDatetime
    """Escalations before then are not sent."""
    levels: tuple[Level, ...] = ("advisor", "department_manager", "general_manager", "region")
    sites: tuple[str, ...] = ()
    """Empty for all."""

    def takes(self, message: Message) -> bool:
        return (
            message.at >= self.since
            and message.escalated.level in self.levels
            and (not self.sites or message.site in self.sites)
        )


class Webhook(_Channel):
    """A POST signed as Standard Webhooks says."""

    kind: Literal["webhook"]
    url: Annotated[str, Field(pattern="^https?://")]
    secret: Annotated[str, Field(pattern="^whsec_[A-Za-z0-9+/]+=*$")]

    async def send(self, message: Message) -> None:
        """Raises NotDelivered."""
        body = message.body()
        try:
            async with httpx2.AsyncClient(timeout=PATIENCE) as client:
                headers = signed(self.secret, message.id, int(time.time()), body)
                answer = await client.post(self.url, content=body, headers=headers)
        except httpx2.HTTPError as why:
            raise NotDelivered(f"{self.name} cannot be reached: {why}") from why
        if not answer.is_success:
            raise NotDelivered(f"{self.name} answered {answer.status_code}")


class Email(_Channel):
    """A mail to the people of a level."""

    kind: Literal["email"]
    host: str
    port: int = 25
    sender: str
    to: dict[Level, tuple[str, ...]]
    security: Literal["none", "starttls", "tls"] = "starttls"
    user: str | None = None
    password: str | None = None

    @model_validator(mode="after")
    def _reaches_somebody(self) -> Self:
        if not any(self.to.values()):
            raise ValueError("an e-mail channel needs somebody to write to")
        return self

    def takes(self, message: Message) -> bool:
        return super().takes(message) and bool(self.to.get(message.escalated.level))

    async def send(self, message: Message) -> None:
        """Raises NotDelivered."""
        mail = EmailMessage()
        mail["Message-ID"] = f"<{message.id.replace('@', '.')}@bayledger>"
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.to[message.escalated.level])
        mail["Subject"] = f"投诉升级 Complaint escalated: {message.escalated.complaint_id}"
        mail.set_content(message.text())
        try:
            await asyncio.to_thread(self._deliver, mail)
        except (OSError, smtplib.SMTPException) as why:
            raise NotDelivered(f"{self.name} cannot be reached: {why}") from why

    def _deliver(self, mail: EmailMessage) -> None:
        connect = smtplib.SMTP_SSL if self.security == "tls" else smtplib.SMTP
        with connect(self.host, self.port, timeout=PATIENCE) as server:
            if self.security == "starttls":
                server.starttls()
            if self.user and self.password:
                server.login(self.user, self.password)
            server.send_message(mail)


Channel: TypeAlias = Annotated[Webhook | Email, Field(discriminator="kind")]


def load_channels(path: Path | None) -> Sequence[Webhook | Email]:
    """The channels of a TOML file; none without one. Raises ValueError with one sentence."""
    if path is None:
        return ()
    try:
        found = tomllib.loads(path.read_text("utf-8")).get("channel", [])
        channels: list[Webhook | Email] = TypeAdapter(list[Channel]).validate_python(found)
    except ValidationError as why:
        # Without what was written there: it may be a password.
        first = why.errors(include_input=False, include_context=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"the notifications of {path} cannot be used: {place}: {first['msg']}") from None
    except (OSError, tomllib.TOMLDecodeError) as why:
        raise ValueError(f"the notifications of {path} cannot be used: {why}") from None
    names = [channel.name for channel in channels]
    if len(set(names)) < len(names):
        raise ValueError(f"the notifications of {path} name a channel twice")
    return channels


def signed(secret: str, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0: HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, "sha256")
    return {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
