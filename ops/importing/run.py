"""Taking over the history of another system: what happened there becomes what happened here."""

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from eventlog.group_commit import OutcomeUnknown, VersionConflict
from eventlog.recorded import Metadata, Recorded
from eventlog.store import ATTEMPTS, EventStore, Unavailable
from events import Event
from ops.importing.mapping import Fact, Mapping, Unmapped
from ops.importing.readers import opened, rows

AT_ONCE = 64
"""Cases recorded side by side, so that their commits share transactions."""
CHUNK = 200
"""Events of one case in one append."""
PAUSE_EVERY = 500
"""Rows read before others may run and the progress is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of the rows of a file: `events` are `added` + `already` + `rejected`."""

    cases: int
    """Cases whose rows, but for the rejected ones, are in the store now."""
    events: int
    added: int
    already: int
    """Recorded by an earlier import."""
    rejected: int


async def import_history(
    file: Path,
    mapping: Mapping,
    store: EventStore,
    *,
    site: str,
    rejects: Path,
    progress: Callable[[int, int], None],
) -> Imported:
    """Record each row of a file as the event that the mapping says it is.

    The file is read to its end first: one that is damaged or foreign raises Unreadable, and nothing of it is
    recorded. However often an import is interrupted and repeated, each row is recorded once, in the order of
    its case. A case that has grown since gets its new events; one that is stored otherwise, or at another
    site, is rejected whole. `rejects` holds the rejected rows afterwards, with line and reason; it is for its
    owner's eyes alone and exists only if there are any. `progress(done, of)` counts the bytes of the file
    twice: read, then recorded. Raises Unavailable if the store cannot be reached; repeating the import
    completes it.
    """
    cases, refused, events, size = await _read(file, mapping, progress)
    total = sum(map(len, cases.values())) or 1
    done = already = stored = 0
    waiting = iter(cases.items())

    async def work() -> None:
        nonlocal done, already, stored
        for case, facts in waiting:
            try:
                before = await _record(mapping, case, facts, store, site)
                already += before
                stored += 1
            except Unmapped as why:
                refused.update((fact.row, str(why)) for fact in facts)
            done += len(facts)
            progress(size + size * done // total, 2 * size)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(AT_ONCE):
                workers.create_task(work())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    _write(rejects, file, mapping, refused)
    progress(2 * size, 2 * size)
    return Imported(
        cases=stored,
        events=events,
        added=events - already - len(refused),
        already=already,
        rejected=len(refused),
    )


async def _read(
    file: Path, mapping: Mapping, progress: Callable[[int, int], None]
) -> tuple[dict[str, list[Fact]], dict[int, str], int, int]:
    """The facts of each case in order; the refused rows and why; the number of rows; the size of the file."""
    cases: dict[str, list[Fact]] = {}
    refused: dict[int, str] = {}
    number = 0
    with opened(file) as raw:
        size = os.fstat(raw.fileno()).st_size
        for number, row in enumerate(rows(raw, mapping.file, mapping.columns()), start=1):
            try:
                fact = mapping.fact(number, row)
                cases.setdefault(fact.case, []).append(fact)
            except Unmapped as why:
                refused[number] = str(why)
            if number % PAUSE_EVERY == 0:
                progress(raw.tell(), 2 * size)
                await asyncio.sleep(0)
    for case, facts in cases.items():
        facts.sort(key=lambda fact: fact.order)
        cases[case] = _begun_once(facts, mapping.case.first, refused)
    return {case: facts for case, facts in cases.items() if facts}, refused, number, size


def _begun_once(facts: Sequence[Fact], first: str, refused: dict[int, str]) -> list[Fact]:
    if facts[0].event.type != first:
        refused.update((fact.row, f"its case does not begin with {first}") for fact in facts)
        return []
    begun = [facts[0]]
    for fact in facts[1:]:
        if fact.event.type == first:
            refused[fact.row] = f"its case has begun before: a second {first}"
        else:
            begun.append(fact)
    return begun


async def _record(mapping: Mapping, case: str, facts: Sequence[Fact], store: EventStore, site: str) -> int:
    """How many of the facts were recorded before; all are afterwards. Raises Unmapped, Unavailable."""
    stream = mapping.case.stream_prefix + case
    metadata = [
        Metadata(
            site=site,
            actor=mapping.actor,
            role="import",
            correlation_id=case,
            command_id=f"import:{case}:{number}",
            occurred_at=fact.occurred_at,
        )
        for number, fact in enumerate(facts, start=1)
    ]
    already: int | None = None
    for _ in range(ATTEMPTS):
        history = await store.stream(stream)
        _must_agree(history, facts, site)
        if already is None:
            already = min(len(history), len(facts))
        try:
            for version in range(len(history), len(facts), CHUNK):
                chunk = slice(version, version + CHUNK)
                await store.append(stream, version, [fact.event for fact in facts[chunk]], metadata[chunk])
        except (VersionConflict, OutcomeUnknown):
            continue  # what is stored now shows what is still missing
        return already
    raise Unavailable(f"{store.source} could not record the case {case} after {ATTEMPTS} attempts")


def _must_agree(history: Sequence[Recorded], facts: Sequence[Fact], site: str) -> None:
    if history and history[0].metadata.site != site:
        raise Unmapped("its case is recorded at another site")
    for recorded, fact in zip(history, facts, strict=False):
        if (recorded.event, recorded.occurred_at) != (fact.event, fact.occurred_at):
            raise Unmapped(
                f"its case is recorded otherwise: event {recorded.version} is "
                f"{_told(recorded.event, recorded.occurred_at)}, here {_told(fact.event, fact.occurred_at)}"
            )


def _told(event: Event, occurred_at: datetime) -> str:
    return f"{event.type} {event.model_dump_json(exclude_none=True)} of {occurred_at:%Y-%m-%d %H:%M:%S}"


def _write(rejects: Path, file: Path, mapping: Mapping, refused: dict[int, str]) -> None:
    """The refused rows, read once more: keeping all rows for the few would take much memory."""
    if not refused:
        rejects.unlink(missing_ok=True)
        return
    private = os.open(rejects, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(private, "w", encoding="utf-8", errors="backslashreplace") as out, opened(file) as raw:
        for number, row in enumerate(rows(raw, mapping.file, mapping.columns()), start=1):
            if number in refused:
                reject = {
                    "line": row.line,
                    "case": row.values.get(mapping.case.column),
                    "reason": refused[number],
                    "row": row.values,
                }
                out.write(json.dumps(reject, ensure_ascii=False) + "\n")
