"""The encrypted store: one small file of names and values, AES-256-GCM.

The file is JSON: a header (how the key is made, the nonce), the sealed names and values, a checksum over both. The
header is authenticated along with what is sealed. Three ways to fail are told apart: a file that was changed or
damaged fails its checksum, a wrong key fails the header's check value, and a change that mends the checksum still
fails the cipher's own authentication.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kokex.adapters.host.chance import noise
from kokex.adapters.host.lock import FileLock, Locked

# 32 MiB and some 0.3 s for each guess (OWASP's third choice of scrypt parameters, for machines with little memory).
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 15, 8, 3
MOST_N, MOST_P = 1 << 20, 64  # a header may not ask for more
KEY_BYTES = 32
SALT_BYTES, NONCE_BYTES = 16, 12
SHORTEST_KEY = 32  # bytes of a key file

KeyKind = Literal["passphrase", "key file"]


class SecretsError(Exception):
    """What is wrong with the secrets, and the remedy, in one line."""


class Keys(Protocol):
    """Who has the key. Raises SecretsError when nobody does."""

    def passphrase(self, path: Path) -> str: ...
    def key_file(self, path: Path) -> bytes: ...


class Header(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["kokex-secrets"] = "kokex-secrets"
    version: Literal[1] = 1
    cipher: Literal["AES-256-GCM"] = "AES-256-GCM"
    key: KeyKind
    salt: str  # hex, of scrypt; for a key file it keeps two stores under one key apart
    n: int
    r: int
    p: int
    nonce: str = ""  # hex, fresh with each write
    check: str = ""  # hex, tells a wrong key from a changed file


class File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    header: Header
    sealed: str  # base64
    sum: str  # SHA-256 over both


def read(path: Path, keys: Keys) -> dict[str, str]:
    """Name -> value. Raises SecretsError."""
    file = _file(path)
    secret = _derive(file.header, path, keys)
    return _open(file, secret, path)


def write(path: Path, changes: Mapping[str, str | None], keys: Keys, kind: KeyKind) -> None:
    """Sets and removes (None) names; a store that is not there yet is made, with a key of that kind.

    One writer at a time; readers see the old file or the new one. Raises SecretsError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(path.name + ".lock"))
    except Locked:
        raise SecretsError(f"{path}: another process is changing it; try again") from None
    except OSError as error:
        raise SecretsError(f"{path}: cannot be written: {error.strerror}; check owner and mode") from None
    try:
        if path.exists():
            file = _file(path)
            header = file.header
            secret = _derive(header, path, keys)
            values = _open(file, secret, path)
        else:
            header = Header(key=kind, salt=noise(SALT_BYTES).hex(), n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)
            secret = _derive(header, path, keys)
            values = {}
        for name, value in changes.items():
            if value is None:
                del values[name]
            else:
                values[name] = value
        _replace(path, _sealed(header, secret, values))
    finally:
        lock.release()


def kind_of(path: Path) -> KeyKind:
    """Which kind of key opens the store. Raises SecretsError."""
    return _file(path).header.key


# ---- inside ---------------------------------------------------------------------------------


def _file(path: Path) -> File:
    try:
        file = msgspec.json.decode(path.read_bytes(), type=File)
    except OSError as error:
        raise SecretsError(f"{path}: cannot be read: {error.strerror}; check owner and mode") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SecretsError(_changed(path)) from None
    if not hmac.compare_digest(file.sum, _sum(file.header, file.sealed)):
        raise SecretsError(_changed(path))
    return file


def _changed(path: Path) -> str:
    return f"{path}: was changed or damaged; restore a copy, or remove it and `kokex secrets set` each name again"


def _derive(header: Header, path: Path, keys: Keys) -> bytes:
    """64 bytes: the key, and what its check value is made of."""
    try:
        salt = bytes.fromhex(header.salt)
    except ValueError:
        raise SecretsError(_changed(path)) from None
    if header.key == "key file":
        return hmac.digest(keys.key_file(path), b"kokex secrets" + salt, "sha512")
    if not (1 < header.n <= MOST_N and header.r == SCRYPT_R and 0 < header.p <= MOST_P):
        raise SecretsError(_changed(path))
    passphrase = keys.passphrase(path).encode()
    room = 256 * header.n * header.r + (1 << 20)
    try:
        return hashlib.scrypt(
            passphrase, salt=salt, n=header.n, r=header.r, p=header.p, maxmem=room, dklen=2 * KEY_BYTES
        )
    except ValueError:  # n is no power of two
        raise SecretsError(_changed(path)) from None


def _check(secret: bytes) -> str:
    return hashlib.sha256(secret[KEY_BYTES:]).hexdigest()


def _sum(header: Header, sealed: str) -> str:
    return hashlib.sha256(msgspec.json.encode(header) + sealed.encode()).hexdigest()


def _open(file: File, secret: bytes, path: Path) -> dict[str, str]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header = file.header
    if not hmac.compare_digest(header.check, _check(secret)):
        raise SecretsError(f"{path}: wrong {header.key}")
    try:
        nonce, sealed = bytes.fromhex(header.nonce), base64.b64decode(file.sealed, validate=True)
        plain = AESGCM(secret[:KEY_BYTES]).decrypt(nonce, sealed, msgspec.json.encode(header))
        return msgspec.json.decode(plain, type=dict[str, str])
    except (InvalidTag, ValueError, binascii.Error, msgspec.DecodeError):
        raise SecretsError(_changed(path)) from None


def _sealed(header: Header, secret: bytes, values: Mapping[str, str]) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = noise(NONCE_BYTES)
    header = replace(header, nonce=nonce.hex(), check=_check(secret))
    plain = msgspec.json.encode(values, order="deterministic")
    sealed = base64.b64encode(AESGCM(secret[:KEY_BYTES]).encrypt(nonce, plain, msgspec.json.encode(header))).decode()
    return msgspec.json.encode(File(header=header, sealed=sealed, sum=_sum(header, sealed)))


def _replace(path: Path, body: bytes) -> None:
    """All or nothing, readable by its owner only, and on disk when this returns."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise SecretsError(f"{path}: cannot be written: {error.strerror}; check owner, mode and disk") from None
