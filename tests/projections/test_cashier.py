"""What a settlement comes to is the same for who reads it and for who decides."""

from collections import Counter
from collections.abc import Sequence

from events import Event
from events.reception import (
    CreditReleased,
    DeliveryCheckFailed,
    GatePassUsed,
    PaymentReceived,
    PaymentRefunded,
)
from projections.facts import fact
from projections.projection import Document
from projections.visit_file.cashier import Stand, at_cashier, charged, current, owed_fen, stand
from projections.visit_file.projection import VISIT_FILE
from services.reception.settlement import billed
from tests.deciders import VISIT
from tests.properties.house import walk
from tests.reception.test_gate_pass import released, used
from tests.reception.test_settlement import credited, paid, payable, prepared, refunded, settled
from tests.recording import recorded


def file_of(log: Sequence[Event]) -> Document:
    file: Document | None = None
    for n, event in enumerate(log):
        if isinstance(event, VISIT_FILE.handles):
            file = VISIT_FILE.evolve(file, fact(recorded(event, n + 1)))
    return file or {}


def test_every_bill_that_is_shown_is_the_one_that_is_decided_on() -> None:
    """R-76 … R-81: the same lines, the same sum owed, whatever was added, settled again, paid or refunded."""
    seen: Counter[type[Event]] = Counter()
    for seed in range(400):
        log = walk(seed)
        file, visit = file_of(log), VISIT.fold(e for e in log if e.type.startswith("reception."))
        assert (current(file) is None) == (visit.settlement.hash is None), seed
        if visit.settlement.hash is None:
            assert charged(file) == list(billed(visit)), seed
        else:
            assert owed_fen(file) == visit.settlement.owed_fen, seed
        seen.update({type(event) for event in log})
    assert all(seen[each] for each in (PaymentRefunded, PaymentReceived, CreditReleased, DeliveryCheckFailed))


def test_the_cashier_sees_what_is_next() -> None:
    """R-80, R-81, X-19: to pay, to release, to leave; on credit it stays until it is paid."""

    def stands(*more: Event) -> Stand | None:
        return stand(file_of([*payable, *more]))

    assert stand(file_of([*settled[:-2]])) is None
    assert stand(file_of(settled)) == "to_sign"
    assert stands() == "to_pay"
    assert stands(paid) == "to_release"
    assert stands(paid, released) == "to_leave"
    assert stands(paid, released, refunded) == "to_pay"
    assert stands(credited, released, used) == "on_credit"
    assert stands(credited, released, used, paid) == "done"
    assert stands(paid, prepared.model_copy(update={"customer_fen": 90_000})) == "to_sign"
    assert at_cashier(file_of([*payable, credited, released, used]))
    assert not at_cashier(file_of([*payable, paid, released, used]))
    assert not at_cashier(file_of(settled))
    assert isinstance(used, GatePassUsed)
