"""Ids nobody can guess and no two installations share."""

import secrets
import string

_ALPHABET = string.ascii_lowercase + string.digits


class SecretIds:
    """From the system's entropy."""

    def tag(self) -> str:
        """6 lower-case letters and digits: one of 2.2 thousand million."""
        return "".join(secrets.choice(_ALPHABET) for _ in range(6))
