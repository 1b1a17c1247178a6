"""The rules of a complaint."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eventlog.decider import Rejected
from events import Event, Sealed
from events.customer_care import (
    ComplaintRaised,
    ComplaintSignedOff,
    ComplaintTakenOver,
    DeadlineBreached,
    DeadlineDropped,
    DeadlineMet,
    DeadlineSet,
    Escalated,
    ForeignStateRecorded,
    NotificationSent,
)
from services.customer_care import commands as do
from services.customer_care.complaint import Complaint, complaint_decider
from services.customer_care.rulebook import SHIPPED, Rules

T0 = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)  # a Tuesday, ten o'clock in Shanghai
sealed = Sealed(subject="c-1", context="customer_care.complaint_raised.narrative", box="AAAA")
CLOCKS = (DeadlineSet, DeadlineMet, DeadlineBreached, DeadlineDropped, Escalated)


def hours(n: float) -> datetime:
    return T0 + timedelta(hours=n)


class Story:
    """One complaint told by the commands about it; `at` is in hours after it was raised."""

    def __init__(self, rules: Rules = SHIPPED) -> None:
        self.rules = rules
        self.events: list[Event] = []

    @property
    def state(self) -> Complaint:
        return complaint_decider("", self.rules).fold(self.events)

    def tell(self, command: do.Command, by: str = "agent") -> Sequence[Event]:
        decided = complaint_decider(by, self.rules).decide(command, self.state)
        self.events += decided
        return decided

    def raised(self, severity: str = "ordinary", channel: str = "phone", **more: Any) -> "Story":
        self.tell(raise_it(severity, channel, **more))
        return self

    def reached(self, at: float = 1) -> "Story":
        self.tell(contact(at))
        return self

    def planned(self, at: float = 2) -> "Story":
        self.tell(do.SignPlan(complaint_id="C1", at=hours(at), plan=sealed), by="manager")
        return self

    def agreed(self, at: float = 3) -> "Story":
        self.tell(resolve("repaired_again", at))
        return self

    def accepted(self, at: float = 4) -> "Story":
        self.tell(call_back("accepted", at))
        return self

    def refuses(self, command: do.Command, because: str, by: str = "agent") -> None:
        """The whole sentence: people read it."""
        with pytest.raises(Rejected) as rejected:
            self.tell(command, by)
        assert str(rejected.value) == because


def raise_it(severity: str = "ordinary", channel: str = "phone", **more: Any) -> do.RaiseComplaint:
    fields = {
        "complaint_id": "C1",
        "visit_id": "V1",
        "subject": "repair_service",
        "customer": "c-1",
        "customer_name": sealed,
        "phone": sealed,
        "narrative": sealed,
    }
    return do.RaiseComplaint.model_validate(
        fields | {"at": T0, "severity": severity, "channel": channel} | more
    )


def contact(at: float = 1, outcome: str = "reached", before_raised: bool = False) -> do.ContactCustomer:
    return do.ContactCustomer.model_validate(
        {
            "complaint_id": "C1",
            "at": hours(at),
            "channel": "phone",
            "outcome": outcome,
            "before_raised": before_raised,
        }
    )


def resolve(resolution: str, at: float = 3) -> do.ResolveComplaint:
    return do.ResolveComplaint.model_validate(
        {"complaint_id": "C1", "at": hours(at), "resolution": resolution}
    )


def call_back(outcome: str, at: float = 4) -> do.CallBack:
    return do.CallBack.model_validate({"complaint_id": "C1", "at": hours(at), "outcome": outcome})


def time_is_up(rule: str, at: float) -> do.TimeIsUp:
    return do.TimeIsUp(complaint_id="C1", rule=rule, at=hours(at))


def names(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def facts(events: Sequence[Event]) -> list[str]:
    return names([event for event in events if not isinstance(event, CLOCKS)])


def due(events: Sequence[Event]) -> dict[str, float]:
    """Rule → hours after T0."""
    return {e.rule: (e.due_at - T0) / timedelta(hours=1) for e in events if isinstance(e, DeadlineSet)}


# Raising


def test_a_customer_is_dissatisfied() -> None:
    """C-20, C-22, C-25, K-04: an ordinary complaint."""
    events = Story().tell(raise_it())
    assert facts(events) == ["ComplaintRaised"]
    assert due(events) == {"C-20": 0.5, "C-22.contact": 2, "C-22.agreement": 24, "C-22.call": 48}


def test_a_grievance_is_handled_within_a_day() -> None:
    """C-21."""
    events = Story().tell(raise_it("grievance"))
    assert due(events) == {"C-20": 0.5, "C-21.contact": 2, "C-21.return": 24, "C-21.call": 48}


def test_a_major_complaint_is_passed_to_the_general_manager_at_once() -> None:
    """C-23, K-02: with a slower first contact, as written."""
    events = Story().tell(raise_it("major"))
    assert due(events) == {
        "C-20": 0.5,
        "C-23.contact": 24,
        "C-23.agreement": 48,
        "C-23.return": 48,
        "C-23.call": 72,
    }
    assert [e.level for e in events if isinstance(e, Escalated)] == ["general_manager"]


def test_a_major_complaint_by_message_has_two_clocks() -> None:
    """K-03: all matching rules run."""
    events = due(Story().tell(raise_it("major", "message")))
    assert (events["C-23.contact"], events["C-24.contact"]) == (24, 2)
    assert (events["C-24.reply"], events["C-24.handled"]) == (24, 48)


def test_a_complaint_may_be_of_two_severities() -> None:
    events = due(Story().tell(raise_it("grievance", further_severities=("major",))))
    assert {"C-21.contact", "C-23.contact"} <= events.keys()


def test_a_complaint_is_raised_once() -> None:
    assert Story().raised().tell(raise_it()) == []


@pytest.mark.parametrize("command", [contact(), resolve("withdrawn"), time_is_up("C-20", 1)])
def test_a_complaint_begins_when_it_is_raised(command: do.Command) -> None:
    Story().refuses(command, "the complaint has not been raised")


# The steps


def test_the_form_is_handed_to_the_manager() -> None:
    """C-20, C-39."""
    story = Story().raised()
    hand_over = do.HandOver(complaint_id="C1", at=hours(0.4), to="department_manager")
    assert names(story.tell(hand_over)) == ["ComplaintHandedOver", "DeadlineMet"]
    assert story.tell(hand_over) == []


def test_care_reaches_the_customer() -> None:
    """C-21 … C-24: every attempt counts, the first that succeeds ends the clock."""
    story = Story().raised()
    assert names(story.tell(contact(1, "not_reached"))) == ["CustomerContacted"]
    assert names(story.tell(contact(2))) == ["CustomerContacted", "DeadlineMet"]
    assert names(story.tell(contact(5))) == ["CustomerContacted"]


def test_one_contact_ends_all_its_clocks() -> None:
    """K-03: each verdict names its rule."""
    events = Story().raised("major", "message").tell(contact(3))
    assert [
        (e.rule, type(e).__name__) for e in events[1:] if isinstance(e, DeadlineMet | DeadlineBreached)
    ] == [
        ("C-23.contact", "DeadlineMet"),
        ("C-24.contact", "DeadlineBreached"),
    ]


def test_a_contact_before_the_complaint_is_a_slip_unless_it_is_said_to_be_right() -> None:
    story = Story().raised()
    story.refuses(
        contact(-1), "this contact lies before the complaint was raised; say `before_raised` if that is right"
    )
    assert names(story.tell(contact(-1, before_raised=True))) == ["CustomerContacted", "DeadlineMet"]


LATER: tuple[tuple[type[do.AboutComplaint], dict[str, Any], float, str], ...] = (
    # What is entered late, when it is said to have been, and what it cannot have been before.
    (do.HandOver, {"to": "department_manager"}, -40 * 24, "the complaint was raised"),
    (do.NoteCause, {"cause": sealed}, -1, "the complaint was raised"),
    (do.Reclassify, {"subject": "other", "severities": ("major",), "reason": sealed}, -1,
     "the complaint was raised"),
    (do.Pause, {"waiting": "for_parts"}, -1, "the complaint was raised"),
    (do.ResolveComplaint, {"resolution": "withdrawn"}, -1, "the complaint was raised"),
    (do.Blame, {"person": "li"}, -1, "the complaint was raised"),
    (do.ReportToRegion, {}, -1, "the complaint was raised"),
    (do.SignPlan, {"plan": sealed}, 0.9, "the customer was reached"),
    (do.ResolveComplaint, {"resolution": "apology"}, 0.9, "the customer was reached"),
    (do.TellCustomer, {"channel": "phone"}, 1.9, "the plan was signed"),
    (do.CarryOutPlan, {}, 1.9, "the plan was signed"),
    (do.ReturnForm, {"result": sealed}, 2.9, "something was done about the complaint"),
    (do.CallBack, {"outcome": "accepted"}, 2.9, "something was done about the complaint"),
    (do.SignOff, {}, 3.9, "the customer was asked whether it is settled"),
    (do.Archive, {}, 4.9, "the general manager signed the form"),
)  # fmt: skip


TOLD = {
    "the customer was reached": 1,
    "the plan was signed": 2,
    "something was done about the complaint": 3,
    "the customer was asked whether it is settled": 4,
    "the general manager signed the form": 4,
}
"""How much of the story has been told by then."""


@pytest.mark.parametrize(("command", "says", "at", "what"), LATER)
def test_a_late_entry_lies_after_what_it_depends_on(
    command: type[do.AboutComplaint], says: dict[str, Any], at: float, what: str
) -> None:
    """Nothing is in time that cannot have happened then: a hand-over of forty days ago keeps no C-20."""
    story = Story().raised()
    for told in (story.reached, story.planned, story.agreed, story.accepted)[: TOLD.get(what, 0)]:
        told()
    if command is do.Archive:
        story.tell(do.SignOff(complaint_id="C1", at=hours(5)))

    def entered(hour: float) -> Any:
        return command.model_validate({"complaint_id": "C1", "at": hours(hour), **says})

    story.refuses(entered(at), f"this cannot have happened before {what}")
    assert facts(story.tell(entered(10)))


def test_pauses_do_not_overlap() -> None:
    story = Story().raised()
    story.tell(do.Pause(complaint_id="C1", at=hours(1), waiting="for_parts"))
    story.tell(do.Resume(complaint_id="C1", at=hours(3)))
    again = do.Pause(complaint_id="C1", at=hours(2), waiting="for_parts")
    story.refuses(again, "this cannot have happened before the pause before it ended")


def test_an_appeal_comes_after_the_blame_and_its_decision_after_the_appeal() -> None:
    """C-40; who is held responsible in another's place appeals after that."""
    story = Story().raised()
    for person, at in (("li", 5), ("wang", 8)):
        story.tell(do.Blame(complaint_id="C1", at=hours(at), person=person))
        appeal = do.Appeal(complaint_id="C1", at=hours(at - 1), reason=sealed)
        because = "this cannot have happened before somebody was held responsible"
        story.refuses(appeal, because, by=person)
        story.tell(appeal.model_copy(update={"at": hours(at + 1)}), by=person)
        decision = do.DecideAppeal(complaint_id="C1", at=hours(at), granted=False)
        story.refuses(decision, "this cannot have happened before the appeal was filed")


