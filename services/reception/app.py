"""Puts the reception service together. Nothing else constructs anything."""

from fastapi import FastAPI

from eventlog.checkpoints import SigningKey
from eventlog.settings import Settings
from eventlog.store import EventStore
from services.reception.answers_api import answers_api
from services.reception.api import api
from services.reception.appointment_timers import appointment_timers
from services.reception.appointments_api import appointments_api
from services.reception.attachments import Attachments
from services.reception.delivery_api import delivery_api
from services.reception.intake_api import LARGER, intake_api
from services.reception.links_api import links_api
from services.reception.policies import policies
from services.reception.quote_api import quote_api
from services.reception.rules_api import rules_api
from services.reception.settlement_api import settlement_api
from services.service import create_service, open_keyring


def create_app(settings: Settings) -> FastAPI:
    reception = EventStore("reception", settings.reception_db)
    keyring, keys = open_keyring(settings)
    attachments = Attachments(reception, keyring)
    return create_service(
        "Reception",
        settings,
        reception,
        policies(reception),
        keyring,
        keys,
        [
            api(reception, keyring),
            appointments_api(reception, keyring),
            intake_api(reception, attachments),
            quote_api(reception, keyring, attachments),
            answers_api(reception, keyring),
            delivery_api(reception),
            settlement_api(reception, attachments, SigningKey(settings.secrets / "gate.key")),
            *rules_api(reception),
            links_api(reception, keyring),
        ],
        timers=appointment_timers(reception),
        larger=LARGER,
    )
