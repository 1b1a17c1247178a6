"""What the OpenAPI documents say about refusals: the same for every route, in one place."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

PROBLEM = {
    "title": "Problem",
    "description": "RFC 9457: why a request was refused. Nothing was recorded when its status is 4xx.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for the person who sent the request"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "why"],
                "properties": {"field": {"type": "string"}, "why": {"type": "string"}},
            },
        },
        "version": {"type": "integer", "description": "Where a thing stands that has changed meanwhile"},
    },
}


def document_refusals(app: FastAPI) -> None:
    """Every operation of `app` names the refusals it may answer, as `application/problem+json`."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = PROBLEM
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            for path, methods in document["paths"].items():
                for operation in methods.values():
                    _complete(operation, path, schemas)
        return app.openapi_schema or document

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(operation: dict[str, Any], path: str, schemas: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "201" in responses:
        # A command that finds nothing left to do.
        responses["200"] = responses["201"]
    if any(each["name"] == "If-None-Match" for each in operation.get("parameters", [])):
        responses["304"] = {"description": "It is what the caller has"}
    responses.pop("422", None)
    for status in _refusals(operation, path, schemas):
        refusal = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        responses[str(status)] = refusal
    if path == "/readyz":
        responses["503"]["content"]["application/json"] = {"schema": {}}  # it names what is not ready


def _refusals(operation: dict[str, Any], path: str, schemas: dict[str, Any]) -> set[int]:
    refusals = {400, 414, 431, 503}
    if "security" in operation:
        refusals |= {401, 403, 429, 507}
    if "{" in path or "site" in _named(operation, schemas):
        refusals.add(404)
    if "{link}" in path:
        refusals |= {410, 507}
    if "{sha256}" in path:
        refusals.add(410)
    if "{line}" in path:
        refusals.add(409)  # a line may have been asked about, or not yet
    if path.endswith(".pdf"):
        refusals.add(409)  # what has not happened yet is not printed
    if "parameters" in operation or "requestBody" in operation:
        refusals.add(422)
    if "requestBody" in operation:
        refusals |= {408, 413}
        if "application/json" not in operation["requestBody"]["content"]:
            refusals.add(415)
    if any(each["name"] == "If-Match" for each in operation.get("parameters", [])):
        refusals |= {409, 412}
    return refusals


def _named(operation: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """What a request may say in its query or body."""
    found = {each["name"] for each in operation.get("parameters", [])}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        body = content["schema"].get("$ref", "").rpartition("/")[2]
        found |= schemas.get(body, {}).get("properties", {}).keys()
    return found