def test_the_first_time_counts_when_two_are_entered_in_another_order() -> None:
    story = Story().raised()
    story.tell(contact(4))
    story.tell(contact(1))
    assert facts(story.planned(2).events)[-1] == "PlanSigned"


def test_a_complaint_of_the_time_before_times_were_noted_goes_on() -> None:
    story = Story().raised().reached()
    story.events = [e.model_copy(update={"at": None}) if hasattr(e, "at") else e for e in story.events]
    assert facts(story.planned(0.5).events)[-1] == "PlanSigned"


def test_the_general_manager_signs_with_an_instruction_or_without() -> None:
    """C-26."""
    for instruction in (sealed, None):
        story = Story().raised().reached().agreed().accepted()
        sign = do.SignOff(complaint_id="C1", at=hours(5), instruction=instruction)
        assert [e.instruction for e in story.tell(sign) if isinstance(e, ComplaintSignedOff)] == [instruction]
        assert story.tell(sign) == []


def test_each_verdict_names_the_versions_it_was_given_by() -> None:
    """X-14."""
    story = Story().raised()
    story.tell(time_is_up("C-20", 1))
    story.reached()
    verdicts = [e for e in story.events if isinstance(e, DeadlineMet | DeadlineBreached)]
    assert {(e.rule, e.rulebook, e.calendar) for e in verdicts} == {("C-20", 1, 1), ("C-22.contact", 1, 1)}
    story.tell(do.HandOver(complaint_id="C1", at=hours(0.2), to="department_manager"))
    assert isinstance(entered_late := story.events[-1], DeadlineMet)
    assert (entered_late.rulebook, entered_late.calendar) == (1, 1)


