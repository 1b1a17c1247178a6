"""Creates what the servers need before the apps can work: databases, tables, roles, streams, consumers."""

from psycopg import AsyncConnection, OperationalError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import DuplicateDatabase
from psycopg.sql import SQL, Identifier

from access.keyring import Keyring, load_master_key
from access.pools import open_pool
from access.sights import Sights
from eventlog.bus import connect, ledger_consumer
from eventlog.bus import provision as provision_bus
from eventlog.ledger import Ledger
from eventlog.settings import Settings
from eventlog.store import EventStore
from ops.processes import Unusable
from projections.views import provision as provision_views
from services.customer_care.policies import policies as care_policies
from services.reception.attachments import provision as provision_attachments
from services.reception.mileage import provision as provision_mileage
from services.reception.policies import policies as reception_policies
from services.workshop.policies import policies as workshop_policies


async def provision(settings: Settings) -> list[str]:
    """Create what is missing, update what differs; a line for each change. Harmless to repeat."""
    changes = []
    databases = [
        settings.reception_db,
        settings.workshop_db,
        settings.customer_care_db,
        settings.ledger_db,
        settings.keys_db,
    ]
    for address in databases:
        if await _create_database(address):
            changes.append(f"database {conninfo_to_dict(address)['dbname']} created")
    stores = {
        "reception": EventStore("reception", settings.reception_db),
        "workshop": EventStore("workshop", settings.workshop_db),
        "customer_care": EventStore("customer_care", settings.customer_care_db),
    }
    for store in stores.values():
        await store.provision()
    await provision_attachments(settings.reception_db)
    await provision_mileage(settings.reception_db)
    await Ledger(settings.ledger_db, {}).provision()
    async with await AsyncConnection.connect(settings.ledger_db, autocommit=True) as conn:
        await provision_views(conn)
    async with open_pool(settings.keys_db, 1) as pool:
        keyring = Keyring(pool, load_master_key(settings.secrets / "master.key"))
        await keyring.provision()
        await Sights(pool).provision()
    policies = [
        reception_policies(stores["reception"]),
        workshop_policies(stores["workshop"]),
        care_policies(stores["customer_care"], keyring),
    ]
    consumers = [ledger_consumer(), *(consumer for each in policies for consumer in each.consumers())]
    try:
        bus = await connect(settings.nats_url, "provision")
    except OSError as why:
        reason = str(why) or "the NATS server does not answer, or does not know our key"
        raise Unusable(f"the bus cannot be used: {reason}") from None
    try:
        changes += await provision_bus(bus.jetstream(), consumers)
    finally:
        await bus.close()
    return changes


async def _create_database(address: str) -> bool:
    name = str(conninfo_to_dict(address)["dbname"])
    try:
        async with await AsyncConnection.connect(
            make_conninfo(address, dbname="postgres"), autocommit=True
        ) as conn:
            found = await conn.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
            if found.rowcount:
                return False
            await conn.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    except DuplicateDatabase:
        return False
    except OperationalError as why:
        raise Unusable(
            f"PostgreSQL does not answer for database {name}: {str(why).splitlines()[0]}"
        ) from None
    return True
