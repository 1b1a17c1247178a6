"""The published language as JSON Schema and AsyncAPI, derived from the event classes and never written twice.

The schemas are committed under `events/schemas/`, those of earlier versions included; a test fails when one
changes in a way that breaks a reader. `python -m events.schemas` adds those of new types.
"""

import json
from pathlib import Path
from typing import Any

from events.event import Event, event_classes

SUBJECTS = "aftersales.{site}.%s.%s"
COMMITTED = Path(__file__).with_suffix("")


def schema(event: type[Event]) -> dict[str, Any]:
    """JSON Schema of an event's data in its stored form."""
    described = event.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": event.type, **described}


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0 of all events on the bus, and of the headers they carry."""
    headers = ("Nats-Msg-Id", "event-type", "stream", "version", "source", "epoch", "pos", "prev-pos", "hash")
    texts = ("occurred-at", "recorded-at", "actor", "correlation-id", "causation-id", "traceparent")
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Bayledger events",
            "version": "1",
            "description": "Facts of reception, workshop and customer care on the stream AFTERSALES.",
        },
        "defaultContentType": "application/json",
        "channels": {},
        "operations": {},
        "components": {
            "messageTraits": {
                "recorded": {
                    "headers": {
                        "type": "object",
                        "required": list(headers),
                        "properties": {name: {"type": "string"} for name in (*headers, *texts)},
                    }
                }
            },
            "messages": {},
            "schemas": {},
        },
    }
    for type, event in sorted(event_classes().items()):
        context, name, _version = type.split(".")
        document["components"]["schemas"][type] = _inlined(schema(event))
        document["components"]["messages"][type] = {
            "name": type,
            "title": event.__name__,
            "summary": (event.__doc__ or event.__name__).strip().splitlines()[0],
            "traits": [{"$ref": "#/components/messageTraits/recorded"}],
            "payload": {
                "type": "object",
                "required": ["type", "data", "stream", "version", "site", "occurred_at", "recorded_at"],
                "properties": {
                    "type": {"const": type},
                    "data": {"$ref": f"#/components/schemas/{type}"},
                    "stream": {"type": "string"},
                    "version": {"type": "integer", "minimum": 1},
                    "site": {"type": "string"},
                    "occurred_at": {"type": "string", "format": "date-time"},
                    "recorded_at": {"type": "string", "format": "date-time"},
                },
            },
        }
        channel = f"{context}.{name}"
        document["channels"].setdefault(
            channel,
            {
                "address": SUBJECTS % (context, name),
                "parameters": {"site": {"description": "The site where it happened"}},
                "messages": {},
            },
        )["messages"][type] = {"$ref": f"#/components/messages/{type}"}
        document["operations"][f"receive.{channel}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{channel}"},
        }
    return document


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Without `$defs`: references inside a component would otherwise point nowhere."""
    definitions = schema.pop("$defs", {})
    schema.pop("$schema"), schema.pop("$id")

    def resolve(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return resolve(definitions[part["$ref"].rpartition("/")[2]])
            return {name: resolve(value) for name, value in part.items()}
        return [resolve(value) for value in part] if isinstance(part, list) else part

    resolved: dict[str, Any] = resolve(schema)
    return resolved


def commit_new() -> list[str]:
    """Write the schemas of types that have none; the names of these types.

    A committed schema is a promise and never overwritten: to widen one, remove its file first.
    """
    COMMITTED.mkdir(exist_ok=True)
    new = [type for type in sorted(event_classes()) if not (COMMITTED / f"{type}.json").exists()]
    for type in new:
        text = json.dumps(schema(event_classes()[type]), indent=2, ensure_ascii=False)
        (COMMITTED / f"{type}.json").write_text(text + "\n")
    return new


if __name__ == "__main__":
    print(*commit_new(), sep="\n")