def test_a_customer_counts_as_unreachable_after_three_attempts() -> None:
    """K-24."""
    story = Story().raised()
    give_up = do.GiveUpReaching(complaint_id="C1", at=hours(9))
    for n in range(3):
        story.refuses(give_up, f"the customer was tried {n} times of 3")
        story.tell(contact(n + 1, "not_reached"))
    assert names(story.tell(give_up)) == ["CustomerUnreachable"]
    assert story.tell(give_up) == []
    story.tell(do.SignPlan(complaint_id="C1", at=hours(10), plan=sealed))  # it goes on without them
    Story().raised().reached().refuses(give_up, "the customer has been reached")


def test_nobody_plans_before_the_customer_was_heard() -> None:
    Story().raised().refuses(
        do.SignPlan(complaint_id="C1", at=hours(1), plan=sealed), "the customer has not been reached yet"
    )


@pytest.mark.parametrize("command", [do.TellCustomer(complaint_id="C1", at=hours(2), channel="phone"),
                                     do.CarryOutPlan(complaint_id="C1", at=hours(2))])  # fmt: skip
def test_only_a_signed_plan_is_told_and_carried_out(command: do.Command) -> None:
    """C-25."""
    Story().raised().reached().refuses(command, "no plan has been signed yet")
    story = Story().raised().reached().planned()
    assert len(facts(story.tell(command))) == 1
    assert facts(story.tell(command)) == []


