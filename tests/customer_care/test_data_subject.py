"""The rules of a data subject."""

from events.customer_care import SubjectErased
from services.customer_care.commands import EraseSubject
from services.customer_care.data_subject import DATA_SUBJECT
from tests.spec import Spec

person = Spec(DATA_SUBJECT)

erase = EraseSubject(customer="c-1")
erased = SubjectErased(customer="c-1")


def test_a_person_is_forgotten() -> None:
    person.given().when(erase).then(erased)


def test_a_person_is_forgotten_once() -> None:
    person.given(erased).when(erase).then_nothing()
