"""A complaint: raised by a customer, handed to who answers for it, settled, and never forgotten on the way.

What is done about it are facts; what follows for its deadlines is worked out from them, by the rules in force
when the clock of each started.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial, reduce
from types import MappingProxyType
from typing import assert_never

from eventlog.decider import Decider, Rejected
from events import Event
from events.customer_care import (
    ENDED,
    AppealDecided,
    AppealFiled,
    BlameAssigned,
    CauseFound,
    ComplaintArchived,
    ComplaintHandedOver,
    ComplaintPaused,
    ComplaintRaised,
    ComplaintReclassified,
    ComplaintResolved,
    ComplaintResumed,
    ComplaintSignedOff,
    ComplaintTakenOver,
    CustomerContacted,
    CustomerTold,
    CustomerUnreachable,
    DeadlineBreached,
    DeadlineDropped,
    DeadlineMet,
    DeadlineSet,
    Escalated,
    ForeignStateRecorded,
    FormReturned,
    NotificationSent,
    PlanCarriedOut,
    PlanSigned,
    ReportedToRegion,
    Resolution,
    SatisfactionCallMade,
    Subject,
)
from events.rulebook import Channel, Level, Rule, Severity, Start, Step
from services.customer_care import commands as do
from services.customer_care.rulebook import Rules, due, matching
from services.working_time import NoWorkingTime, work_between, work_done


@dataclass(frozen=True, slots=True)
class Deadline:
    """One that still has to be kept, or that has passed with its step not done."""

    set: DeadlineSet
    breached: bool = False
    told: int = 0
    """How many rungs of the ladder have been climbed."""

    def stands_still(self, paused_at: datetime | None) -> bool:
        """What had passed before a pause is overdue all the same."""
        return paused_at is not None and not self.breached and paused_at <= self.set.due_at


@dataclass(frozen=True, slots=True)
class Complaint:
    id: str = ""
    raised_at: datetime | None = None
    channel: Channel = "phone"
    subject: Subject = "other"
    severities: frozenset[Severity] = frozenset()
    holder: Level | None = None
    ended_elsewhere: bool = False
    """In the system it was taken over from."""
    attempts: int = 0
    unreachable: bool = False
    signed_by: str | None = None
    resolution: Resolution | None = None
    call: str | None = None
    calls: int = 0
    signed_off: bool = False
    blamed: str | None = None
    appeal: bool | None = None
    """Whether it was granted."""
    appealed: bool = False
    reported: bool = False
    paused_at: datetime | None = None
    pauses: tuple[tuple[datetime, datetime], ...] = ()
    """Those that have ended."""
    done: frozenset[Step] = frozenset()
    deadlines: Mapping[str, Deadline] = field(default_factory=dict)
    """By rule."""
    happened: Mapping[str, datetime] = field(default_factory=dict)
    """When that was first on which something else depends."""
    notified: frozenset[tuple[str, str]] = frozenset()
    """(escalation, channel)"""

    @property
    def reached(self) -> bool:
        return "first_contact" in self.done

    @property
    def ended(self) -> bool:
        return "archived" in self.done or self.resolution == "withdrawn" or self.appeal is True


def decide(command: do.Command, complaint: Complaint, by: str, rules: Rules) -> list[Event]:
    """`by` is who gives the command, `rules` are those of the site."""
    if not complaint.id and not isinstance(command, do.RaiseComplaint):
        raise Rejected("the complaint has not been raised")
    if complaint.ended_elsewhere:
        raise Rejected("the complaint ended in the system it was taken over from")
    match command:
        case do.TimeIsUp():
            return list(time_is_up(command, complaint, rules))
        case do.NoteNotification():
            return _notified(command, complaint)
    facts = _facts(command, complaint, by, rules)
    if facts:
        _must_be_in_order(command, complaint)
    return [*facts, *consequences(facts, complaint, command.at, rules)]


def _facts(command: do.Command, complaint: Complaint, by: str, rules: Rules) -> list[Event]:
    """What happened, if it may; nothing if it is known already."""
    id = command.complaint_id
    if complaint.ended and not isinstance(command, do.RaiseComplaint | do.ReportToRegion):
        return _of_ended(command, complaint)
    match command:
        case do.RaiseComplaint(at=at):
            fields = command.model_dump(exclude={"at"})
            return [] if complaint.id else [ComplaintRaised(**fields, raised_at=at)]
        case do.HandOver(to=to):
            return [] if complaint.holder == to else [ComplaintHandedOver(complaint_id=id, to=to)]
        case do.ContactCustomer(at=at, channel=channel, outcome=outcome, before_raised=intended):
            if complaint.resolution:
                raise Rejected("the complaint is already resolved")
            if complaint.raised_at and at < complaint.raised_at and not intended:
                raise Rejected(
                    "this contact lies before the complaint was raised; say `before_raised` if that is right"
                )
            return [CustomerContacted(complaint_id=id, channel=channel, outcome=outcome, at=at)]
        case do.GiveUpReaching(at=at):
            needed = rules.rulebook(complaint.raised_at or at).attempts
            if complaint.reached:
                raise Rejected("the customer has been reached")
            if complaint.attempts < needed:
                raise Rejected(f"the customer was tried {complaint.attempts} times of {needed}")
            if complaint.unreachable:
                return []
            return [CustomerUnreachable(complaint_id=id, attempts=complaint.attempts, at=at)]
        case do.NoteCause(cause=cause):
            return [CauseFound(complaint_id=id, cause=cause)]
        case do.SignPlan(at=at, plan=plan):
            _must_be_reached(complaint)
            return [PlanSigned(complaint_id=id, plan=plan, signed_by=by, at=at)]
        case do.TellCustomer(channel=channel):
            _must_be_planned(complaint)
            return [] if "told" in complaint.done else [CustomerTold(complaint_id=id, channel=channel)]
        case do.CarryOutPlan(at=at):
            _must_be_planned(complaint)
            return [] if "carried_out" in complaint.done else [PlanCarriedOut(complaint_id=id, at=at)]
        case do.ResolveComplaint(at=at, resolution=resolution):
            if complaint.resolution == resolution:
                return []
            if complaint.resolution:
                raise Rejected(f"the complaint was already resolved: {complaint.resolution}")
            if resolution != "withdrawn":
                _must_be_reached(complaint)
            return [ComplaintResolved(complaint_id=id, resolution=resolution, at=at)]
        case do.ReturnForm(result=result, improvement=improvement):
            _must_be_acted_on(complaint)
            return [FormReturned(complaint_id=id, result=result, improvement=improvement)]
        case do.CallBack(at=at, outcome=outcome, opinion=opinion):
            _must_be_acted_on(complaint)
            if by == complaint.signed_by:
                raise Rejected("who signed the plan does not make the satisfaction call")
            if complaint.call == outcome:
                return []
            if complaint.call:
                raise Rejected(f"the customer has answered already: {complaint.call}")
            return [SatisfactionCallMade(complaint_id=id, outcome=outcome, opinion=opinion, at=at)]
        case do.SignOff(at=at, instruction=instruction):
            gave_up = complaint.calls >= rules.rulebook(complaint.raised_at or at).attempts
            if not complaint.call and not gave_up:
                raise Rejected("the customer has not been asked yet whether it is settled")
            if complaint.signed_off:
                return []
            return [ComplaintSignedOff(complaint_id=id, instruction=instruction, at=at)]
        case do.Archive():
            if not complaint.signed_off:
                raise Rejected("the general manager has not signed the form yet")
            return [ComplaintArchived(complaint_id=id)]
        case do.Reclassify(subject=subject, severities=severities, reason=reason):
            if not severities:
                raise Rejected("a complaint has one severity at least")
            if (subject, frozenset(severities)) == (complaint.subject, complaint.severities):
                return []
            return [
                ComplaintReclassified(complaint_id=id, subject=subject, severities=severities, reason=reason)
            ]
        case do.Pause(at=at, waiting=waiting):
            if complaint.paused_at:
                return []
            return [ComplaintPaused(complaint_id=id, waiting=waiting, paused_at=at)]
        case do.Resume(at=at):
            if complaint.paused_at is None:
                return []
            if at < complaint.paused_at:
                raise Rejected("the pause had not begun by then")
            return [ComplaintResumed(complaint_id=id, resumed_at=at)]
        case do.Blame(at=at, person=person, step=step):
            if complaint.blamed == person:
                return []
            return [BlameAssigned(complaint_id=id, person=person, step=step, at=at)]
        case do.Appeal(at=at, reason=reason):
            if complaint.blamed != by:
                raise Rejected("only who is held responsible may appeal")
            return [] if complaint.appealed else [AppealFiled(complaint_id=id, reason=reason, at=at)]
        case do.DecideAppeal(granted=granted):
            if not complaint.appealed:
                raise Rejected("nobody has appealed")
            if complaint.appeal == granted:
                return []
            if complaint.appeal is not None:
                raise Rejected("the appeal has been decided")
            return [AppealDecided(complaint_id=id, granted=granted)]
        case do.ReportToRegion():
            return [] if complaint.reported else [ReportedToRegion(complaint_id=id)]
        case do.TimeIsUp() | do.NoteNotification():
            raise AssertionError("no fact of people")
        case _:
            assert_never(command)


def _of_ended(command: do.Command, complaint: Complaint) -> list[Event]:
    match command:
        case do.Archive() if "archived" in complaint.done:
            return []
        case do.ResolveComplaint(resolution=resolution) if complaint.resolution == resolution:
            return []
        case do.DecideAppeal(granted=granted) if complaint.appeal == granted:
            return []
    raise Rejected("the complaint is closed")


def _must_be_reached(complaint: Complaint) -> None:
    if not complaint.reached and not complaint.unreachable:
        raise Rejected("the customer has not been reached yet")


def _must_be_planned(complaint: Complaint) -> None:
    if complaint.signed_by is None:
        raise Rejected("no plan has been signed yet")


def _must_be_acted_on(complaint: Complaint) -> None:
    if not complaint.resolution and "carried_out" not in complaint.done:
        raise Rejected("nothing has been done about the complaint yet")


def _must_be_in_order(command: do.Command, complaint: Complaint) -> None:
    """A late entry lies after what it depends on: else a step would be in time that was none yet."""
    at, known = command.at, complaint.happened
    match command:
        case do.RaiseComplaint() | do.ContactCustomer():
            return
        case do.GiveUpReaching():
            _not_before(at, known.get("attempt"), "the customer was tried first")
        case do.SignPlan():
            _not_before(at, _first(known, "reached", "given_up"), "the customer was reached")
        case do.TellCustomer() | do.CarryOutPlan():
            _not_before(at, known.get("planned"), "the plan was signed")
        case do.ResolveComplaint(resolution=resolution) if resolution != "withdrawn":
            _not_before(at, _first(known, "reached", "given_up"), "the customer was reached")
        case do.ReturnForm() | do.CallBack():
            _not_before(at, _first(known, "carried_out", "agreed"), "something was done about the complaint")
        case do.SignOff():
            _not_before(at, known.get("called"), "the customer was asked whether it is settled")
        case do.Archive():
            _not_before(at, known.get("signed_off"), "the general manager signed the form")
        case do.Pause() if complaint.pauses:
            _not_before(at, complaint.pauses[-1][1], "the pause before it ended")
        case do.Appeal():
            _not_before(at, known.get("blamed"), "somebody was held responsible")
        case do.DecideAppeal():
            _not_before(at, known.get("appealed"), "the appeal was filed")
    _not_before(at, complaint.raised_at, "the complaint was raised")


def _not_before(at: datetime, earliest: datetime | None, what: str) -> None:
    if earliest and at < earliest:
        raise Rejected(f"this cannot have happened before {what}")


def _first(known: Mapping[str, datetime], *of: str) -> datetime | None:
    return min((known[name] for name in of if name in known), default=None)


def consequences(facts: Sequence[Event], before: Complaint, at: datetime, rules: Rules) -> Iterator[Event]:
    """What the facts mean for deadlines: verdicts, new ones, dropped ones, and who is told at once."""
    after = reduce(evolve, facts, before)
    for fact in facts:
        step = _step(fact)
        for deadline in before.deadlines.values():
            if deadline.set.step == step:
                yield from _verdict(_as_if_resumed(deadline, before, at, rules), at)
            elif after.ended:
                yield _dropped(deadline)
        if after.ended:
            return
        match fact:
            case ComplaintRaised():
                yield from _started("raised", at, after, rules)
                yield from _told_at_once(after, after.severities, at, rules)
            case PlanCarriedOut():
                yield from _started("carried_out", at, after, rules)
            case ComplaintSignedOff():
                yield from _started("signed_off", at, after, rules)
            case ComplaintReclassified():
                yield from (
                    _dropped(deadline)
                    for deadline in after.deadlines.values()
                    if not _still_asked_for(deadline, after, rules)
                )
                yield from _started("raised", after.raised_at or at, after, rules)
                yield from _told_at_once(after, after.severities - before.severities, at, rules)
            case ComplaintResumed():
                yield from (
                    _postponed(deadline.set, before.paused_at or at, at, rules)
                    for deadline in before.deadlines.values()
                    if deadline.stands_still(before.paused_at)
                )


def _step(fact: Event) -> Step | None:
    match fact:
        case ComplaintHandedOver():
            return "handed_over"
        case CustomerContacted(outcome="reached"):
            return "first_contact"
        case CustomerTold():
            return "told"
        case ComplaintResolved(resolution=resolution) if resolution != "withdrawn":
            return "agreement"
        case PlanCarriedOut():
            return "carried_out"
        case FormReturned():
            return "returned"
        case SatisfactionCallMade(outcome="accepted" | "objecting"):
            return "satisfaction_call"
        case ComplaintArchived():
            return "archived"
    return None


def _verdict(deadline: Deadline, done_at: datetime) -> Iterator[Event]:
    """None on what is known to be late already."""
    of = deadline.set.model_dump(include={"complaint_id", "rule", "step", "due_at", "rulebook", "calendar"})
    if done_at <= deadline.set.due_at:
        yield DeadlineMet(**of, done_at=done_at)
    elif not deadline.breached:
        yield DeadlineBreached(**of, done_at=done_at)


def _started(start: Start, at: datetime, complaint: Complaint, rules: Rules) -> Iterator[Event]:
    """Deadlines whose clock starts now, by the versions in force now; none for what is done already."""
    rulebook, calendar = rules.rulebook(at), rules.calendar(at)
    for rule in matching(rulebook, start, complaint.severities, complaint.channel):
        due_at = due(rule, at, calendar)
        if due_at and rule.step not in complaint.done and rule.id not in complaint.deadlines:
            deadline = DeadlineSet(
                complaint_id=complaint.id,
                rule=rule.id,
                step=rule.step,
                starts_at=at,
                due_at=due_at,
                rulebook=rulebook.version,
                calendar=calendar.version,
            )
            for paused_at, resumed_at in complaint.pauses:
                if paused_at <= deadline.due_at:
                    deadline = _postponed(deadline, paused_at, resumed_at, rules)
            yield deadline


def _told_at_once(
    complaint: Complaint, severities: Iterable[Severity], at: datetime, rules: Rules
) -> Iterator[Event]:
    levels = rules.rulebook(complaint.raised_at or at).at_once
    for severity in sorted(severities):
        if level := levels.get(severity):
            yield Escalated(complaint_id=complaint.id, level=level, rule=f"at_once.{severity}")


def _dropped(deadline: Deadline) -> Event:
    of = deadline.set
    return DeadlineDropped(complaint_id=of.complaint_id, rule=of.rule, step=of.step)


def _rule(of: DeadlineSet, rules: Rules) -> Rule:
    return next(rule for rule in rules.rulebook_version(of.rulebook).rules if rule.id == of.rule)


def _still_asked_for(deadline: Deadline, complaint: Complaint, rules: Rules) -> bool:
    rule = _rule(deadline.set, rules)
    return not rule.severities or not complaint.severities.isdisjoint(rule.severities)


def _as_if_resumed(deadline: Deadline, complaint: Complaint, at: datetime, rules: Rules) -> Deadline:
    """What is done while the clocks stand still is judged as if they had gone on just then."""
    if complaint.paused_at is None or not deadline.stands_still(complaint.paused_at):
        return deadline
    return replace(deadline, set=_postponed(deadline.set, complaint.paused_at, at, rules))


def _postponed(of: DeadlineSet, paused_at: datetime, resumed_at: datetime, rules: Rules) -> DeadlineSet:
    """As much later as the pause took from its start on: in working time, if that is what the rule counts."""
    paused_at = max(paused_at, of.starts_at)
    if resumed_at <= paused_at:
        return of
    rule, calendar = _rule(of, rules), rules.calendar_version(of.calendar)
    due_at = of.due_at + (resumed_at - paused_at)
    if rule.clock == "working_time" and (left := work_between(calendar, paused_at, of.due_at)):
        with suppress(NoWorkingTime):  # then around the clock, as when it was set
            due_at = work_done(calendar, resumed_at, left)
    elif rule.clock == "end_of_day":
        due_at = due(rule, resumed_at, calendar) or of.due_at
    return of.model_copy(update={"due_at": due_at})


def time_is_up(command: do.TimeIsUp, complaint: Complaint, rules: Rules) -> Iterator[Event]:
    """One breach, and one escalation for each rung of the ladder that time has passed."""
    deadline = complaint.deadlines.get(command.rule)
    if deadline is None or command.at < deadline.set.due_at:
        return
    if deadline.stands_still(complaint.paused_at):
        return
    of = deadline.set
    ladder = [
        (rung.level, of.due_at + timedelta(minutes=rung.minutes))
        for rung in rules.rulebook_version(of.rulebook).ladder
    ][deadline.told :]
    if not deadline.breached:
        yield DeadlineBreached(
            complaint_id=of.complaint_id,
            rule=of.rule,
            step=of.step,
            due_at=of.due_at,
            next_at=ladder[0][1] if ladder else None,
            rulebook=of.rulebook,
            calendar=of.calendar,
        )
    for n, (level, from_then_on) in enumerate(ladder, start=1):
        if from_then_on <= command.at:
            yield Escalated(
                complaint_id=of.complaint_id,
                level=level,
                rule=of.rule,
                step=of.step,
                due_at=of.due_at,
                next_at=ladder[n][1] if n < len(ladder) else None,
            )


def _notified(command: do.NoteNotification, complaint: Complaint) -> list[Event]:
    if (command.escalation, command.channel) in complaint.notified:
        return []
    return [NotificationSent(**command.model_dump(exclude={"at"}))]


def evolve(complaint: Complaint, event: Event) -> Complaint:
    if step := _step(event):
        # What was late is known to be late: nobody further up is told any more.
        left = {r: d for r, d in complaint.deadlines.items() if not (d.breached and d.set.step == step)}
        complaint = replace(complaint, done=complaint.done | {step}, deadlines=left)
    complaint = replace(complaint, happened=_happened(event, complaint.happened))
    match event:
        case ComplaintRaised():
            return replace(
                complaint,
                id=event.complaint_id,
                raised_at=event.raised_at,
                channel=event.channel,
                subject=event.subject,
                severities=frozenset({event.severity, *(event.further_severities or ())}),
            )
        case ComplaintTakenOver(complaint_id=id, meaning=meaning):
            return replace(complaint, id=id, ended_elsewhere=meaning in ENDED)
        case ForeignStateRecorded(meaning=meaning) if meaning:
            return replace(complaint, ended_elsewhere=meaning in ENDED)
        case ComplaintHandedOver(to=to):
            return replace(complaint, holder=to)
        case CustomerContacted():
            return replace(complaint, attempts=complaint.attempts + 1)
        case CustomerUnreachable():
            return replace(complaint, unreachable=True)
        case PlanSigned(signed_by=by):
            return replace(complaint, signed_by=by)
        case ComplaintResolved(resolution=resolution):
            return replace(complaint, resolution=resolution)
        case SatisfactionCallMade(outcome=outcome):
            call = None if outcome == "not_reached" else outcome
            return replace(complaint, call=call, calls=complaint.calls + 1)
        case ComplaintSignedOff():
            return replace(complaint, signed_off=True)
        case ComplaintReclassified(subject=subject, severities=severities):
            return replace(complaint, subject=subject, severities=frozenset(severities))
        case ComplaintPaused(paused_at=at):
            return replace(complaint, paused_at=at)
        case ComplaintResumed(resumed_at=at):
            pause = (complaint.paused_at or at, at)
            return replace(complaint, paused_at=None, pauses=(*complaint.pauses, pause))
        case BlameAssigned(person=person):
            return replace(complaint, blamed=person, appealed=False, appeal=None)
        case AppealFiled():
            return replace(complaint, appealed=True)
        case AppealDecided(granted=granted):
            return replace(complaint, appeal=granted)
        case ReportedToRegion():
            return replace(complaint, reported=True)
        case NotificationSent(escalation=escalation, channel=channel):
            return replace(complaint, notified=complaint.notified | {(escalation, channel)})
        case DeadlineSet(rule=rule):
            return replace(complaint, deadlines={**complaint.deadlines, rule: Deadline(event)})
        case DeadlineBreached(rule=rule, done_at=None) if rule in complaint.deadlines:
            late = replace(complaint.deadlines[rule], breached=True)
            return replace(complaint, deadlines={**complaint.deadlines, rule: late})
        case Escalated(rule=rule) if rule in complaint.deadlines:
            told = replace(complaint.deadlines[rule], told=complaint.deadlines[rule].told + 1)
            return replace(complaint, deadlines={**complaint.deadlines, rule: told})
        case DeadlineMet(rule=rule) | DeadlineBreached(rule=rule) | DeadlineDropped(rule=rule):
            left = {r: d for r, d in complaint.deadlines.items() if r != rule}
            return replace(complaint, deadlines=left)
    return complaint


def _happened(event: Event, known: Mapping[str, datetime]) -> Mapping[str, datetime]:
    """The first time of each; with somebody else held responsible it begins anew for them."""
    at: datetime | None = getattr(event, "at", None)
    if at is None:
        return known
    if isinstance(event, BlameAssigned):
        return {**{name: time for name, time in known.items() if name != "appealed"}, "blamed": at}
    names = [_DEPENDED_ON[type(event)], *(["reached"] if _step(event) == "first_contact" else [])]
    return {**known, **{name: min(at, known.get(name, at)) for name in names}}


_DEPENDED_ON: Mapping[type[Event], str] = MappingProxyType(
    {
        CustomerContacted: "attempt",
        CustomerUnreachable: "given_up",
        PlanSigned: "planned",
        PlanCarriedOut: "carried_out",
        ComplaintResolved: "agreed",
        SatisfactionCallMade: "called",
        ComplaintSignedOff: "signed_off",
        AppealFiled: "appealed",
    }
)


def complaint_decider(by: str, rules: Rules) -> Decider[Complaint, do.Command]:
    """Decides for whoever gives the command, by the rules of the site."""
    return Decider(Complaint(), partial(decide, by=by, rules=rules), evolve)


def complaint_stream(complaint_id: str) -> str:
    return f"complaint-{complaint_id}"
