"""A secret in a file that its owner alone can read."""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path


def secret_file(path: Path, create: Callable[[], bytes]) -> bytes:
    """The content of `path`, created on first use. Whoever comes first decides; all get the same content.

    Raises PermissionError for a file that others may read.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp creates with 0600; a link appears whole or not at all, and never replaces another's.
        handle, draft = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(create())
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)  # what is sealed or signed with it must not outlive it
            os.close(folder)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise PermissionError(f"{path} must be readable by its owner alone (chmod 600)")
    return path.read_bytes()
