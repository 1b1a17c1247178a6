"""Taking over the history of another system: what happened there becomes what happened here."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from access.keyring import Keyring
from eventlog.group_commit import OutcomeUnknown, VersionConflict
from eventlog.recorded import UNSTAMPED, Metadata, Recorded, canonical
from eventlog.store import ATTEMPTS, EventStore, Unavailable
from events import Event
from ops.importing.digest import clear_data, log_digest, stream_digest
from ops.importing.mapping import Fact, Mapping, Unmapped
from ops.importing.readers import Row, opened, rows

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
    unknown: dict[str, int] = field(default_factory=dict)
    """States that the mapping gives no meaning, and how many events tell them."""
    digest: str = ""
    """The `log_digest` of what of the file is in the store now."""


async def import_history(
    file: Path,
    mapping: Mapping,
    store: EventStore,
    keyring: Keyring | None = None,
    *,
    site: str,
    rejects: Path,
    progress: Callable[[int, int], None],
) -> Imported:
    """Record each row of a file as the event that the mapping says it is.

    The file is read to its end first: one that is damaged or foreign raises Unreadable, and nothing of it is
    recorded. However often an import is interrupted and repeated, each row is recorded once, in the order of
    its case. A case that has grown since gets its new events; one that is stored otherwise, or at another
    site, is rejected whole. Personal text is sealed by the keyring, which other mappings do not need, for a
    data subject of its case. `rejects` holds the rejected rows afterwards, with line and reason; it is for
    its owner's eyes alone and exists only if there are any. `progress(done, of)` counts the bytes of the file
    twice: read, then recorded. Raises Unavailable if the store cannot be reached; repeating the import
    completes it.
    """
    cases, refused, events, size = await read_history(file, mapping, progress)
    total = sum(map(len, cases.values())) or 1
    done = already = 0
    waiting = iter(cases.values())
    stored: dict[str, str] = {}
    unknown: Counter[str] = Counter()

    async def work() -> None:
        nonlocal done, already
        for facts in waiting:
            history = as_recorded(facts, mapping, site, keyring)
            try:
                before = await _record(history, facts, store, keyring)
                already += before
                stored[history[0].stream] = stream_digest(history)
                unknown.update(fact.unknown for fact in facts if fact.unknown is not None)
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
        cases=len(stored),
        events=events,
        added=events - already - len(refused),
        already=already,
        rejected=len(refused),
        unknown=dict(unknown.most_common()),
        digest=log_digest(stored),
    )


async def read_history(
    file: Path, mapping: Mapping, progress: Callable[[int, int], None]
) -> tuple[dict[str, list[Fact]], dict[int, str], int, int]:
    """The facts of each case in order; the refused rows and why; the number of rows; the size of the file."""
    cases: dict[str, list[Fact]] = {}
    firsts: dict[str, tuple[Fact, Row]] = {}
    refused: dict[int, str] = {}
    number = 0
    with opened(file) as raw:
        size = os.fstat(raw.fileno()).st_size
        for number, row in enumerate(rows(raw, mapping.file, mapping.columns()), start=1):
            try:
                fact = mapping.fact(number, row)
                cases.setdefault(fact.case, []).append(fact)
                known = firsts.get(fact.case)
                if mapping.states and (known is None or fact.order < known[0].order):
                    firsts[fact.case] = fact, row
            except Unmapped as why:
                refused[number] = str(why)
            if number % PAUSE_EVERY == 0:
                progress(raw.tell(), 2 * size)
                await asyncio.sleep(0)
    for case, facts in cases.items():
        facts.sort(key=lambda fact: fact.order)
        try:
            if case in firsts:
                facts[0] = mapping.first(*firsts[case])
        except Unmapped as why:
            refused[facts.pop(0).row] = str(why)
        cases[case] = _begun_once(facts, mapping.case.first, refused)
    return {case: facts for case, facts in cases.items() if facts}, refused, number, size


def _begun_once(facts: Sequence[Fact], first: str, refused: dict[int, str]) -> list[Fact]:
    if not facts or facts[0].event.type != first:
        refused.update((fact.row, f"its case does not begin with {first}") for fact in facts)
        return []
    begun = [facts[0]]
    for fact in facts[1:]:
        if fact.event.type == first:
            refused[fact.row] = f"its case has begun before: a second {first}"
        else:
            begun.append(fact)
    return begun


def as_recorded(
    facts: Sequence[Fact], mapping: Mapping, site: str, keyring: Keyring | None = None
) -> list[Recorded]:
    """The history of a case as it will be in its stream, but for what is sealed in it: the fingerprint of an
    event with personal text covers that text, and tells whether the same was recorded before."""
    return [
        Recorded(
            stream=mapping.case.stream_prefix + fact.case,
            version=number,
            event=fact.event,
            recorded_at=UNSTAMPED,
            metadata=Metadata(
                site=site,
                actor=mapping.actor,
                role="import",
                correlation_id=fact.case,
                command_id=f"import:{fact.case}:{number}",
                fingerprint=_fingerprint(fact, keyring),
                occurred_at=fact.occurred_at,
            ),
        )
        for number, fact in enumerate(facts, start=1)
    ]


def _fingerprint(fact: Fact, keyring: Keyring | None) -> str | None:
    if not fact.personal:
        return None
    assert keyring, "personal text needs a keyring"
    return keyring.fingerprint(canonical([fact.event.type, clear_data(fact.event), fact.personal]))


async def _record(
    wanted: Sequence[Recorded], facts: Sequence[Fact], store: EventStore, keyring: Keyring | None
) -> int:
    """How many of the facts were recorded before; all are afterwards. Raises Unmapped, Unavailable."""
    stream, metadata = wanted[0].stream, [each.metadata for each in wanted]
    events = [each.event for each in wanted]
    already: int | None = None
    for _ in range(ATTEMPTS):
        history = await store.stream(stream)
        _must_agree(history, wanted)
        if already is None:
            already = min(len(history), len(wanted))
        if not history and events[0] is facts[0].event:
            events[0] = await _sealed(facts[0], keyring)
        try:
            for version in range(len(history), len(wanted), CHUNK):
                chunk = slice(version, version + CHUNK)
                await store.append(stream, version, events[chunk], metadata[chunk])
        except (VersionConflict, OutcomeUnknown):
            continue  # what is stored now shows what is still missing
        return already
    raise Unavailable(f"{store.source} could not record {stream} after {ATTEMPTS} attempts")


async def _sealed(fact: Fact, keyring: Keyring | None) -> Event:
    if not fact.personal:
        return fact.event
    assert keyring
    subject, context = await keyring.subject_for({}), fact.event.type.rpartition(".")[0]
    texts = {f"{context}.{name}": text for name, text in fact.personal.items()}
    sealed = await keyring.seal_many(subject, texts)
    return fact.event.model_copy(
        update={name: sealed[f"{context}.{name}"] for name in fact.personal} | {"customer": subject}
    )


def _must_agree(history: Sequence[Recorded], wanted: Sequence[Recorded]) -> None:
    if history and history[0].metadata.site != wanted[0].metadata.site:
        raise Unmapped("its case is recorded at another site")
    for recorded, here in zip(history, wanted, strict=False):
        if not _same(recorded, here):
            raise Unmapped(
                f"its case is recorded otherwise: event {recorded.version} is {_told(recorded)}, "
                f"here {_told(here)}"
            )


def _same(recorded: Recorded, here: Recorded) -> bool:
    if recorded.occurred_at != here.occurred_at:
        return False
    if here.metadata.fingerprint:
        return recorded.metadata.fingerprint == here.metadata.fingerprint
    return recorded.event == here.event


def _told(recorded: Recorded) -> str:
    data = canonical(clear_data(recorded.event)).decode()
    sealed = " and what is sealed" if recorded.metadata.fingerprint else ""
    return f"{recorded.event.type} {data}{sealed} of {recorded.occurred_at:%Y-%m-%d %H:%M:%S}"


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
