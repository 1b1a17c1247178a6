"""The rules of intake: what is seen, found and signed when a vehicle comes."""

from typing import Any

import pytest

from events import Event
from events.lines import revision_hash
from events.reception import (
    Checked,
    Damage,
    ManagerTookPart,
    MobilityProvided,
    PapersVerified,
    PhotoTaken,
    ProtectiveSetFitted,
    SymptomRecorded,
    UnderbodyInspected,
    ValuablesHandedOver,
    VehicleHandedToWorkshop,
    WalkAroundRecorded,
    WalkAroundSigned,
)
from events.walk_around import ENGINE_BAY, ITEMS
from services.reception.commands import (
    Command,
    FitProtectiveSet,
    HandOverValuables,
    InspectUnderbody,
    ProvideMobility,
    RecordSymptom,
    RecordWalkAround,
    SignWalkAround,
    TakePart,
    TakePhoto,
    VerifyPapers,
)
from services.reception.intake import hash_of, missing_before_hand_over, missing_before_signature
from tests.deciders import VISIT
from tests.reception.test_visit import received
from tests.spec import Spec

visit = Spec(VISIT)
V1: dict[str, Any] = {"visit_id": "V1", "work_order_id": "V1"}

noise = RecordSymptom(visit_id="V1", description="noise when turning left", kind="symptom")
noted = SymptomRecorded(**V1, description="noise when turning left", kind="symptom")
compare = VerifyPapers(visit_id="V1", driving_licence=True, maintenance_manual=True, phone=True)
compared = PapersVerified(**V1, driving_licence=True, maintenance_manual=True, phone=True)
fit = FitProtectiveSet(visit_id="V1")
fitted = ProtectiveSetFitted(**V1)
find = HandOverValuables(visit_id="V1", items=("sunglasses",))
found = ValuablesHandedOver(**V1, items=("sunglasses",))
take = TakePhoto(visit_id="V1", photo="ab" * 32, of="damage", width=640, height=480, note="door")
taken = PhotoTaken(**V1, photo="ab" * 32, of="damage", width=640, height=480, note="door")
checks = tuple(Checked(item=item, ok=item != "left_side") for item in ITEMS)
scratch = Damage(view="left", x=310, y=540, kind="scratch", note="5 cm")
walk = RecordWalkAround(visit_id="V1", after=0, checks=checks, damages=(scratch,), fuel_eighths=3)
unhashed = WalkAroundRecorded(**V1, revision=1, hash="", checks=checks, damages=(scratch,), fuel_eighths=3)
walked = unhashed.model_copy(update={"hash": hash_of(unhashed)})
rewalk = walk.model_copy(update={"after": 1, "fuel_eighths": 4})
unhashed = walked.model_copy(update={"revision": 2, "fuel_eighths": 4})
rewalked = unhashed.model_copy(update={"hash": hash_of(unhashed)})
sign = SignWalkAround(visit_id="V1", hash=walked.hash, signature="cd" * 32)
signed = WalkAroundSigned(**V1, hash=walked.hash, signature="cd" * 32)
lift = InspectUnderbody(visit_id="V1", findings=("stone chips",))
lifted = UnderbodyInspected(**V1, findings=("stone chips",))
lend = ProvideMobility(visit_id="V1", kind="loan_car", vehicle="courtesy car 3")
lent = MobilityProvided(**V1, kind="loan_car", vehicle="courtesy car 3")
pay = ProvideMobility(visit_id="V1", kind="subsidy", amount_fen=5_000)
paid = MobilityProvided(**V1, kind="subsidy", amount_fen=5_000)
be_there = TakePart(visit_id="V1")
was_there = ManagerTookPart(**V1)
in_workshop = VehicleHandedToWorkshop(**V1, keys=1, papers=())
first_service = received.model_copy(update={"first_service": True})


@pytest.mark.parametrize(
    ("command", "fact"),
    [
        (noise, noted),
        (compare, compared),
        (fit, fitted),
        (find, found),
        (take, taken),
        (walk, walked),
        (lift, lifted),
        (lend, lent),
        (pay, paid),
        (be_there, was_there),
    ],
)
def test_what_is_found_is_recorded_once(command: Command, fact: Event) -> None:
    """R-31, R-33, R-35, R-37, R-40, R-42, R-45, R-54, R-58: said again, it changes nothing."""
    visit.given(received).when(command).then(fact)
    visit.given(received, fact).when(command).then_nothing()
    visit.given().when(command).then_rejected("the vehicle has not been received")


def test_every_symptom_is_written_down_by_itself() -> None:
    """R-41, R-42: also those that the customer named at once."""
    again = RecordSymptom(visit_id="V1", description="squeals when braking", kind="symptom")
    visit.given(received).when(again).then_nothing()
    oil = RecordSymptom(visit_id="V1", description="oil change", kind="maintenance")
    wanted = SymptomRecorded(**V1, description="oil change", kind="maintenance")
    visit.given(received, noted).when(oil).then(wanted)


def test_the_steps_may_come_in_any_order() -> None:
    """R-32: when it is busy, the walk-around and the protection come before everything else."""
    visit.given(received, walked, signed, fitted).when(compare).then(compared)
    visit.given(received, fitted).when(walk).then(walked)


def test_papers_of_which_none_was_compared_are_not_verified() -> None:
    """R-45."""
    none = VerifyPapers(visit_id="V1", driving_licence=False, maintenance_manual=False, phone=False)
    visit.given(received).when(none).then_rejected(
        "nothing was compared: neither driving licence nor manual nor phone"
    )


def test_papers_that_come_later_are_verified_later() -> None:
    """R-45, R-52."""
    licence = compared.model_copy(update={"maintenance_manual": False, "phone": False})
    visit.given(received, licence).when(compare).then(compared)


