"""Where things are: the `BAYLEDGER_…` variables, or what the last `up` wrote into its data folder."""

import os
from pathlib import Path

from eventlog.settings import Settings
from ops.processes import Unusable

FILE = "environment"
DEFAULT_DATA = Path("bayledger-data")


def own_data_folder(data: Path) -> Path:
    """The folder of an installation on this machine, made if it is new. Raises Unusable for a foreign one."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(data.iterdir()) and not (data / FILE).exists():
            raise Unusable(
                f"{data} is not empty and was not made by Bayledger: choose another folder with --data"
            )
        (data / FILE).touch(mode=0o600)
    except OSError as why:
        raise Unusable(f"{data} cannot be used as a data folder: {why.strerror}") from None
    return data


def write(data: Path, variables: dict[str, str]) -> Settings:
    """Remember the variables for other commands, for the eyes of the folder's owner only."""
    (data / FILE).write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return _settings(variables)


def read(data: Path) -> Settings:
    """The settings of the environment, else of the installation in the folder. Raises Unusable."""
    if "BAYLEDGER_LEDGER_DB" in os.environ:
        return _settings({})
    try:
        lines = (data / FILE).read_text().splitlines()
    except OSError:
        raise Unusable(
            f"there is no installation in {data}: start one with `bayledger up`, name its folder with --data,"
            " or set the BAYLEDGER_… variables"
        ) from None
    return _settings(dict(line.split("=", 1) for line in lines if "=" in line))


def _settings(variables: dict[str, str]) -> Settings:
    from pydantic import ValidationError

    os.environ.update(variables)
    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as why:
        missing = ", ".join(f"BAYLEDGER_{error['loc'][0]}".upper() for error in why.errors())
        raise Unusable(f"the configuration is incomplete or wrong: {missing}") from None
