"""What was recorded once can be read for ever."""

import json
import re
from copy import deepcopy
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonsubschema import isSubschema
from pydantic import BaseModel, ValidationError

from eventlog.bus import Arrival, subject, to_message
from eventlog.feed import FeedEvent
from eventlog.recorded import canonical, decode, encode, event_hash
from events import UnknownEventType, event_classes, load
from events.schemas import COMMITTED, asyncapi, schema
from events.upcasters import UPCASTERS
from tests.events.samples import SAMPLES, VEHICLE_RECEIVED_V1, envelope

Schema = dict[str, Any]

TODAY = event_classes()
DOCUMENT = asyncapi()
EVER = sorted({*TODAY, *UPCASTERS})
PROMISED: dict[str, Schema] = {path.stem: json.loads(path.read_bytes()) for path in COMMITTED.glob("*.json")}


def objects(schema: Schema) -> dict[str, Schema]:
    return {"": schema, **schema.get("$defs", {})}


def fields(schema: Schema) -> set[str]:
    return {
        f"{name}.{field}" for name, each in objects(schema).items() for field in each.get("properties", {})
    }


def as_written(promised: Schema) -> Schema:
    """Writers write the fields there are and no others."""
    closed = deepcopy(promised)
    for each in objects(closed).values():
        each["additionalProperties"] = False
    return closed


def breaks(promised: Schema, today: Schema) -> bool:
    """Whether a stored event that keeps the promise could fail to load today, or lose a field."""
    return not (fields(promised) <= fields(today) and isSubschema(as_written(promised), today))


# Schemas


@pytest.mark.parametrize("type", sorted(TODAY))
def test_a_committed_schema_is_kept(type: str) -> None:
    assert not breaks(PROMISED[type], schema(TODAY[type])), f"{type} needs a next version and an upcaster"


def test_every_type_and_version_ever_has_its_schema() -> None:
    """If one is missing: `python -m events.schemas`. No type and no version ever goes away."""
    assert sorted(PROMISED) == EVER


@pytest.mark.parametrize("type", sorted(TODAY))
def test_a_committed_schema_is_todays(type: str) -> None:
    """What was added must be promised too, or it could be taken away again unnoticed."""
    assert PROMISED[type] == schema(TODAY[type])


class Promised(BaseModel):
    line: int
    kind: Literal["simple", "complex"] = "simple"
    note: str | None = None


class WithoutField(BaseModel):
    line: int
    kind: Literal["simple", "complex"] = "simple"


class OtherType(Promised):
    line: str  # type: ignore[assignment]


class Required(Promised):
    note: str


class RequiredNewField(Promised):
    price_fen: int


class FewerValues(Promised):
    kind: Literal["simple"] = "simple"


class MoreValues(Promised):
    kind: Literal["simple", "complex", "unknown"] = "simple"  # type: ignore[assignment]


class OptionalNewField(Promised):
    price_fen: int | None = None


class LessRequired(Promised):
    line: int | None = None  # type: ignore[assignment]


@pytest.mark.parametrize("change", [WithoutField, OtherType, Required, RequiredNewField, FewerValues])
def test_a_breaking_change_is_noticed(change: type[BaseModel]) -> None:
    assert breaks(Promised.model_json_schema(), change.model_json_schema())


@pytest.mark.parametrize("change", [Promised, MoreValues, OptionalNewField, LessRequired])
def test_a_widening_is_no_breaking_change(change: type[BaseModel]) -> None:
    assert not breaks(Promised.model_json_schema(), change.model_json_schema())


# Samples


@pytest.mark.parametrize("type", EVER)
def test_a_stored_event_of_every_type_and_version_loads(type: str) -> None:
    assert decode(SAMPLES[type]).event.type in TODAY


@pytest.mark.parametrize("type", EVER)
def test_a_stored_event_keeps_the_promise_of_its_version(type: str) -> None:
    Draft202012Validator(PROMISED[type]).validate(envelope(type)["data"])


@pytest.mark.parametrize("type", sorted(TODAY))
def test_the_stored_form_is_canonical_and_stays_byte_for_byte(type: str) -> None:
    """Hashes in ledgers and checkpoints depend on it."""
    assert encode(decode(SAMPLES[type])) == SAMPLES[type]


def test_the_first_version_of_a_received_vehicle_reads_as_todays() -> None:
    before = envelope("reception.vehicle_received.v1")["data"]
    event = decode(VEHICLE_RECEIVED_V1).event
    assert event.type == "reception.vehicle_received.v2"
    assert event.model_dump()["mileage_km"] == before["mileage"]
    assert event.model_dump()["symptoms"] == (before["symptom"],)


def test_a_vehicle_without_a_symptom_had_none() -> None:
    stored = envelope("reception.vehicle_received.v1")["data"] | {"symptom": ""}
    assert load("reception.vehicle_received.v1", stored).model_dump()["symptoms"] == ()


@pytest.mark.parametrize("type", EVER)
def test_readers_ignore_fields_they_do_not_know(type: str) -> None:
    newer = envelope(type)
    newer |= {"weather": "rain", "data": _with_unknown_fields(newer["data"])}
    assert decode(canonical(newer)) == decode(SAMPLES[type])


def _with_unknown_fields(value: Any) -> Any:
    known = {n: _with_unknown_fields(v) if "box" in str(v) else v for n, v in value.items()}
    return known | {"colour": "red"}


def test_a_type_of_a_newer_release_is_told_apart_from_damage() -> None:
    with pytest.raises(UnknownEventType):
        load("reception.vehicle_washed.v1", {})
    with pytest.raises(ValidationError):
        load("reception.vehicle_readied.v1", {})


# Names


@pytest.mark.parametrize("type", sorted(TODAY))
def test_a_type_is_named_context_name_version(type: str) -> None:
    event = TODAY[type]
    context = event.__module__.removeprefix("events.")
    name = re.sub("(?<!^)(?=[A-Z])", "_", event.__name__).lower()
    assert re.fullmatch(rf"{context}\.{name}\.v[1-9]", type)


@pytest.mark.parametrize("type", sorted(UPCASTERS))
def test_an_older_version_becomes_the_next_one(type: str) -> None:
    older, newer = type.rpartition(".v"), UPCASTERS[type][0].rpartition(".v")
    assert (newer[0], int(newer[2])) == (older[0], int(older[2]) + 1)


# AsyncAPI


def refs(part: Any) -> list[str]:
    if isinstance(part, dict):
        return [v for n, v in part.items() if n == "$ref"] + [r for v in part.values() for r in refs(v)]
    return [r for each in part for r in refs(each)] if isinstance(part, list) else []


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    assert refs(DOCUMENT)
    for ref in refs(DOCUMENT):
        there = DOCUMENT
        for name in ref.removeprefix("#/").split("/"):
            there = there[name]


@pytest.mark.parametrize("type", sorted(TODAY))
def test_the_asyncapi_document_describes_what_is_on_the_bus(type: str) -> None:
    document, body = DOCUMENT, SAMPLES[type]
    address, headers, sent = to_message(Arrival("reception", "e1", FeedEvent(1, 0, event_hash(body), body)))

    channel = document["channels"][type.rpartition(".")[0]]
    assert channel["address"] == subject(type, "{site}")
    assert channel["address"].format(site="sh01") == address
    message = {"$ref": f"#/components/messages/{type}/payload", **document}
    Draft202012Validator(message).validate(json.loads(sent))
    described = document["components"]["messageTraits"]["recorded"]["headers"]
    assert set(described["required"]) <= set(headers) <= set(described["properties"])
