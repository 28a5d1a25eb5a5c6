"""Secrets in the environment: taken out of it before anything else happens, so that no child inherits one.

Process-wide, as the environment is.
"""

from collections.abc import MutableMapping

from kokex.adapters.secrets.secret import know
from kokex.config import SECRETS

PASSPHRASE = "KOKEX_PASSPHRASE"  # noqa: S105  a name, of the encrypted store
PREFIX = "KOKEX__"

_taken: dict[str, str] = {}


def take(environ: MutableMapping[str, str]) -> None:
    """Moves all secrets out of an environment."""
    for variable in list(environ):
        if variable == PASSPHRASE or (variable.startswith(PREFIX) and _leaf(variable) in SECRETS):
            _taken[variable] = environ.pop(variable)
            know(_taken[variable])


def taken() -> dict[str, str]:
    """Variable -> value of all that was taken."""
    return dict(_taken)


def variable_of(name: str) -> str:
    """`telegram.token` -> KOKEX__TELEGRAM__TOKEN."""
    return PREFIX + name.replace(".", "__").replace("-", "_").upper()


def name_of(variable: str) -> str:
    """KOKEX__TELEGRAM__TOKEN -> `telegram.token`."""
    return variable.removeprefix(PREFIX).lower().replace("__", ".")


def _leaf(variable: str) -> str:
    return variable.removeprefix(PREFIX).lower().rpartition("__")[2]
