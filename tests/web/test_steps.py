"""What is offered to whom about a complaint, as things stand."""

from typing import Any

import pytest

from access.roles import MAY, Action, Role
from projections.projection import Document
from projections.web.steps import OFFERS, offers
from services.customer_care.api import STEPS

ALL = frozenset(Action)


def complaint(*done: str, **more: Any) -> Document:
    return {"ended": False, "attempts": 0, "calls": 0, "done": dict.fromkeys(("raised", *done), "")} | more


def offered(given: Document, role: Role | None = None, actor: str = "li") -> dict[str, list[str]]:
    may = ALL if role is None else MAY[role]
    return {str(group): paths for group, paths in offers(given, actor, may.__contains__).items()}


def next_step(*done: str, **more: Any) -> str:
    return offered(complaint(*done, **more))["next"][0]


def test_every_step_is_offered_to_whom_it_is_for_and_no_other() -> None:
    assert {(o.path, o.action) for o in OFFERS} == {(step.path, step.action) for step in STEPS}


def test_the_most_likely_step_comes_first_all_the_way() -> None:
    done = ["handed_over"]
    assert next_step() == "hand-over"
    for step, path in (
        ("first_contact", "contact"),
        ("cause_found", "cause"),
        ("planned", "plan"),
        ("told", "tell"),
        ("carried_out", "carry-out"),
    ):
        assert next_step(*done) == path
        done.append(step)
    agreed = {"resolution": "apology"}
    assert next_step(*done) == "resolve"
    assert next_step(*done, **agreed) == "return"
    assert next_step(*done, "returned", **agreed) == "call-back"
    assert next_step(*done, "returned", "satisfaction_call", **agreed) == "sign-off"
    assert next_step(*done, "returned", "satisfaction_call", "signed_off", **agreed) == "archive"


def test_only_a_report_to_the_region_is_left_when_a_complaint_has_ended() -> None:
    assert offered(complaint(ended=True)) == {"responsibility": ["report-to-region"]}
    assert offered(complaint(ended=True, reported_to_region=True)) == {}


def test_before_the_customer_is_reached_a_complaint_can_only_be_withdrawn() -> None:
    assert "resolve" not in offered(complaint())["next"]
    assert "resolve" in offered(complaint())["customer"]
    assert "resolve" in offered(complaint(unreachable=True))["next"]


def test_who_signed_the_plan_does_not_call_back() -> None:
    signed = complaint("carried_out", responsible="li")
    assert "call-back" not in offered(signed)["next"]
    assert "call-back" in offered(signed, actor="wang")["next"]


def test_only_who_is_blamed_may_appeal_and_only_once() -> None:
    assert "appeal" in offered(complaint(blamed="li"))["responsibility"]
    assert "appeal" not in offered(complaint(blamed="wang"))["responsibility"]
    assert "appeal" not in offered(complaint(blamed="li", appeal="filed"))["responsibility"]


def test_a_pause_ends_before_it_begins_again() -> None:
    paused = offered(complaint(paused_at="2026-11-02T02:00:00+00:00"))
    assert paused["next"][0] == "resume"
    assert "pause" not in paused["class"]
    assert "pause" in offered(complaint())["class"]


@pytest.mark.parametrize(
    ("role", "paths"),
    [
        (Role.CARE_AGENT, ["hand-over", "contact"]),
        (Role.DEPARTMENT_MANAGER, ["contact", "cause"]),
        (Role.GENERAL_MANAGER, ["cause"]),
        (Role.ADVISOR, []),
        (Role.REGION_AUDITOR, []),
    ],
)
def test_a_new_complaint_asks_each_role_for_its_own_steps(role: Role, paths: list[str]) -> None:
    assert offered(complaint(), role).get("next", []) == paths


def test_nothing_is_typed_about_a_complaint_from_elsewhere() -> None:
    foreign = offered(complaint("first_contact", "carried_out", origin="crm"))
    assert not {"cause", "plan", "return", "call-back", "reclassify"} & {
        path for paths in foreign.values() for path in paths
    }
