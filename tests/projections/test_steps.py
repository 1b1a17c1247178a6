"""The step of the live loop reads no document that it left there itself, or that can only begin now."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from psycopg import AsyncConnection

from eventlog import follow
from eventlog.ledger import Ledger
from projections import steps
from projections.facts import Fact
from projections.projection import Document, Projection
from projections.rebuild import rebuild
from projections.steps import Advanced, Remembered, Step, advance, advance_together
from projections.views import Build, Row, new_build
from projections.work_order_board.projection import WORK_ORDER_BOARD
from tests.projections.log import everything, given_log, view
from tests.projections.story import DAY, VISIT, opened, received
from tests.projections.test_views import unseen

Conn = AsyncConnection[Any]


def counted(document: Document | None, fact: Fact) -> Document:
    return {"heard": document["heard"] + 1 if document else 1}


COUNTED = replace(WORK_ORDER_BOARD, name="counted", evolve=counted, columns={}, begins=lambda fact: True)
"""Any event seems to begin its document."""


async def unexpected(*_: object) -> NoReturn:
    raise AssertionError("documents were read")


async def equals_its_rebuild(conn: Conn, projection: Projection) -> bool:
    live = await everything(conn, await view(conn, projection))
    await rebuild(conn, projection, unseen)
    return live == await everything(conn, await view(conn, projection)) != []


class Credulous(Remembered):
    """Believes its memory wherever the build is."""

    def at(self, build: Build, position: int) -> Mapping[str, Row]:
        return super().at(build, self._views[build.projection.name].position) if self._views else {}


@pytest.mark.parametrize("batch", [1, 3])
async def test_what_was_left_here_is_not_read(
    ledger: Ledger, conn: Conn, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    await given_log(ledger, *VISIT)
    with monkeypatch.context() as alone:
        alone.setattr(steps, "_stored", unexpected)
        await view(conn, WORK_ORDER_BOARD, batch, Remembered())
    assert await equals_its_rebuild(conn, WORK_ORDER_BOARD)


async def test_what_was_not_left_here_is_read(
    ledger: Ledger, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = await new_build(conn, WORK_ORDER_BOARD, "live")
    await given_log(ledger, received, opened)
    with monkeypatch.context() as alone:
        alone.setattr(steps, "_stored", unexpected)
        assert (await advance(conn, build, 1)).position == 1, "a beginning need not be read"
        with pytest.raises(AssertionError, match="documents were read"):
            await advance(conn, build, 1)
    assert await equals_its_rebuild(conn, WORK_ORDER_BOARD)


async def test_what_seems_to_begin_and_began_before_goes_on(
    ledger: Ledger, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "REMEMBERED", 0)
    await given_log(ledger, *DAY)
    await view(conn, COUNTED, 2, Remembered())
    assert await equals_its_rebuild(conn, COUNTED)


@pytest.mark.parametrize(("memory", "equal"), [(Remembered, True), (Credulous, False)])
async def test_what_another_process_changed_is_read(
    ledger: Ledger, conn: Conn, memory: type[Remembered], equal: bool
) -> None:
    """And would be lost if it were not: the control."""
    build, remembered = await new_build(conn, COUNTED, "live"), memory()
    await given_log(ledger, *DAY)
    await advance(conn, build, 2, remembered)
    await advance(conn, build, 1)  # as another process, whose memory is another one
    await view(conn, COUNTED, 2, remembered)
    assert await equals_its_rebuild(conn, COUNTED) == equal


async def test_another_build_is_not_what_is_remembered(ledger: Ledger, conn: Conn) -> None:
    build, remembered = await new_build(conn, COUNTED, "live"), Remembered()
    await given_log(ledger, *DAY)
    step = await advance(conn, build, 2, remembered)
    assert remembered.at(build, step.position)
    assert not remembered.at(replace(build, number=2), step.position)
    assert not remembered.at(build, step.position + 1)


async def test_of_two_at_once_the_later_one_does_nothing_and_remembers_nothing(
    ledger: Ledger, conn: Conn
) -> None:
    build, remembered = await new_build(conn, COUNTED, "live"), Remembered()
    await given_log(ledger, *DAY)
    rows = await follow.read(conn, 0, 2)
    await advance(conn, build, 2)
    assert await advance_together(conn, [Step(build, 0, rows)], remembered) == [Advanced()]
    assert not remembered.at(build, 2)
    assert await equals_its_rebuild(conn, COUNTED)


async def test_those_that_changed_last_are_remembered(
    ledger: Ledger, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "REMEMBERED", 2)
    build, remembered = await new_build(conn, COUNTED, "live"), Remembered()
    orders = [
        replace(received, event=received.event.model_copy(update={"work_order_id": id})) for id in "abc"
    ]
    await given_log(ledger, *orders, replace(orders[1]))
    while (step := await advance(conn, build, 1, remembered)).read:
        assert set(remembered.at(build, step.position)) <= set("abc")
    assert list(remembered.at(build, 4)) == ["c", "b"]
