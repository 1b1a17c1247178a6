"""A command in order does not go FastAPI's way: nothing that FastAPI would have asked may be missing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.responses import Response

from access.guard import Needs
from access.roles import Action
from ops.serving import create_apps
from services.commands_over_http import Body, Caller, CommandRouter, commanding
from tests.api.conftest import Somebody
from tests.api.test_access import BODIES
from tests.nowhere import settings_of_nobody

SERVICES = ("reception", "workshop", "customer-care")
LONG_WAY = {
    "/v1/links/{link}/complaint",
    "/v1/approvals/{link}/approve",
    "/v1/approvals/{link}/decline",
}
"""Commands of people without a token: they are no commands of a CommandRouter."""


def commands(app: FastAPI) -> Iterator[Any]:
    for route in iter_route_contexts(app.routes):
        if "POST" in (route.methods or ()):
            yield route


@pytest.fixture
def apps(tmp_path: Path) -> dict[str, FastAPI]:
    return create_apps(settings_of_nobody(tmp_path), SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_a_command_depends_on_its_caller_alone(apps: dict[str, FastAPI], service: str) -> None:
    """Wherever its router is included: the short way would not ask anything else."""
    found = [
        [type(each.call) for each in route.dependant.dependencies]
        for route in commands(apps[service])
        if route.path not in LONG_WAY
    ]
    assert len(found) >= 2
    assert found == [[Needs]] * len(found)


def test_a_dependency_of_an_inclusion_would_show() -> None:
    """The control of the test above."""

    async def somebody_must_ask() -> None: ...

    router, app = CommandRouter(), FastAPI()

    @router.command("/close")
    async def close(body: Body, caller: Annotated[Caller, commanding(Action.VISIT_RECEIVE)]) -> Response:
        return Response()

    app.include_router(router, dependencies=[Depends(somebody_must_ask)])
    [route] = commands(app)
    assert {each.call for each in route.dependant.dependencies} > {somebody_must_ask}


@pytest.mark.parametrize("dependencies", [[], [Depends(lambda: None), commanding(Action.VISIT_RECEIVE)]])
def test_a_command_that_depends_on_anything_else_is_no_route(dependencies: list[Any]) -> None:
    async def close(body: Body) -> Response:
        return Response()

    with pytest.raises(TypeError, match="must depend on its Caller"):
        CommandRouter(dependencies=dependencies).command("/close")(close)


async def test_a_command_is_the_same_whichever_way_it_goes(somebody: Callable[..., Somebody]) -> None:
    """FastAPI reads what says more of its body than that it is JSON."""
    advisor = somebody()
    short, long = [
        await advisor.send(
            "/reception/v1/visits",
            BODIES["visits"],
            headers={"Idempotency-Key": "received", "Content-Type": content_type},
        )
        for content_type in ("application/json", "application/json; charset=utf-8")
    ]
    assert (short.status_code, long.status_code) == (201, 201)
    assert short.json() == long.json()
    assert len(await advisor.recorded()) == 1
