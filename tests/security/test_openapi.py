"""What the OpenAPI documents promise holds for good, odd and wrong requests to every route."""

from collections.abc import Callable
from functools import cache
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from access.roles import MAY, Role
from tests.api.test_access import BODIES, NEEDS, PUBLIC
from tests.journeys.story import Visit
from tests.system import Running

EXAMPLES = 10
"""Requests of each kind for each route."""
STREAMS = 2
"""The same for each route that streams: who asks there listens until the time is over."""
SITE = "fuzz01"
PROMISES = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
ROUTES = [(app, route) for app, routes in NEEDS.items() for route in routes]


@pytest.fixture(scope="module")
async def things(running: Running) -> dict[str, str]:
    """What there is at the site, by the name of the path's parameter."""
    order = await (await (await Visit(running, SITE).received()).dispatched()).repair_added(line=2)
    raised = await running.post("/customer-care/v1/complaints", BODIES["complaints"], "care_agent", SITE)
    path = f"/v1/complaints/{raised['id']}/timeline"
    complaint = await running.get(path, "care_agent", SITE, min_position=raised["position"])
    link = await running.post("/customer-care/v1/links", BODIES["links"], "advisor", SITE)
    return {
        "link": link["path"].rpartition("/")[2],
        "visit_id": order.id,
        "work_order_id": order.id,
        "complaint_id": raised["id"],
        "customer": complaint.json()["customer"],
        "work-orders": order.id,
        "complaints": raised["id"],
        "line": "1",
        "site": SITE,
    }


@pytest.mark.parametrize(("app", "route"), ROUTES)
def test_every_answer_is_one_that_the_document_names(
    running: Running, things: dict[str, str], app: str, route: str
) -> None:
    method, path = route.split(" ")
    operation = _document(running, app)[path][method]
    headers = _bearer(running, app, route)
    streams = path.endswith("/stream")

    def ask(case: Case[Any]) -> None:
        if "min_position" in case.query:
            # A read that waits for what never comes answers 503, as it must.
            case.query["min_position"] = "0"
        answer = case.call(base_url=_base(running, app), headers=headers, timeout=5 if streams else 20)
        case.validate_response(answer, checks=PROMISES)

    cases: list[SearchStrategy[Case[Any]]] = [operation.as_strategy(GenerationMode.POSITIVE)]
    if operation.body or any(operation.iter_parameters()):
        cases.append(operation.as_strategy(GenerationMode.NEGATIVE))
    known = {name: things[name] for name in things if f"{{{name}}}" in path}
    if "{id}" in path:
        known["id"] = things.get(path.split("/")[2], "0" * 20)
    # Things that are there, and a body that is right: as deep as a request gets.
    body = {"body": BODIES.get(path.rpartition("/")[2], {})} if operation.body else {}
    if isinstance(body.get("body"), bytes):
        body["media_type"] = "image/jpeg"
    cases.append(operation.as_strategy(path_parameters=known, **body).map(_of_any_version))
    for each in cases:
        ask_some: Callable[[], None] = _some(STREAMS if streams else EXAMPLES)(given(each)(ask))
        ask_some()


def test_an_answer_that_the_document_does_not_name_is_noticed(running: Running) -> None:
    document = httpx2.get(f"{running.url}/openapi.json").json()
    del document["paths"]["/v1/sites"]["get"]["responses"]["401"]
    case = schemathesis.openapi.from_dict(document)["/v1/sites"]["GET"].Case()
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        case.validate_response(case.call(base_url=running.url), checks=PROMISES)


def _some(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def _of_any_version(case: Case[Any]) -> Case[Any]:
    case.headers.pop("If-Match", None)
    return case


def _base(running: Running, app: str) -> str:
    return running.url + ("" if app == "projections" else f"/{app}")


@cache
def _document(running: Running, app: str) -> Any:
    return schemathesis.openapi.from_dict(httpx2.get(f"{_base(running, app)}/openapi.json").json())


def _bearer(running: Running, app: str, route: str) -> dict[str, str]:
    action = NEEDS[app][route]
    if action is PUBLIC:
        return {}
    role = next(role for role in Role if action in MAY[role])
    return {"Authorization": f"Bearer {running.token(role, SITE)}"}
