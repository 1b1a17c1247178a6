"""A template becomes a page: in the reader's language, for whoever is signed in."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from markupsafe import Markup
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse

from access.roles import Action
from access.tokens import Principal
from projections.projection import Document
from projections.web.i18n import HERE, environment, language_of
from projections.work_order_board.cards import SITE_ZONE

STATIC = HERE / "static"
RELEASE = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(STATIC.iterdir()))).hexdigest()[:8]
"""Part of the address of our files, so that no browser mixes those of two releases."""


def page(
    connection: HTTPConnection,
    template: str,
    who: Principal | None,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **facts: Any,
) -> HTMLResponse:
    query = f"?{connection.url.query}" if connection.url.query else ""
    html = (
        environment(language_of(connection))
        .get_template(template)
        .render(
            who=who,
            may=lambda action: who is not None and who.may(Action(action)),
            here=connection.url.path + query,
            now=datetime.now(UTC),
            zone=SITE_ZONE,
            release=RELEASE,
            **facts,
        )
    )
    # Without a referrer a browser would not tell us that a form came from our own page.
    return HTMLResponse(html, status, {**(headers or {}), "referrer-policy": "same-origin"})


@cache
def as_html(language: str) -> Callable[[Document, int], Markup]:
    """Makes the card of a board; one function for each language, so that a card is made once for each."""
    template = environment(language).get_template("card.html")

    def card_html(card: Document, position: int) -> Markup:
        return Markup(template.render(card=card, position=position, order=order(card)))

    return card_html


def order(card: Document) -> str:
    """By which the cards of a column are sorted: the next promise first, the next slot, the last delivery."""
    if "delivered_at" in card:
        return f"{10**11 - datetime.fromisoformat(card['delivered_at']).timestamp():018.3f}"
    return f"{card.get('promised_at', '9999')} {card.get('since', '')}"
