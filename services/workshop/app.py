"""Puts the workshop service together. Nothing else constructs anything."""

from fastapi import FastAPI

from eventlog.settings import Settings
from eventlog.store import EventStore
from services.service import create_service, open_keyring
from services.workshop.api import api
from services.workshop.policies import policies
from services.workshop.rules_api import rules_api
from services.workshop.staff_api import staff_api
from services.workshop.timers import work_order_timers


def create_app(settings: Settings) -> FastAPI:
    workshop = EventStore("workshop", settings.workshop_db)
    keyring, keys = open_keyring(settings)
    return create_service(
        "Workshop",
        settings,
        workshop,
        policies(workshop),
        keyring,
        keys,
        [api(workshop), *rules_api(workshop), *staff_api(workshop)],
        timers=work_order_timers(workshop),
    )
