"""From the advisor's check to the gate, over HTTP."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from psycopg_pool import AsyncConnectionPool

from access.issuer import AUDIENCE, ISSUER, Issuer
from access.keyring import Keyring
from access.problems import install
from access.roles import Role
from access.tokens import Tokens
from eventlog.checkpoints import SigningKey
from eventlog.recorded import Metadata
from eventlog.store import EventStore
from events import Event
from events.reception import ProtectiveSetFitted
from services.commands_over_http import install_command_errors
from services.reception.attachments import Attachments
from services.reception.delivery_api import delivery_api
from services.reception.gate_token import Token, make, verdict
from services.reception.settlement_api import settlement_api
from tests.pictures import drawn
from tests.reception.test_quote import first, signed
from tests.reception.test_visit import readied, received

ID = "7d0c5a1e94b28f36a1c0"
CHECK = dict.fromkeys(
    ("fault_gone", "old_parts_there", "clean_inside", "clean_outside", "nothing_left_behind"), True
)
NOW = datetime.now(UTC)


class House:
    """Reception by itself, with people of it."""

    def __init__(self, reception: EventStore, keyring: Keyring, folder: Path) -> None:
        self.issuer = Issuer(folder)
        self.key = SigningKey(folder / "gate.key")
        app = FastAPI()
        app.state.tokens = Tokens(str(self.issuer.jwks_file), ISSUER, AUDIENCE)
        app.state.keyring = keyring
        install(app)
        install_command_errors(app)
        app.include_router(delivery_api(reception))
        app.include_router(settlement_api(reception, Attachments(reception, keyring), self.key))
        self.client = AsyncClient(transport=ASGITransport(app), base_url="http://house.test")

    def _who(self, role: str, site: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.token(role, Role(role), [site], 3600)}"}

    async def post(
        self, path: str, body: Any = None, role: str = "advisor", site: str = "sh01", key: str = ""
    ) -> Response:
        headers = self._who(role, site) | {"Idempotency-Key": key or str(uuid.uuid4())}
        about = path if path.startswith("/") else f"/v1/visits/{ID}/{path}"
        return await self.client.post(about, json=body or {}, headers=headers)

    async def gate_pass(self, site: str = "sh01") -> Response:
        return await self.client.get(f"/v1/visits/{ID}/gate-pass", headers=self._who("cashier", site))

    async def use(self, token: str, site: str = "sh01", **body: Any) -> Response:
        return await self.post("/v1/gate-passes/use", {"token": token, **body}, "assistant", site)


@pytest.fixture
async def house(
    reception: EventStore, fresh_database: Callable[[str], Awaitable[str]], tmp_path: Path
) -> AsyncIterator[House]:
    """With a vehicle whose repair passed its quality check."""
    async with AsyncConnectionPool(await fresh_database("keys"), min_size=1, max_size=2) as pool:
        keyring = Keyring(pool, bytes(32))
        await keyring.provision()
        customer = await keyring.subject_for({"phone": "13812345678"})
        begun = received.model_copy(update={"customer": customer})
        fitted = ProtectiveSetFitted(visit_id="V1", work_order_id="V1")
        facts: list[Event] = [begun, fitted, first, signed, readied]
        ours = [fact.model_copy(update={"visit_id": ID, "work_order_id": ID}) for fact in facts]
        metadata = Metadata(site="sh01", actor="li", role="advisor", correlation_id=ID, command_id="li/1")
        await reception.append(f"visit-{ID}", 0, ours, metadata)
        house = House(reception, keyring, tmp_path)
        async with house.client:
            yield house


async def settled(house: House) -> str:
    """Checked, settled and signed; the hash of the settlement."""
    assert (await house.post("delivery-check", CHECK)).status_code == 201
    prepared = (await house.post("settlement", {"total_fen": 98_000})).json()
    signature = {"hash": prepared["hash"], "signature": drawn()}
    assert (await house.post("settlement/signature", signature)).status_code == 201
    return str(prepared["hash"])


async def released(house: House) -> str:
    """Paid too; the token."""
    await settled(house)
    paid = {"amount_fen": 98_000, "method": "wechat", "invoice": "0042"}
    assert (await house.post("payments", paid, "cashier")).status_code == 201
    assert (await house.post("gate-pass/release", {}, "cashier")).status_code == 201
    return str((await house.gate_pass()).json()["token"])


async def test_a_vehicle_goes_home(house: House, reception: EventStore) -> None:
    """R-70 … R-85, K-20: every step there is, in the order of the handbook."""
    advisor = [
        ("delivery-check", CHECK | {"test_driven": True}),
        ("delivery", {"deliver_at": (NOW + timedelta(hours=1)).isoformat(), "channel": "message"}),
        (
            "joint-inspection",
            {"old_parts_shown": True, "spare_wheel_and_tools": True, "cleanliness_shown": True},
        ),
        ("protective-set/remove", {}),
        ("next-service", {"due_on": (NOW + timedelta(days=180)).date().isoformat(), "due_km": 58_000}),
        (
            "follow-up",
            {
                "call_from": (NOW + timedelta(days=2, hours=1)).isoformat(),
                "call_until": (NOW + timedelta(days=2, hours=2)).isoformat(),
            },
        ),
        ("next-appointment", {"accepted": True}),
        ("settlement", {"discounts": {"2": 500}, "discount_fen": 99, "total_fen": 97_401}),
    ]
    for path, body in advisor:
        answer = await house.post(path, body)
        assert answer.status_code == 201, answer.text
    signature = {"hash": answer.json()["hash"], "signature": drawn()}
    assert (await house.post("settlement/signature", signature)).status_code == 201
    for amount, method in ((50_000, "cash"), (47_401, "card")):
        paid = await house.post("payments", {"amount_fen": amount, "method": method}, "cashier")
        assert paid.status_code == 201, paid.text
    assert (await house.post("gate-pass/release", {}, "cashier")).status_code == 201
    shown = (await house.gate_pass()).json()
    assert shown["state"] == "released"
    assert shown["qr"].startswith("<svg")
    assert (await house.post("deliver", {"mileage_km": 48_215})).status_code == 201
    assert (await house.use(shown["token"])).status_code == 201
    assert [each.event.type.split(".")[1] for each in await reception.stream(f"visit-{ID}")][5:] == [
        "delivery_check_passed",
        "delivery_agreed",
        "joint_inspection_held",
        "protective_set_removed",
        "next_service_set",
        "follow_up_agreed",
        "new_appointment_offered",
        "settlement_prepared",
        "gate_pass_prepared",
        "settlement_signed",
        "payment_received",
        "payment_received",
        "gate_pass_released",
        "vehicle_delivered",
        "gate_pass_used",
    ]


async def test_a_pass_is_used_once(house: House) -> None:
    """R-81: whoever scans it again reads when it was used; the same command has the same answer."""
    token = await released(house)
    body = {"token": token}
    once, again = [await house.post("/v1/gate-passes/use", body, "assistant", key="k1") for _ in range(2)]
    assert (once.status_code, once.json()) == (201, again.json())
    assert [each["type"] for each in once.json()["events"]] == [
        "reception.vehicle_delivered.v1",
        "reception.gate_pass_used.v1",
    ]
    twice = await house.use(token)
    assert twice.status_code == 409
    assert twice.json()["detail"].startswith("This gate pass was used at 20")
    shown = (await house.gate_pass()).json()
    assert (shown["state"], shown["token"], shown["qr"]) == ("used", None, None)


async def test_a_pass_of_another_site_opens_nothing(house: House) -> None:
    token = await released(house)
    answer = await house.use(token, "gz01")
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "This gate pass is of another site: it opens nothing here.",
    )
    assert (await house.gate_pass("gz01")).status_code == 404


async def test_a_pass_that_nobody_signed_opens_nothing(house: House, tmp_path: Path) -> None:
    token = await released(house)
    stranger = SigningKey(tmp_path / "stranger.key")
    ours = Token("sh01", (await house.gate_pass()).json()["pass_id"], ID, "047371", NOW + timedelta(days=1))
    for forged in (make(stranger, ours), token[:-9] + "AAAAAAAAA", "https://example.com", "BLG1..", "é" * 9):
        answer = await house.use(forged)
        assert answer.status_code == 422
        assert answer.json()["detail"] == "This is no gate pass of this house: it is damaged or forged."
    assert (await house.use(token)).status_code == 201


async def test_a_pass_that_ran_out_is_released_again(house: House) -> None:
    """K-24: the paper from yesterday opens nothing, not even when there is a new one."""
    await settled(house)
    yesterday = {"occurred_at": (NOW - timedelta(hours=25)).isoformat()}
    await house.post("payments", {"amount_fen": 98_000, "method": "cash"}, "cashier")
    assert (await house.post("gate-pass/release", yesterday, "cashier")).status_code == 201
    shown = (await house.gate_pass()).json()
    assert (shown["state"], shown["token"]) == ("expired", None)
    until = datetime.fromisoformat(shown["valid_until"])
    old = make(house.key, Token("sh01", shown["pass_id"], ID, "047371", until))
    expired = await house.use(old)
    assert expired.status_code == 409
    assert "the cashier can release it again" in expired.json()["detail"]
    again = await house.post("gate-pass/release", {}, "cashier")
    assert [each["type"].split(".")[1] for each in again.json()["events"]] == [
        "gate_pass_revoked",
        "gate_pass_released",
    ]
    assert (await house.use(old)).json()["detail"] == ("Another gate pass has taken the place of this one.")
    assert (await house.use((await house.gate_pass()).json()["token"])).status_code == 201


async def test_a_pass_that_was_revoked_opens_nothing(house: House) -> None:
    """K-20, K-24: offline it still looks good, which only the house can know."""
    token = await released(house)
    refund = {"payment": 1, "amount_fen": 100, "reason": "charged twice"}
    assert (await house.post("payments/refund", refund, "cashier")).status_code == 201
    answer = await house.use(token)
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "The gate pass was revoked: the cashier releases it again when all is settled.",
    )
    assert verdict(house.key.public, token, "sh01", datetime.now(UTC))[0]


async def test_the_key_of_the_gate_is_for_everybody(house: House) -> None:
    token = await released(house)
    key = await house.client.get("/v1/gate-key")
    assert verdict(key.content, token, "sh01", datetime.now(UTC))[0]


async def test_a_manager_lets_a_vehicle_go(house: House) -> None:
    """R-81."""
    await settled(house)
    credit = {"pay_by": (NOW + timedelta(days=30)).date().isoformat(), "reason": "fleet customer"}
    assert (await house.post("credit", credit, "advisor")).status_code == 403
    assert (await house.post("gate-pass/release", {}, "cashier")).status_code == 409
    assert (await house.post("credit", credit, "department_manager")).status_code == 201
    assert (await house.post("gate-pass/release", {}, "cashier")).status_code == 201


async def test_a_payment_that_is_sent_again_is_received_once(house: House, reception: EventStore) -> None:
    """R-81: the cashier's button was pressed twice."""
    await settled(house)
    body = {"amount_fen": 10_000, "method": "cash"}
    answers = [await house.post("payments", body, "cashier", key="k1") for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    types = [each.event.type for each in await reception.stream(f"visit-{ID}")]
    assert types.count("reception.payment_received.v1") == 1


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("settlement", {"total_fen": 97_999}, 409),
        ("settlement", {"total_fen": 979.99}, 422),
        ("settlement", {"discount_fen": -1}, 422),
        ("settlement", {"discounts": {"1": 0.5}}, 422),
        ("settlement", {"discounts": {"0": 5}}, 422),
        ("settlement", {"discount_fen": "5"}, 422),
        ("payments", {"amount_fen": 0, "method": "cash"}, 422),
        ("payments", {"amount_fen": 1, "method": "on_account"}, 422),
        ("payments", {"amount_fen": 98_001, "method": "cash"}, 409),
        ("payments/refund", {"payment": 1, "amount_fen": 1, "reason": ""}, 422),
        ("credit", {"pay_by": "1999-01-01", "reason": "x"}, 422),
        ("settlement/signature", {"hash": "0" * 64, "signature": "bm8="}, 422),
        ("settlement/signature", {"hash": "0" * 64, "signature": ""}, 422),
        ("settlement/signature", {"hash": "0" * 64, "signature": drawn()}, 409),
        ("delivery-check", CHECK | {"clean_inside": "yes"}, 422),
        ("next-service", {"due_on": "2026-13-01", "due_km": 58_000}, 422),
    ],
)
async def test_what_does_not_add_up_is_refused(
    house: House, reception: EventStore, path: str, body: dict[str, Any], status: int
) -> None:
    """K-24: and nothing is recorded."""
    await settled(house)
    before = len(await reception.stream(f"visit-{ID}"))
    answer = await house.post(path, body, "department_manager" if path == "credit" else _role(path))
    assert answer.status_code == status, answer.text
    assert len(await reception.stream(f"visit-{ID}")) == before


def _role(path: str) -> str:
    return "cashier" if path.startswith("payments") else "advisor"