def test_the_plan_is_signed_by_who_gives_it() -> None:
    """C-25."""
    assert Story().raised().reached().planned().state.signed_by == "manager"


def test_the_cause_is_found() -> None:
    """C-36."""
    assert facts(Story().raised().tell(do.NoteCause(complaint_id="C1", at=hours(1), cause=sealed))) == [
        "CauseFound"
    ]


def test_what_was_carried_out_is_reported_back_within_a_day() -> None:
    """C-41."""
    story = Story().raised().reached().planned()
    assert due(story.tell(do.CarryOutPlan(complaint_id="C1", at=hours(5)))) == {"C-41": 29}
    returned = story.tell(do.ReturnForm(complaint_id="C1", at=hours(29), result=sealed))
    assert names(returned) == ["FormReturned", "DeadlineMet"]


def test_agreement_is_reached_once() -> None:
    """C-22."""
    story = Story().raised().reached()
    assert names(story.tell(resolve("repaired_again"))) == ["ComplaintResolved", "DeadlineMet"]
    assert story.tell(resolve("repaired_again")) == []
    story.refuses(resolve("refund"), "the complaint was already resolved: repaired_again")
    story.refuses(contact(5), "the complaint is already resolved")


def test_there_is_no_agreement_with_a_customer_nobody_reached() -> None:
    for story in (Story().raised(), Story().raised()):
        story.tell(contact(1, "not_reached"))
        story.refuses(resolve("repaired_again"), "the customer has not been reached yet")