def test_nothing_found_is_a_finding_too() -> None:
    """R-35."""
    nothing = HandOverValuables(visit_id="V1", items=())
    visit.given(received).when(nothing).then(ValuablesHandedOver(**V1, items=()))
    visit.given(received, found).when(nothing).then(ValuablesHandedOver(**V1, items=()))


def test_the_walk_around_goes_around() -> None:
    """R-38: in its order, whatever order it is told in; the bonnet comes last."""
    mixed = walk.model_copy(update={"checks": tuple(reversed(checks))})
    visit.given(received).when(mixed).then(walked)
    assert ITEMS[0] == "windscreen"
    assert ITEMS[-1] == "engine_bay"


def test_every_item_of_the_walk_around_is_looked_at() -> None:
    """R-37, R-38."""
    visit.given(received).when(walk.model_copy(update={"checks": checks[2:]})).then_rejected(
        "not looked at yet: windscreen, roof"
    )
    visit.given(received).when(walk.model_copy(update={"checks": (*checks, checks[0])})).then_rejected(
        "an item of the walk-around is there twice"
    )


def test_three_colours_under_the_bonnet() -> None:
    """R-39."""
    assert ENGINE_BAY == {"yellow": "operator_checks", "red": "do_not_touch", "black": "better_not_open"}


def test_the_customer_signs_what_was_found() -> None:
    """R-33: all of it, and it is known by its hash."""
    visit.given(received, walked).when(sign).then(signed)
    visit.given(received, walked, signed).when(sign).then_nothing()
    said = walked.model_dump(mode="json", exclude={"hash"})
    assert walked.hash == revision_hash(said)
    assert {"checks", "damages", "fuel_eighths", "revision", "visit_id"} <= said.keys()


def test_there_is_nothing_to_sign_before_the_walk_around() -> None:
    """R-33."""
    visit.given(received).when(sign).then_rejected("there is no walk-around to sign yet")


def test_who_cannot_sign_on_a_screen_signs_on_paper() -> None:
    """R-33: and the paper is photographed."""
    paper = sign.model_copy(update={"signature": "ab" * 32, "on_paper": True})
    of_paper = taken.model_copy(update={"of": "paper"})
    for photos in ([], [taken], [of_paper.model_copy(update={"photo": "ef" * 32})]):
        visit.given(received, walked, *photos).when(paper).then_rejected(
            "take a photo of the signed paper first"
        )
    on_paper = signed.model_copy(update={"signature": "ab" * 32})
    visit.given(received, walked, of_paper).when(paper).then(on_paper)


def test_a_new_recording_makes_the_signature_void() -> None:
    """R-33."""
    visit.given(received, walked, signed).when(rewalk).then(rewalked)
    changed = [received, walked, signed, rewalked]
    assert missing_before_hand_over(VISIT.fold(changed)) == [
        "the customer has not signed the current walk-around yet"
    ]
    visit.given(*changed).when(sign).then_rejected(
        "the walk-around has changed: show the customer revision 2"
    )
    resign = sign.model_copy(update={"hash": rewalked.hash})
    signed_again = signed.model_copy(update={"hash": rewalked.hash})
    visit.given(*changed).when(resign).then(signed_again)
    assert missing_before_hand_over(VISIT.fold([*changed, signed_again])) == []


def test_two_advisors_who_finish_the_same_intake_do_not_overwrite_each_other() -> None:
    """R-33: the second, who found something else, is told; one who found the same changes nothing."""
    other = walk.model_copy(update={"damages": ()})
    visit.given(received, walked).when(other).then_rejected(
        "somebody else recorded revision 1 of this walk-around: look at it first"
    )
    visit.given(received, walked, rewalked).when(other.model_copy(update={"after": 1})).then_rejected(
        "somebody else recorded revision 2 of this walk-around: look at it first"
    )
    visit.given(received, walked).when(walk).then_nothing()


def test_at_the_first_service_the_underbody_is_inspected_before_the_order_is_signed() -> None:
    """R-40."""
    assert missing_before_signature(VISIT.fold([first_service])) == [
        "at the first service the underbody is inspected before the work order is signed"
    ]
    assert missing_before_signature(VISIT.fold([first_service, lifted])) == []
    assert missing_before_signature(VISIT.fold([received])) == []


def test_mobility_names_what_is_given() -> None:
    """R-54."""
    visit.given(received).when(lend.model_copy(update={"vehicle": None})).then_rejected(
        "say which loan car it is"
    )
    for amount in (None, 0):
        visit.given(received).when(pay.model_copy(update={"amount_fen": amount})).then_rejected(
            "say how much the subsidy is"
        )


def test_it_is_known_whether_the_manager_took_part() -> None:
    """R-58."""
    assert not VISIT.fold([received]).intake.manager_took_part
    assert VISIT.fold([received, was_there]).intake.manager_took_part


@pytest.mark.parametrize("command", [noise, compare, fit, find, walk, lift])
def test_intake_ends_where_the_workshop_begins(command: Command) -> None:
    """R-57: the walk-around comes before the repair."""
    visit.given(received, in_workshop).when(command).then_rejected(
        "the vehicle is in the workshop: its intake is finished"
    )


@pytest.mark.parametrize(("command", "fact"), [(take, taken), (lend, lent), (be_there, was_there)])
def test_some_things_happen_later_too(command: Command, fact: Event) -> None:
    """R-33, R-54, R-58."""
    visit.given(received, in_workshop).when(command).then(fact)


def test_what_was_done_before_may_be_said_again_in_the_workshop() -> None:
    visit.given(received, fitted, in_workshop).when(fit).then_nothing()
