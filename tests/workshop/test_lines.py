"""The rules of lines: what may be worked on, what waits for an answer to what it is now, and parts."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.decider import Rejected
from events import Event
from events.lines import Part, revision_hash
from events.workshop import (
    LineCompleted,
    LineStarted,
    PartsAwaited,
    PartsPicked,
    PickedPart,
    ProgressWatchSet,
    RepairAdded,
    RepairReleased,
    RepairRevised,
    WorkOrderOpened,
)
from services.workshop import commands as do
from services.workshop.commands import Command
from tests.deciders import WORK_ORDER
from tests.workshop.test_work_order import (
    AT,
    BRAKE_PADS,
    add,
    added,
    authorise,
    complete,
    completed,
    dispatched,
    drop,
    dropped,
    failed,
    in_check,
    in_work,
    opened,
    release,
    released,
    reworked,
    signed,
    work_order,
)

revise = do.ReviseRepair(**add.model_dump() | {"line": 1, "price_fen": 70_000})
hash_2 = revision_hash({"line": 1, "revision": 2, **BRAKE_PADS, "price_fen": 70_000})
revised = RepairRevised(**revise.model_dump(), visit_id="V1", revision=2, hash=hash_2)
start = do.StartLine(work_order_id="W1", line=1, technician="zhao", licences={}, at=AT)
started = LineStarted(work_order_id="W1", line=1, technician="zhao")
end = do.CompleteLine(work_order_id="W1", line=1)
ended = LineCompleted(work_order_id="W1", line=1)
pads = Part(code="BP-1", name="brake pads", origin="original", quantity=2, unit_fen=19_000)  # type: ignore[arg-type]
wait = do.AwaitParts(work_order_id="W1", line=1, parts=("BP-1",))
awaited = PartsAwaited(work_order_id="W1", line=1, parts=("BP-1",))
oil = PickedPart(line=1, code="OIL", name="engine oil", quantity="4.5")
pick = do.PickParts(work_order_id="W1", parts=(oil,), technician="zhao")
picked = PartsPicked(
    work_order_id="W1",
    slip=1,
    parts=(oil,),
    technician="zhao",
    signature=revision_hash(
        {
            "work_order_id": "W1",
            "slip": 1,
            "parts": [{"line": 1, "code": "OIL", "name": "engine oil", "quantity": "4.5"}],
            "technician": "zhao",
        }
    ),
)
with_find = (*signed, added.model_copy(update={"line": 3}))


def test_a_technician_finds_more_to_repair() -> None:
    """W-12."""
    work_order.given(*in_work).when(add).then(added)


def test_a_second_find_is_a_line_of_its_own() -> None:
    second = revision_hash({"line": 2, "revision": 1, **BRAKE_PADS})
    work_order.given(*in_work, added).when(add).then(added.model_copy(update={"line": 2, "hash": second}))


def test_a_work_order_without_a_visit_has_nobody_to_ask() -> None:
    imported = WorkOrderOpened(work_order_id="W1")
    work_order.given(imported, dispatched).when(add).then_rejected(
        "this work order has no visit whose customer could be asked"
    )


def test_an_approved_repair_is_released() -> None:
    """R-62."""
    work_order.given(*in_work, added).when(release).then(released)


def test_a_declined_repair_is_dropped() -> None:
    """R-62."""
    work_order.given(*in_work, added).when(drop).then(dropped)


@pytest.mark.parametrize("answer", [release, drop])
@pytest.mark.parametrize("before", [released, dropped])
def test_the_first_answer_counts(answer: Command, before: Event) -> None:
    work_order.given(*in_work, added, before).when(answer).then_nothing()


@pytest.mark.parametrize("answer", [release, drop])
def test_only_lines_there_are_can_be_answered(answer: Command) -> None:
    work_order.given(*in_work).when(answer).then_rejected("there is no line 1")


def test_a_find_comes_after_what_was_signed() -> None:
    """R-60: no two lines of an order have the same number."""
    [found] = WORK_ORDER.decide(add, WORK_ORDER.fold(signed))
    assert getattr(found, "line", None) == 3


def test_labour_and_parts_of_a_find_are_apart_and_add_up() -> None:
    """W-12, W-27, R-48, R-66."""
    split = do.AddRepair(
        **add.model_dump(exclude={"parts", "labour_fen", "why"}),
        labour_fen=30_000,
        parts=(pads,),
        why="worn down to 2 mm",
    )
    [found] = WORK_ORDER.decide(split, WORK_ORDER.fold(in_work))
    assert found.model_dump(include={"parts", "labour_fen", "why"}) == split.model_dump(
        include={"parts", "labour_fen", "why"}
    )
    dear = split.model_copy(update={"labour_fen": 31_000})
    work_order.given(*in_work).when(dear).then_rejected(
        "labour of 31000 fen and parts of 38000 fen are not 68000 fen"
    )


def test_a_find_without_labour_whose_parts_cost_nothing_has_no_price() -> None:
    """R-48: nobody could say what it is for."""
    bare = add.model_copy(update={"parts": ()})
    work_order.given(*in_work).when(bare).then_rejected(
        "labour of 0 fen and parts of 0 fen are not 68000 fen"
    )


@pytest.mark.parametrize("before", [(), (released,)])
def test_another_price_asks_the_customer_again(before: tuple[Event, ...]) -> None:
    """R-65."""
    work_order.given(*in_work, added, *before).when(revise).then(revised)
    work_order.given(*in_work, added, *before, revised).when(complete).then_rejected(
        "the customer has not answered for line 1 yet"
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"delay_minutes": 50},
        {"labour_fen": 30_000, "parts": (pads,)},
        {"labour_minutes": 30},
        {"description": "brake pads and discs"},
        {"trade": "body_paint"},
    ],
    ids=str,
)
def test_another_part_or_time_asks_again_too(changed: dict[str, Any]) -> None:
    """R-65."""
    command = do.ReviseRepair(**add.model_dump() | {"line": 1} | changed)
    [event] = WORK_ORDER.decide(command, WORK_ORDER.fold((*in_work, added, released)))
    assert isinstance(event, RepairRevised)


def test_a_revision_that_changes_nothing_is_none() -> None:
    same = do.ReviseRepair(**add.model_dump(), line=1)
    work_order.given(*in_work, added, released).when(same).then_nothing()
    work_order.given(*in_work, added, revised).when(revise).then_nothing()


@pytest.mark.parametrize(
    ("history", "line", "because"),
    [
        (signed, 1, "line 1 was signed with the work order; add what is new as a line of its own"),
        (
            (*in_work, added, dropped),
            1,
            "the customer declined line 1; add what is new as a line of its own",
        ),
        (
            (*in_work, added, released, started),
            1,
            "work on line 1 has begun; add what is new as a line of its own",
        ),
        (in_work, 1, "there is no line 1"),
        (in_check, 1, "a work order that is in check cannot be extended"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_a_find_that_nobody_has_begun_is_revised(
    history: tuple[Event, ...], line: int, because: str
) -> None:
    command = revise.model_copy(update={"line": line})
    work_order.given(*history).when(command).then_rejected(because)


@pytest.mark.parametrize("answer", [release, drop])
def test_an_answer_to_an_earlier_revision_changes_nothing(answer: Command) -> None:
    """R-65: it was given to another price."""
    work_order.given(*in_work, added, revised).when(answer).then_nothing()


@pytest.mark.parametrize("hash", [None, "0" * 64])
def test_an_answer_that_names_no_revision_is_to_the_first(hash: str | None) -> None:
    unnamed = release.model_copy(update={"hash": hash})
    spec = work_order.given(*in_work, added).when(unnamed)
    spec.then(released) if hash is None else spec.then_nothing()
    work_order.given(*in_work, added, revised).when(unnamed).then_nothing()


def test_an_answer_to_the_current_revision_releases_it() -> None:
    of_2 = release.model_copy(update={"hash": hash_2})
    work_order.given(*in_work, added, revised).when(of_2).then(
        RepairReleased(work_order_id="W1", line=1, revision=2)
    )


def test_a_released_find_makes_the_work_longer() -> None:
    """W-13: the watch is set anew, from the same beginning."""
    found = with_find[-1]
    [_, watch] = WORK_ORDER.decide(
        do.ReleaseRepair(work_order_id="W1", line=3, hash=added.hash), WORK_ORDER.fold((*signed, found))
    )
    assert isinstance(watch, ProgressWatchSet)
    assert (watch.started_at, watch.expected_minutes) == (AT, 140)


def test_a_technician_works_on_a_line() -> None:
    """W-08, W-21."""
    work_order.given(*signed).when(start).then(started)


def test_a_line_is_begun_once_by_each_technician() -> None:
    work_order.given(*signed, started).when(start).then_nothing()
    work_order.given(*signed, started).when(start.model_copy(update={"technician": "qian"})).then(
        started.model_copy(update={"technician": "qian"})
    )


@pytest.mark.parametrize(
    ("history", "line", "because"),
    [
        (with_find, 3, "the customer has not agreed to line 3 as it is now"),
        (
            (*with_find, dropped.model_copy(update={"line": 3})),
            3,
            "the customer declined line 3",
        ),
        (signed, 7, "there is no line 7"),
        ((*signed, started, ended), 1, "line 1 is done"),
        (signed[:3], 1, "a work order that is waiting cannot be worked on"),
        (signed[:-1], 1, "the team has not taken the vehicle over yet"),
        ((*signed, ended, completed), 2, "a work order that is in check cannot be worked on"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nobody_works_on_what_may_not_be_worked_on(
    history: tuple[Event, ...], line: int, because: str
) -> None:
    """R-65, W-08."""
    command = start.model_copy(update={"line": line})
    work_order.given(*history).when(command).then_rejected(because)


@pytest.mark.parametrize(
    ("licences", "may"),
    [
        ({}, True),
        ({"mechatronic": date(2026, 3, 2)}, True),
        ({"mechatronic": date(2026, 3, 1)}, False),
        ({"body_paint": date(2027, 1, 1)}, False),
    ],
    ids=str,
)
def test_who_is_registered_works_in_their_trade(licences: dict[Any, date], may: bool) -> None:
    """W-28, W-30: who is not in the register is not asked."""
    spec = work_order.given(*signed).when(start.model_copy(update={"licences": licences}))
    spec.then(started) if may else spec.then_rejected("zhao has no licence for mechatronic work")


def test_a_find_takes_a_licence_for_its_trade() -> None:
    """W-30."""
    found = added.model_copy(update={"line": 3, "trade": "body_paint"})
    command = start.model_copy(update={"line": 3, "licences": {"mechatronic": date(2027, 1, 1)}})
    history = (*signed, found, released.model_copy(update={"line": 3}))
    work_order.given(*history).when(command).then_rejected("zhao has no licence for body and paint work")


def test_the_last_day_of_a_licence_ends_at_the_site() -> None:
    """W-30: not in Greenwich."""
    licences = {"mechatronic": date(2026, 3, 2)}
    evening, night = (
        start.model_copy(update={"licences": licences, "at": datetime(2026, 3, 2, hour, tzinfo=UTC)})
        for hour in (15, 16)
    )
    work_order.given(*signed).when(evening).then(started)
    work_order.given(*signed).when(night).then_rejected("zhao has no licence for mechatronic work")


def test_a_line_is_done() -> None:
    work_order.given(*signed, started).when(end).then(ended)
    work_order.given(*signed, started, ended).when(end).then_nothing()


def test_what_nobody_began_is_not_done() -> None:
    work_order.given(*signed).when(end).then_rejected("nobody works on line 1")


def test_the_end_of_the_repair_ends_its_open_lines() -> None:
    work_order.given(*signed, started, ended).when(complete).then(
        LineCompleted(work_order_id="W1", line=2), completed
    )


def test_after_rework_only_what_was_begun_again_is_done_again() -> None:
    """W-15, W-17."""
    history = (
        *signed,
        started,
        ended,
        LineCompleted(work_order_id="W1", line=2),
        completed,
        failed,
        reworked,
    )
    work_order.given(*history).when(complete).then(completed)
    work_order.given(*history).when(start).then(started)
    work_order.given(*history, started).when(complete).then(ended, completed)


def test_a_line_waits_for_parts() -> None:
    work_order.given(*signed).when(wait).then(awaited)
    work_order.given(*signed, awaited).when(wait).then_nothing()
    work_order.given(*signed, awaited, picked).when(wait).then(awaited)


def test_parts_that_come_on_another_day_are_news() -> None:
    """R-46, W-34."""
    later = AT + timedelta(days=1)
    put_off = awaited.model_copy(update={"expected_at": later})
    command = wait.model_copy(update={"expected_at": later})
    work_order.given(*signed, awaited).when(command).then(put_off)
    work_order.given(*signed, awaited, put_off).when(command).then_nothing()


def test_no_parts_are_awaited_for_what_may_not_be_done() -> None:
    work_order.given(*in_work, added).when(wait).then_rejected(
        "the customer has not agreed to line 1 as it is now"
    )
    work_order.given(opened).when(wait).then_rejected("there is no line 1")


def test_parts_are_drawn_on_the_order_and_signed_for() -> None:
    """W-09: the signature is over the slip and who signs."""
    work_order.given(*signed).when(pick).then(picked)
    [second] = WORK_ORDER.decide(pick, WORK_ORDER.fold((*signed, picked)))
    assert isinstance(second, PartsPicked)
    assert (second.slip, second.signature == picked.signature) == (2, False)


@pytest.mark.parametrize(
    ("history", "because"),
    [
        ((*in_work, added), "the customer has not agreed to line 1 as it is now"),
        ((*in_work, added, dropped), "the customer declined line 1"),
        (in_work, "there is no line 1"),
        (signed[:3], "a work order that is waiting cannot be given parts"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_parts_are_drawn_on_what_may_not_be_done(history: tuple[Event, ...], because: str) -> None:
    """W-09."""
    work_order.given(*history).when(pick).then_rejected(because)


def _commands(line: int) -> list[Any]:
    prices = (68_000, 70_000)
    hashes = [
        revision_hash({"line": line, "revision": revision, **BRAKE_PADS, "price_fen": price})
        for revision in (1, 2, 3)
        for price in prices
    ]
    return [
        *(add.model_copy(update={"price_fen": price}) for price in prices),
        *(revise.model_copy(update={"line": line, "price_fen": price}) for price in prices),
        *(release.model_copy(update={"line": line, "hash": hash}) for hash in [*hashes, None]),
        *(drop.model_copy(update={"line": line, "hash": hash}) for hash in hashes),
        start.model_copy(update={"line": line}),
        end.model_copy(update={"line": line}),
    ]


ANYTHING = [
    *_commands(3),
    *_commands(4),
    complete,
    do.FailQuality(work_order_id="W1", cause="still squeals"),
    do.OrderRework(work_order_id="W1"),
    do.AuthoriseWork(
        work_order_id="W1",
        visit_id="V1",
        revision=2,
        hash="b" * 64,
        tasks=(*authorise.tasks, authorise.tasks[0].model_copy(update={"line": 3})),
        promised_at=AT,
    ),
]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(ANYTHING), max_size=25))
def test_no_added_line_is_started_without_an_approval_of_what_it_is_now(commands: list[Command]) -> None:
    """R-62, R-65, W-12: whatever happens before; a refusal is answered 409."""
    history: list[Event] = list(signed)
    asked: dict[int, str | None] = {}
    approved: dict[int, str | None] = {}
    for command in commands:
        state = WORK_ORDER.fold(history)
        try:
            events = WORK_ORDER.decide(command, state)
        except Rejected:
            continue
        for event in events:
            match event:
                case RepairAdded() | RepairRevised():
                    asked[event.line] = event.hash
                case RepairReleased(line=line):
                    assert isinstance(command, do.ReleaseRepair)
                    approved[line] = command.hash or asked[line]
                case LineStarted(line=line) if line in asked:
                    assert approved.get(line) == asked[line]
        history += events