def test_a_customer_may_withdraw_unasked_and_every_clock_stops() -> None:
    story = Story().raised()
    events = story.tell(resolve("withdrawn"))
    assert sorted(names(events)) == ["ComplaintResolved", *["DeadlineDropped"] * 4]
    assert not story.state.deadlines
    assert story.tell(resolve("withdrawn")) == []
    story.refuses(contact(), "the complaint is closed")


def test_nothing_goes_back_to_care_before_something_was_done() -> None:
    nothing = "nothing has been done about the complaint yet"
    Story().raised().reached().refuses(do.ReturnForm(complaint_id="C1", at=T0, result=sealed), nothing)
    Story().raised().reached().refuses(call_back("accepted"), nothing)


def test_care_makes_the_satisfaction_call_not_who_signed_the_plan() -> None:
    """C-25."""
    story = Story().raised().reached().planned().agreed()
    story.refuses(
        call_back("accepted"), "who signed the plan does not make the satisfaction call", by="manager"
    )
    assert names(story.tell(call_back("not_reached"))) == ["SatisfactionCallMade"]
    assert names(story.tell(call_back("accepted"))) == ["SatisfactionCallMade", "DeadlineMet"]
    assert story.tell(call_back("accepted")) == []
    story.refuses(call_back("objecting"), "the customer has answered already: accepted")


def test_the_general_manager_signs_and_the_form_is_archived_the_same_day() -> None:
    """C-27, C-28."""
    story = Story().raised().reached().agreed()
    sign_off = do.SignOff(complaint_id="C1", at=hours(5))
    story.refuses(sign_off, "the customer has not been asked yet whether it is settled")
    story.accepted()
    archive = do.Archive(complaint_id="C1", at=hours(6))
    story.refuses(archive, "the general manager has not signed the form yet")
    assert due(story.tell(sign_off)) == {"C-28": 14}  # midnight at the site
    assert story.tell(sign_off) == []
    ended = story.tell(archive)
    assert [e.rule for e in ended if isinstance(e, DeadlineMet)] == ["C-28"]
    assert [e.rule for e in ended if isinstance(e, DeadlineDropped)] == ["C-20"]  # it was never handed over
    assert story.tell(archive) == []
    assert not story.state.deadlines
    story.refuses(call_back("objecting"), "the complaint is closed")


def test_the_form_of_a_customer_who_does_not_answer_is_signed_after_three_calls() -> None:
    """K-24."""
    story = Story().raised().reached().agreed()
    for at in (4, 5, 6):
        story.tell(call_back("not_reached", at))
    assert facts(story.tell(do.SignOff(complaint_id="C1", at=hours(7)))) == ["ComplaintSignedOff"]


def test_who_is_blamed_may_appeal_and_a_granted_appeal_voids_the_complaint() -> None:
    """C-38, C-40."""
    story = Story().raised()
    appeal = do.Appeal(complaint_id="C1", at=hours(2), reason=sealed)
    decide = do.DecideAppeal(complaint_id="C1", at=hours(3), granted=True)
    story.refuses(decide, "nobody has appealed")
    story.refuses(appeal, "only who is held responsible may appeal", by="mechanic")
    assert facts(story.tell(do.Blame(complaint_id="C1", at=hours(1), person="mechanic"))) == ["BlameAssigned"]
    assert story.tell(do.Blame(complaint_id="C1", at=hours(1), person="mechanic")) == []
    assert facts(story.tell(appeal, by="mechanic")) == ["AppealFiled"]
    assert story.tell(appeal, by="mechanic") == []
    assert facts(story.tell(decide)) == ["AppealDecided"]
    assert story.tell(decide) == []
    assert not story.state.deadlines
    story.refuses(contact(), "the complaint is closed")


def test_who_is_blamed_next_may_appeal_too() -> None:
    """C-40."""
    story = Story().raised()
    for person in ("mechanic", "clerk"):
        story.tell(do.Blame(complaint_id="C1", at=hours(1), person=person))
        appeal = do.Appeal(complaint_id="C1", at=hours(2), reason=sealed)
        assert facts(story.tell(appeal, by=person)) == ["AppealFiled"]
        story.tell(do.DecideAppeal(complaint_id="C1", at=hours(3), granted=False))


