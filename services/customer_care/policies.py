"""What customer care does whenever something was reported."""

from access.keyring import Keyring
from eventlog.policies import Policies
from eventlog.recorded import Recorded
from eventlog.store import EventStore
from events.customer_care import SubjectErased


def policies(care: EventStore, keyring: Keyring) -> Policies:
    policies = Policies("customer-care", care)

    @policies.whenever(SubjectErased)
    async def whenever_subject_erased_destroy_key(erased: SubjectErased, cause: Recorded) -> None:
        """From then on nobody can read the person's values, wherever they are kept."""
        await keyring.erase(erased.customer)

    return policies
