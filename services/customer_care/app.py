"""Puts the customer-care service together. Nothing else constructs anything."""

from fastapi import FastAPI

from eventlog.settings import Settings
from eventlog.store import EventStore
from services.customer_care.api import api
from services.customer_care.links_api import links_api
from services.customer_care.notifications import load_channels
from services.customer_care.policies import policies
from services.customer_care.rules_api import rules_api
from services.customer_care.timers import complaint_timers
from services.service import create_service, open_keyring


def create_app(settings: Settings) -> FastAPI:
    care = EventStore("customer_care", settings.customer_care_db)
    keyring, keys = open_keyring(settings)
    return create_service(
        "Customer care",
        settings,
        care,
        policies(care, keyring),
        keyring,
        keys,
        [api(care, keyring), *rules_api(care), links_api(care, keyring)],
        timers=complaint_timers(care, load_channels(settings.notifications)),
    )
