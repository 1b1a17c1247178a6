"""Commands about a visit that are posted in the same way: a table says which there are."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from access.roles import Action
from eventlog.store import EventStore
from services.commands_over_http import Body, Caller, CommandRouter, answer, commanding
from services.reception.commands import AboutVisit, Command
from services.reception.rules import rules_of
from services.reception.visit import visit_decider, visit_stream

VisitId = Annotated[str, Path(pattern="^[0-9a-f]{20}$")]


@dataclass(frozen=True, slots=True)
class Step:
    """A command about a visit: where it is posted, who may, and what it becomes."""

    path: str
    action: Action
    body: type[Body]
    command: type[AboutVisit]
    summary: str


def add_steps(router: CommandRouter, reception: EventStore, steps: Iterable[Step]) -> None:
    def add(step: Step) -> None:
        async def post(
            visit_id: VisitId,
            body: step.body,  # type: ignore[name-defined]
            caller: Annotated[Caller, commanding(step.action)],
        ) -> Response:
            fields = body.model_dump(exclude={"occurred_at"})
            at = at_of(body) if "at" in step.command.model_fields else None
            command = step.command(visit_id=visit_id, **fields, **({"at": at} if at else {}))
            return await give(reception, command, body, caller, at)  # type: ignore[arg-type]

        name = step.path.replace("-", " ").replace("/", " ")
        router.command(f"/{step.path}", name=name, description=step.summary)(post)

    for step in steps:
        add(step)


async def give(
    reception: EventStore, command: Command, body: Body, caller: Caller, at: datetime | None = None
) -> Response:
    metadata = caller.metadata(command.visit_id, body)
    handled = await reception.handle(
        visit_decider(caller.principal.actor, await rules_of(reception, caller.site)),
        visit_stream(command.visit_id),
        command,
        # What is judged by a time carries that very time.
        replace(metadata, occurred_at=at) if at else metadata,
        expected_version=caller.expected_version,
    )
    return answer(reception.source, command.visit_id, handled)


def at_of(body: Body) -> datetime:
    return body.occurred_at or datetime.now(UTC)
