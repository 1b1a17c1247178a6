"""History of another system, taken over as events."""

from ops.importing.digest import log_digest, stream_digest
from ops.importing.mapping import BadMapping, Mapping, load_mapping
from ops.importing.readers import Unreadable
from ops.importing.run import Imported, as_recorded, import_history, read_history

__all__ = [
    "BadMapping",
    "Imported",
    "Mapping",
    "Unreadable",
    "as_recorded",
    "import_history",
    "load_mapping",
    "log_digest",
    "read_history",
    "stream_digest",
]
