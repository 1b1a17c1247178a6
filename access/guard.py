"""The gate in front of every route: each declares the action it needs, or that it is public."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.params import Depends as Dependency
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase
from fastapi.staticfiles import StaticFiles
from starlette.routing import BaseRoute

from access.problems import Problem
from access.roles import Action
from access.tokens import IssuerAway, Principal, Tokens, Unauthenticated

SESSION_COOKIE = "bayledger_session"
"""Carries the token of somebody who uses the web pages; set it HttpOnly and SameSite."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_bearer = HTTPBearer(auto_error=False, description="A token of the configured issuer.")


async def _themselves(_: Request, principal: Principal) -> Principal:
    return principal


@dataclass(frozen=True)
class Needs(SecurityBase):
    """Lets a request through whose principal may do `action`, and yields what `made_of` makes of the two.

    The token is read here, not by a dependency of its own: FastAPI takes longer over each than we over all.
    """

    action: Action
    made_of: Callable[[Request, Principal], Awaitable[Any]] = _themselves

    model = _bearer.model
    scheme_name = _bearer.scheme_name

    async def __call__(self, request: Request) -> Any:
        return await self.made_of(request, await self._principal(request))

    async def _principal(self, request: Request) -> Principal:
        if bearer := await _bearer(request):
            token = bearer.credentials
        elif SESSION_COOKIE in request.cookies:
            same_origin(request)
            token = request.cookies[SESSION_COOKIE]
        else:
            raise _who_are_you("This needs a token; please sign in, or send one as `Authorization: Bearer`.")
        tokens: Tokens = request.app.state.tokens
        try:
            principal = await tokens.verify(token)
        except Unauthenticated as why:
            raise _who_are_you(str(why), error="invalid_token") from None
        except IssuerAway:
            raise Problem(
                503,
                "Nobody can be recognised: the issuer's keys cannot be read.",
                headers={"Retry-After": "10"},
            ) from None
        if not principal.may(self.action):
            raise role_lacks(principal, self.action)
        return principal


def role_lacks(principal: Principal, action: Action) -> Problem:
    role = principal.role.replace("_", " ")
    return Problem(403, f"The role {role} does not include {action}.")


def needs(
    action: Action, made_of: Callable[[Request, Principal], Awaitable[Any]] = _themselves
) -> Dependency:
    """Declares what a route needs: `dependencies=[needs(…)]`, or `who: Annotated[Principal, needs(…)]`; with
    `made_of`, the route gets what that makes of the request and its principal.

    The token comes as `Authorization: Bearer` or in the session cookie. Answers 401 to nobody we know,
    403 to a role without the action, 503 while the issuer is away. Where the object is at a site, the
    route itself compares it with `who.at(site)` and answers `missing()`.
    """
    return Dependency(Needs(action, made_of))


async def _nothing_needed() -> None: ...


public = Dependency(_nothing_needed)
"""Declares a route that anybody may call."""


def same_origin(request: Request) -> None:
    """Refuses a change that another's page sends with our cookie; a dependency of the login, too."""
    if request.method in _SAFE_METHODS:
        return
    fetched_from = request.headers.get("sec-fetch-site")
    if fetched_from is None:
        origin = urlsplit(request.headers.get("origin", "")).netloc
        fetched_from = "same-origin" if origin and origin == request.headers.get("host") else "unknown"
    if fetched_from != "same-origin":
        raise Problem(403, "This request did not come from our own pages.")


def _who_are_you(sentence: str, error: str | None = None) -> Problem:
    challenge = 'Bearer realm="bayledger"' + (f', error="{error}"' if error else "")
    return Problem(401, sentence, headers={"WWW-Authenticate": challenge})


def undeclared_routes(app: FastAPI) -> list[str]:
    """The routes of `app`, and of all it includes or mounts, that declare neither an action nor `public`.

    Plain files and FastAPI's own description of the API (`/openapi.json`, `/docs`) count as public.
    """
    return list(_undeclared(app.routes, ""))


def _undeclared(routes: list[BaseRoute], prefix: str) -> Iterator[str]:
    for route in iter_route_contexts(routes):
        path = prefix + (route.path or "")
        mounted = getattr(route, "app", None)
        if isinstance(mounted, StaticFiles) or _describes_the_api(route.endpoint):
            continue
        if inner := getattr(mounted, "routes", None):
            yield from _undeclared(inner, path)
        elif not _declares(getattr(route, "dependant", None)):
            yield path


def _describes_the_api(endpoint: object) -> bool:
    return getattr(endpoint, "__module__", "").partition(".")[0] in {"fastapi", "fastapi_offline"}


def _declares(dependant: Dependant | None) -> bool:
    return dependant is not None and (
        isinstance(dependant.call, Needs)
        or dependant.call is _nothing_needed
        or any(_declares(each) for each in dependant.dependencies)
    )
