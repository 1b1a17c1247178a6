"""Who gets which form of a visit, with whose names on it, and what is recorded of that."""

from dataclasses import dataclass

import httpx2

from access.guard import role_lacks
from access.problems import Problem, missing
from access.roles import Action
from access.tokens import Principal
from projections.forms.contents import FORMS, Form, NotYet, stamp
from projections.forms.printing import printed
from projections.projection import Document
from projections.reading import AsOf, Views
from projections.unsealing import ON_REQUEST
from projections.visit_file.projection import VISIT_FILE
from projections.web.i18n import plate

ERASED = "（已删除 erased）"


@dataclass(frozen=True, slots=True)
class Offer:
    """A form, as it would be printed now, or why it cannot."""

    form: str
    at: str | None = None
    hash: str | None = None
    not_yet: str | None = None


class FormsDesk:
    def __init__(self, views: Views, client: httpx2.AsyncClient, reception_url: str) -> None:
        self._views = views
        self._client = client
        self._reception_url = reception_url

    async def offers(self, who: Principal, id: str, as_of: AsOf | None = None) -> list[Offer]:
        """All forms of a visit that this role may print. Raises the problem of what does not exist."""
        file = await self._file(who, id, as_of)
        return [offer(form, file) for form in FORMS.values() if who.may(form.action)]

    async def pdf(
        self, who: Principal, id: str, name: str, as_of: AsOf | None = None, token_of: str = ""
    ) -> bytes:
        """A form with the names that this role may see on request, which is recorded first; for another role
        they are left open, for a pen. What was signed on a screen is read as the reader, by their own token.
        Raises 409 for what has not happened yet."""
        form = FORMS.get(name)
        if form is None:
            raise missing()
        if not who.may(form.action):
            raise role_lacks(who, form.action)
        file = await self._file(who, id, as_of)
        try:
            signed = form.contents(file).get("signed")
        except NotYet as why:
            raise Problem(409, str(why)) from None
        token = None
        if name == "gate-pass" and file["gate_pass"]["state"] == "released":
            token = await self._views.gate_pass_token(who, id)
        people = await self._people(who, form, file)
        signature = None
        if token_of and signed and signed["signature"] and who.may(Action.PERSONAL_DATA_SEE):
            signature = await self._signature(file, signed["signature"], token_of)
        return await printed(form, file, people, token, signature)

    async def _signature(self, file: Document, sha256: str, token: str) -> bytes | None:
        """None of a customer who was erased, and while reception is away."""
        url = f"{self._reception_url}/v1/visits/{file['work_order_id']}/attachments/{sha256}"
        try:
            answer = await self._client.get(url, headers={"Authorization": f"Bearer {token}"})
        except httpx2.HTTPError:
            return None
        return answer.content if answer.status_code == 200 else None

    async def copy(self, customer: Principal, id: str, name: str) -> bytes:
        """The customer's own copy. Raises 410 after their data were erased."""
        file = await self.customers_file(customer, id)
        form = FORMS[name]
        people = {each: file[each] for each in form.people if file.get(each)}
        if "plate" in people:
            people["plate"] = plate(people["plate"])
        try:
            return await printed(form, file, people)
        except NotYet as why:
            raise Problem(409, str(why)) from None

    async def customers_file(self, customer: Principal, id: str) -> Document:
        read = await self._views.visit_file_of_customer(customer, id)
        if read is None:
            raise missing()
        if any(read.document.get(f"{name}_erased") for name in ("customer_name", "phone")):
            raise Problem(410, "Your data were erased as you asked, and these copies with them.")
        return read.document

    async def _file(self, who: Principal, id: str, as_of: AsOf | None) -> Document:
        read = await self._views.visit_file(who, id, as_of)
        if read is None:
            raise missing()
        return read.document

    async def _people(self, who: Principal, form: Form, file: Document) -> dict[str, str]:
        """The plate as this role sees it anyway; what is shown on request only when it may ask for it."""
        shown: dict[str, str | None] = {}
        if file.get("plate") or file.get("plate_erased"):
            shown["plate"] = plate(file["plate"]) if file.get("plate") else None
        asked = ON_REQUEST & set(form.people)
        if asked and who.may(Action.PERSONAL_DATA_REVEAL):
            reason = f"printed {form.name}"
            found = await self._views.reveal(who, VISIT_FILE, file["work_order_id"], reason, only=asked)
            shown |= found or {}
        return {name: value or ERASED for name, value in shown.items() if name in form.people}


def offer(form: Form, file: Document) -> Offer:
    try:
        contents = form.contents(file)
    except NotYet as why:
        return Offer(form.name, not_yet=str(why))
    return Offer(form.name, contents["at"], stamp(contents))
