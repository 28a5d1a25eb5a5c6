"""Where a secret comes from: the environment, a systemd credential, the encrypted store; the first that has it.

A secret is named like a key of config.toml: `telegram.token`, `venue.key`, `accounts.shadow.key`. The variable is
KOKEX__TELEGRAM__TOKEN (see environment.py), the credential's file is called `telegram.token`. The store is opened when
something is asked for that nobody else has, so that a daemon on paper money asks for no passphrase.
"""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import final

from kokex.adapters.secrets.environment import PASSPHRASE, name_of, taken, variable_of
from kokex.adapters.secrets.sealed import SHORTEST_KEY, KeyKind, SecretsError, kind_of, read, write
from kokex.adapters.secrets.secret import Secret, know
from kokex.config import SECRETS

CREDENTIALS = "CREDENTIALS_DIRECTORY"
KEY_CREDENTIAL, PASSPHRASE_CREDENTIAL = "kokex.key", "kokex.passphrase"


@final
class Secrets:
    """`secrets("telegram.token")` -> the Secret, or None where there is none. Raises SecretsError."""

    def __init__(
        self,
        path: Path,
        key_file: Path | None = None,
        *,
        environ: Mapping[str, str],
        prompt: Callable[[str], str] | None = None,
    ) -> None:
        """`path`: the encrypted store. `prompt` asks a person without showing what is typed; None: nobody is there."""
        self._path = path
        self._key_file = key_file
        self._directory = Path(environ[CREDENTIALS]) if environ.get(CREDENTIALS) else None
        self._variables = taken()
        self._words = self._variables.get(PASSPHRASE)
        self._prompt = prompt
        self._stored: dict[str, str] | None = None

    def __call__(self, name: str) -> Secret | None:
        value = self._variables.get(variable_of(name)) or self._credential(name)
        if value is None and self._path.exists():
            value = self._store().get(name)
        return Secret(value) if value else None

    def sources(self) -> dict[str, str]:
        """Every name there is, and where it comes from."""
        found = dict.fromkeys(self._store() if self._path.exists() else (), str(self._path))
        if self._directory and self._directory.is_dir():
            for file in sorted(self._directory.iterdir()):
                section, _, leaf = file.name.rpartition(".")
                if section and leaf in SECRETS and file.name != PASSPHRASE_CREDENTIAL:
                    found[file.name] = "credential"
        for variable, value in self._variables.items():
            if value and variable != PASSPHRASE:
                found[name_of(variable)] = "environment"
        return dict(sorted(found.items()))

    def put(self, name: str, value: str) -> None:
        """Into the store. Raises SecretsError."""
        know(value)
        kind: KeyKind = "key file" if self._key() else "passphrase"
        if self._path.exists():
            kind = kind_of(self._path)
        write(self._path, {name: value}, self, kind)
        self._stored = None

    def remove(self, name: str) -> None:
        """Out of the store. Raises SecretsError."""
        if not self._path.exists() or name not in self._store():
            raise SecretsError(f"{self._path}: has no {name}; `kokex secrets list` shows what there is")
        write(self._path, {name: None}, self, kind_of(self._path))
        self._stored = None

    def _store(self) -> dict[str, str]:
        if self._stored is None:
            self._stored = read(self._path, self)
            for value in self._stored.values():
                know(value)
        return self._stored

    # ---- keys of the store

    def passphrase(self, path: Path) -> str:
        words = self._words or self._credential(PASSPHRASE_CREDENTIAL)
        if not words and self._prompt:
            words = self._prompt(f"Passphrase for {path}")
            if words and not path.exists() and self._prompt("Once more") != words:
                raise SecretsError("the two passphrases differ; nothing was written")
        if not words:
            raise SecretsError(
                f"{path}: needs its passphrase; set {PASSPHRASE}, give a systemd credential "
                f"{PASSPHRASE_CREDENTIAL}, or start on a terminal"
            )
        self._words = words
        know(words)
        return words

    def key_file(self, path: Path) -> bytes:
        key = self._key()
        if key is None:
            raise SecretsError(
                f"{path}: needs its key file; name it in [secrets] key_file, or give a systemd credential "
                f"{KEY_CREDENTIAL}"
            )
        return key

    def _key(self) -> bytes | None:
        place = self._key_file
        if place is None and self._directory and (self._directory / KEY_CREDENTIAL).exists():
            place = self._directory / KEY_CREDENTIAL
        if place is None:
            return None
        try:
            mode, body = place.stat().st_mode, place.read_bytes()
        except OSError as error:
            raise SecretsError(f"{place}: cannot be read: {error.strerror}; it is the key to the secrets") from None
        if place == self._key_file and stat.S_IMODE(mode) & 0o077:
            raise SecretsError(f"{place}: others can read it; `chmod 600 {place}`")
        if len(body) < SHORTEST_KEY:
            raise SecretsError(
                f"{place}: {len(body)} bytes are no key; make one with `head -c 64 /dev/urandom > {place}`"
            )
        return body

    def _credential(self, name: str) -> str | None:
        if self._directory is None:
            return None
        try:
            return (self._directory / name).read_text(encoding="utf-8").rstrip("\r\n") or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise SecretsError(f"credential {name}: cannot be read: {why}") from None


def ask_hidden(question: str) -> str:
    """Asks on the terminal, whatever stdin is. Raises SecretsError where there is none."""
    from getpass import getpass

    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        raise SecretsError(f"no terminal to ask on: {question}; set {PASSPHRASE}") from None
    return getpass(question + ": ")