def test_a_refused_appeal_changes_nothing_else() -> None:
    """C-41."""
    story = Story().raised()
    story.tell(do.Blame(complaint_id="C1", at=hours(1), person="mechanic"))
    story.tell(do.Appeal(complaint_id="C1", at=hours(2), reason=sealed), by="mechanic")
    story.tell(do.DecideAppeal(complaint_id="C1", at=hours(3), granted=False))
    story.refuses(
        do.DecideAppeal(complaint_id="C1", at=hours(3), granted=True), "the appeal has been decided"
    )
    assert story.state.deadlines


def test_the_region_is_told_once_even_of_a_closed_complaint() -> None:
    """C-26, X-07."""
    story = Story().raised()
    story.tell(resolve("withdrawn"))
    report = do.ReportToRegion(complaint_id="C1", at=hours(9))
    assert facts(story.tell(report)) == ["ReportedToRegion"]
    assert story.tell(report) == []


# Class changes and pauses


def test_another_class_has_other_deadlines_from_the_same_start() -> None:
    """C-31."""
    story = Story().raised("grievance").reached()
    worse = do.Reclassify(
        complaint_id="C1", at=hours(6), subject="repair_service", severities=("major",), reason=sealed
    )
    events = story.tell(worse)
    assert {e.rule for e in events if isinstance(e, DeadlineDropped)} == {"C-21.return", "C-21.call"}
    # The customer was reached: that is not asked for again.
    assert due(events) == {"C-23.agreement": 48, "C-23.return": 48, "C-23.call": 72}
    assert [e.level for e in events if isinstance(e, Escalated)] == ["general_manager"]
    assert story.tell(worse) == []


def test_a_further_severity_keeps_the_deadlines_there_are() -> None:
    story = Story().raised("grievance")
    events = story.tell(
        do.Reclassify(
            complaint_id="C1", at=hours(1), subject="other", severities=("grievance", "major"), reason=sealed
        )
    )
    assert not [e for e in events if isinstance(e, DeadlineDropped)]
    assert {"C-21.contact", "C-23.contact"} <= story.state.deadlines.keys()


def test_a_complaint_keeps_one_severity_at_least() -> None:
    Story().raised().refuses(
        do.Reclassify(complaint_id="C1", at=T0, subject="other", severities=(), reason=sealed),
        "a complaint has one severity at least",
    )


def test_a_pause_makes_what_was_not_due_later_by_as_long() -> None:
    story = Story().raised()
    story.tell(do.HandOver(complaint_id="C1", at=hours(0.1), to="department_manager"))
    pause = do.Pause(complaint_id="C1", at=hours(1), waiting="for_parts")
    assert names(story.tell(pause)) == ["ComplaintPaused"]
    assert story.tell(pause) == []
    assert story.tell(time_is_up("C-22.contact", 3)) == []
    resume = do.Resume(complaint_id="C1", at=hours(11))
    story.refuses(do.Resume(complaint_id="C1", at=T0), "the pause had not begun by then")
    events = story.tell(resume)
    assert due(events) == {"C-22.contact": 12, "C-22.agreement": 34, "C-22.call": 58}
    assert story.tell(resume) == []


def test_what_had_passed_before_a_pause_is_overdue_although_the_clock_task_comes_later() -> None:
    story = Story().raised()
    story.tell(do.Pause(complaint_id="C1", at=hours(1), waiting="for_parts"))
    assert names(story.tell(time_is_up("C-20", 1)))[0] == "DeadlineBreached"
    assert "C-20" not in due(story.tell(do.Resume(complaint_id="C1", at=hours(5))))


def test_what_is_done_while_the_clocks_stand_still_is_in_time() -> None:
    story = Story().raised().reached()
    story.tell(do.Pause(complaint_id="C1", at=hours(5), waiting="for_parts"))
    verdicts = [e for e in story.tell(resolve("repaired_again", 80)) if isinstance(e, CLOCKS)]
    assert names(verdicts) == ["DeadlineMet"]


