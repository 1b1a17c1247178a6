"""The gate pass: printed with the settlement, of use once it is paid, and used once (R-76, R-81, K-20)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from eventlog.decider import Rejected
from events import Event
from events.reception import (
    GatePassPrepared,
    GatePassReleased,
    GatePassRevoked,
    GatePassUsed,
    SettlementPrepared,
    VehicleDelivered,
)
from events.shop_rules import ReceptionRules
from services.reception.commands import GatePassCommand, ReleaseGatePass, UseGatePass
from services.versions import in_force

if TYPE_CHECKING:
    from services.reception.visit import Visit

State: TypeAlias = Literal["none", "prepared", "released", "revoked", "used"]
Reason: TypeAlias = Literal["settlement_changed", "refunded", "sent_back", "expired"]


@dataclass(frozen=True, slots=True)
class GatePass:
    id: str = ""
    state: State = "none"
    token: str | None = None
    valid_until: datetime | None = None
    used_at: datetime | None = None


def decide(command: GatePassCommand, visit: "Visit", rules: Sequence[ReceptionRules]) -> list[Event]:
    now, zone = visit.gate_pass, in_force(rules, command.at).opening.zone
    about: dict[str, Any] = {
        "visit_id": command.visit_id,
        "work_order_id": visit.work_order_id,
        "pass_id": command.pass_id,
    }
    match command:
        case ReleaseGatePass(at=at, token=token):
            return _release(
                command, visit, GatePassReleased(**about, valid_until=until(at, rules), token=token)
            )
        case UseGatePass(at=at):
            if command.pass_id != now.id:
                raise Rejected("another gate pass has taken the place of this one")
            if now.used_at is not None:
                raise Rejected(f"this gate pass was used at {_local(now.used_at, zone)}")
            must_open(visit, at, zone)
            if command.valid_until != now.valid_until:  # of a release before the last one
                raise Rejected("another gate pass has taken the place of this one")
            used = GatePassUsed(**about, used_at=at)
            if visit.delivery.delivered:
                return [used]
            return [VehicleDelivered(visit_id=visit.id, work_order_id=visit.work_order_id), used]


def evolve(gate_pass: GatePass, event: Event) -> GatePass:
    match event:
        case GatePassPrepared(pass_id=pass_id):
            return GatePass(pass_id, "prepared")
        case GatePassReleased(valid_until=valid_until, token=token):
            return replace(gate_pass, state="released", valid_until=valid_until, token=token)
        case GatePassRevoked():
            return replace(gate_pass, state="revoked", valid_until=None, token=None)
        case GatePassUsed(used_at=used_at):
            return replace(gate_pass, state="used", used_at=used_at, token=None)
    return gate_pass


def until(at: datetime, rules: Sequence[ReceptionRules]) -> datetime:
    """How long a pass that is released now opens the gate; in whole seconds, as its token says it."""
    return at.replace(microsecond=0) + timedelta(hours=in_force(rules, at).gate_pass_hours)


def prepared(visit: "Visit", settlement: SettlementPrepared) -> GatePassPrepared:
    """Each settlement has a pass of its own."""
    pass_id = hashlib.sha256(f"{visit.id}|{settlement.hash}".encode()).hexdigest()[:20]
    return GatePassPrepared(visit_id=visit.id, work_order_id=visit.work_order_id, pass_id=pass_id)


def revoked(visit: "Visit", reason: Reason) -> list[Event]:
    """What becomes of a released pass when what it was released for holds no longer."""
    if visit.gate_pass.state != "released":
        return []
    return [
        GatePassRevoked(
            visit_id=visit.id, work_order_id=visit.work_order_id, pass_id=visit.gate_pass.id, reason=reason
        )
    ]


def must_open(visit: "Visit", at: datetime, zone: ZoneInfo) -> None:
    """Raises Rejected unless the visit's pass opens the gate now, or did."""
    now = visit.gate_pass
    match now.state:
        case "none" | "prepared":
            raise Rejected("the gate pass has not been released: the cashier hands it over after payment")
        case "revoked":
            raise Rejected("the gate pass was revoked: the cashier releases it again when all is settled")
        case "released" if now.valid_until is not None and at > now.valid_until:
            raise Rejected(
                f"the gate pass was valid until {_local(now.valid_until, zone)}: "
                "the cashier can release it again"
            )


def _release(command: ReleaseGatePass, visit: "Visit", released: GatePassReleased) -> list[Event]:
    now, settlement = visit.gate_pass, visit.settlement
    if not visit.delivery.checked:
        raise Rejected("the vehicle has not passed its advisor's check yet")
    if settlement.hash is None:
        raise Rejected("no settlement has been prepared")
    if command.pass_id != now.id:
        raise Rejected("another gate pass has taken the place of this one")
    if not settlement.signed:
        raise Rejected("the customer has not signed the settlement yet")
    if settlement.owed_fen > settlement.credit_fen:
        raise Rejected("the customer has not paid yet, and no manager has let the vehicle go on credit")
    if now.used_at is not None:
        raise Rejected("the vehicle has left with this gate pass")
    if now.state != "released" or now.valid_until is None:
        return [released]
    if command.at <= now.valid_until:
        return []
    return [*revoked(visit, "expired"), released]


def _local(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
