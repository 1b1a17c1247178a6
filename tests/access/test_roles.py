"""What a role includes and, more important, what it does not."""

import pytest

from access.roles import MAY, Action, Role

WITHOUT_PERSONAL_DATA = [
    Role.REGION_AUDITOR,
    Role.GROUP_AUDITOR,
    Role.INTEGRATOR,
    Role.OPERATOR,
    Role.CUSTOMER,
]
CHANGES = {
    action
    for action in Action
    if action.split(".")[0] not in {"board", "vehicle", "log", "status", "parked", "personal_data"}
    and not action.endswith(".read")
    and action != Action.COMPLAINT_APPEAL  # whoever may be held responsible may object
}


def test_every_role_is_described() -> None:
    assert MAY.keys() == set(Role)


def test_every_action_is_somebodys_work() -> None:
    assert set().union(*MAY.values()) == set(Action)


@pytest.mark.parametrize("role", [*WITHOUT_PERSONAL_DATA, Role.PARTS_CLERK])
def test_some_roles_never_see_personal_data(role: Role) -> None:
    assert not MAY[role] & {Action.PERSONAL_DATA_SEE, Action.PERSONAL_DATA_REVEAL, Action.SUBJECT_ERASE}


@pytest.mark.parametrize("role", WITHOUT_PERSONAL_DATA)
def test_whoever_only_watches_changes_nothing(role: Role) -> None:
    assert not MAY[role] & CHANGES


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.WORKSHOP_SUPERVISOR])
def test_whoever_repairs_does_not_inspect(role: Role) -> None:
    assert Action.WORK_ORDER_COMPLETE in MAY[role]
    assert Action.WORK_ORDER_INSPECT not in MAY[role]


def test_a_technician_does_not_answer_for_the_customer() -> None:
    assert Action.VISIT_ANSWER not in MAY[Role.TECHNICIAN]


def test_only_managers_of_people_erase() -> None:
    assert {role for role in Role if Action.SUBJECT_ERASE in MAY[role]} == {
        Role.CARE_MANAGER,
        Role.GENERAL_MANAGER,
    }


def test_only_the_operator_decides_about_parked_messages() -> None:
    assert [role for role in Role if Action.PARKED_DECIDE in MAY[role]] == [Role.OPERATOR]
