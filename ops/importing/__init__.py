"""History of another system, taken over as events."""

from ops.importing.mapping import BadMapping, Mapping, load_mapping
from ops.importing.readers import Unreadable
from ops.importing.run import Imported, import_history

__all__ = ["BadMapping", "Imported", "Mapping", "Unreadable", "import_history", "load_mapping"]