def test_a_deadline_that_begins_during_a_pause_waits_for_the_rest_of_it_only() -> None:
    story = Story().raised().reached().planned()
    story.tell(do.Pause(complaint_id="C1", at=hours(5), waiting="for_parts"))
    story.tell(do.CarryOutPlan(complaint_id="C1", at=hours(75)))
    assert due(story.tell(do.Resume(complaint_id="C1", at=hours(76))))["C-41"] == 75 + 24 + 1


def test_another_class_keeps_the_pauses_there_were() -> None:
    story = Story().raised().reached()
    story.tell(do.Pause(complaint_id="C1", at=hours(5), waiting="for_parts"))
    story.tell(do.Resume(complaint_id="C1", at=hours(77)))
    change = do.Reclassify(
        complaint_id="C1", at=hours(78), subject="other", severities=("grievance",), reason=sealed
    )
    assert due(story.tell(change)) == {"C-21.return": 24 + 72, "C-21.call": 48 + 72}


def test_another_class_and_back_goes_up_the_ladder_again() -> None:
    story = Story().raised()
    story.tell(time_is_up("C-22.contact", 2))
    for at, severity in ((2.1, "grievance"), (2.2, "ordinary")):
        story.tell(
            do.Reclassify.model_validate(
                {
                    "complaint_id": "C1",
                    "at": hours(at),
                    "subject": "other",
                    "severities": (severity,),
                    "reason": sealed,
                }
            )
        )
    assert names(story.tell(time_is_up("C-22.contact", 3.5))) == [
        "DeadlineBreached",
        "Escalated",
        "Escalated",
    ]


def test_what_is_overdue_goes_up_the_ladder_during_a_pause_too() -> None:
    story = Story().raised()
    story.tell(time_is_up("C-20", 0.5))
    story.tell(do.Pause(complaint_id="C1", at=hours(1), waiting="for_customer"))
    assert [e.level for e in story.tell(time_is_up("C-20", 1.5)) if isinstance(e, Escalated)] == [
        "department_manager"
    ]


# The ladder


def test_a_deadline_that_passes_is_one_breach_and_goes_up_rung_by_rung() -> None:
    story = Story().raised()
    assert story.tell(time_is_up("C-22.contact", 1.99)) == []
    assert names(story.tell(time_is_up("C-22.contact", 2))) == ["DeadlineBreached", "Escalated"]
    assert story.tell(time_is_up("C-22.contact", 2.5)) == []
    levels = [
        [e.level for e in story.tell(time_is_up("C-22.contact", at)) if isinstance(e, Escalated)]
        for at in (3, 6, 26, 30)
    ]
    assert levels == [["department_manager"], ["general_manager"], ["region"], []]


def test_what_was_due_while_nobody_looked_is_made_up_for_once() -> None:
    story = Story().raised()
    events = story.tell(time_is_up("C-22.contact", 10))
    assert [e.level for e in events if isinstance(e, Escalated)] == [
        "advisor",
        "department_manager",
        "general_manager",
    ]
    assert story.tell(time_is_up("C-22.contact", 10)) == []


def test_each_step_says_when_the_next_is_told() -> None:
    story = Story().raised()
    events = [*story.tell(time_is_up("C-22.contact", 2)), *story.tell(time_is_up("C-22.contact", 26))]
    assert [getattr(e, "next_at", None) for e in events] == [hours(2), hours(3), hours(6), hours(26), None]


def test_nobody_is_told_once_the_step_is_done() -> None:
    story = Story().raised()
    story.tell(time_is_up("C-22.contact", 2))
    assert names(story.tell(contact(2.5))) == ["CustomerContacted"]
    assert story.tell(time_is_up("C-22.contact", 3)) == []


def test_a_late_entry_shows_that_a_deadline_was_kept_after_all() -> None:
    story = Story().raised()
    story.tell(time_is_up("C-22.contact", 2))
    assert names(story.tell(contact(1.5))) == ["CustomerContacted", "DeadlineMet"]


def test_an_escalation_is_notified_once_by_each_channel() -> None:
    story = Story().raised()
    story.tell(time_is_up("C-20", 0.5))
    for channel in ("mail", "hook"):
        note = do.NoteNotification(
            complaint_id="C1", at=hours(1), escalation="complaint-C1@7", level="advisor", channel=channel
        )
        assert [e.channel for e in story.tell(note) if isinstance(e, NotificationSent)] == [channel]
        assert story.tell(note) == []


# Versions


def newer(version: int, effective: datetime, minutes: int) -> Rules:
    [first] = SHIPPED.rulebooks
    rules = tuple(rule.model_copy(update={"minutes": minutes}) for rule in first.rules if rule.minutes)
    later = first.model_copy(update={"version": version, "effective": effective, "rules": rules})
    return Rules([first, later], SHIPPED.calendars)


def test_a_later_version_of_the_rules_changes_no_deadline_that_was_set() -> None:
    """X-14, X-15."""
    story = Story().raised()
    story.rules = newer(2, hours(1), minutes=5)
    assert story.tell(time_is_up("C-22.contact", 1.9)) == []
    assert story.state.deadlines["C-22.contact"].set.rulebook == 1
    events = story.tell(
        do.Reclassify(
            complaint_id="C1", at=hours(3), subject="other", severities=("grievance",), reason=sealed
        )
    )
    assert due(events)["C-21.return"] == 24  # the clock had started under version 1
    story.reached(4).planned(5)
    [returned] = [
        e
        for e in story.tell(do.CarryOutPlan(complaint_id="C1", at=hours(6)))
        if isinstance(e, DeadlineSet) and e.rule == "C-41"
    ]
    assert (returned.rulebook, returned.due_at) == (2, hours(6) + timedelta(minutes=5))


def test_a_complaint_of_the_time_before_there_were_clocks_goes_on_without_them() -> None:
    fields = raise_it().model_dump(exclude={"at", "further_severities", "follows"})
    story = Story()
    story.events = [ComplaintRaised(**fields)]
    assert names(story.tell(contact(1))) == ["CustomerContacted"]
    assert facts(story.tell(resolve("refund"))) == ["ComplaintResolved"]


# From another system


def taken_over(*later: ForeignStateRecorded) -> Story:
    story = Story()
    first = ComplaintTakenOver(complaint_id="C1", origin="old DMS", state="New", meaning="open")
    story.events = [first, *later]
    return story


closed_there = ForeignStateRecorded(complaint_id="C1", state="Closed", meaning="closed")
unknown_there = ForeignStateRecorded(complaint_id="C1", state="Unmatched")
reopened_there = ForeignStateRecorded(complaint_id="C1", state="Active", meaning="open")
OVER = "the complaint ended in the system it was taken over from"


def test_a_complaint_from_another_system_goes_on_here() -> None:
    """X-12."""
    story = taken_over()
    assert names(story.tell(contact(1))) == ["CustomerContacted"]
    assert facts(story.tell(resolve("repaired_again"))) == ["ComplaintResolved"]


def test_a_complaint_is_taken_over_instead_of_raised() -> None:
    assert taken_over().tell(raise_it()) == []


@pytest.mark.parametrize("command", [contact(), resolve("repaired_again"), resolve("withdrawn")])
def test_what_ended_elsewhere_is_over(command: do.Command) -> None:
    taken_over(closed_there).refuses(command, OVER)
    story = Story()
    story.events = [ComplaintTakenOver(complaint_id="C1", origin="old DMS", state="X", meaning="closed")]
    story.refuses(command, OVER)


def test_a_state_without_a_meaning_changes_nothing() -> None:
    assert names(taken_over(unknown_there).tell(contact(1))) == ["CustomerContacted"]
    taken_over(closed_there, unknown_there).refuses(contact(1), OVER)


def test_what_was_reopened_elsewhere_is_open() -> None:
    assert names(taken_over(closed_there, reopened_there).tell(contact(1))) == ["CustomerContacted"]
