"""Secrets: found where they may be, sealed where they are kept, and seen by nobody."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kokex.adapters.host.console import LineConsole
from kokex.adapters.secrets import environment, sealed
from kokex.adapters.secrets.secret import Secret, mask, redact
from kokex.adapters.secrets.sources import Secrets, SecretsError
from kokex.adapters.sqlite.live import open_live
from kokex.adapters.sqlite.recorder import recorder
from kokex.messages import Alert

WORDS = "correct horse battery"
TOKEN = 'to"ken/with:odd+letters'


class Holder:
    def __init__(self, words: str = WORDS) -> None:
        self.words = words

    def passphrase(self, path: Path) -> str:
        return self.words

    def key_file(self, path: Path) -> bytes:
        return self.words.encode() * 2


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that takes a millisecond; and an environment of its own."""
    monkeypatch.setattr(sealed, "SCRYPT_N", 2)
    monkeypatch.setattr(environment, "_taken", {})


def store(tmp_path: Path, **values: str | None) -> Path:
    path = tmp_path / "kokex.secrets"
    sealed.write(path, values, Holder(), "passphrase")
    return path


def secrets_in(path: Path, environ: dict[str, str] | None = None, words: str = WORDS) -> Secrets:
    environ = {"KOKEX_PASSPHRASE": words, **(environ or {})}
    environment.take(environ)
    return Secrets(path, environ=environ)


def test_what_was_put_in_comes_out_and_the_file_is_its_owners(tmp_path: Path) -> None:
    path = store(tmp_path, **{"venue.key": "first value", "telegram.token": TOKEN})
    assert path.stat().st_mode & 0o777 == 0o600
    assert TOKEN.encode() not in path.read_bytes()
    assert b"telegram" not in path.read_bytes()  # names are sealed too
    found = secrets_in(path)
    assert (token := found("telegram.token")) is not None
    assert token.reveal() == TOKEN
    assert found("llm.api_key") is None


def test_the_environment_beats_a_credential_and_that_the_store(tmp_path: Path) -> None:
    path = store(tmp_path, **{"venue.key": "from store", "venue.secret": "from store", "telegram.token": "from store"})
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "venue.key").write_text("from credential\n")
    (credentials / "venue.secret").write_text("from credential\n")
    found = secrets_in(path, {"CREDENTIALS_DIRECTORY": str(credentials), "KOKEX__VENUE__KEY": "from environment"})
    values = {name: str(secret.reveal()) for name in found.sources() if (secret := found(name))}
    assert values == {
        "telegram.token": "from store", "venue.key": "from environment", "venue.secret": "from credential",
    }  # fmt: skip
    assert found.sources()["venue.secret"] == "credential"


def test_a_store_nobody_asks_is_not_opened_and_costs_no_library(tmp_path: Path) -> None:
    code = """if 1:
        import sys
        from pathlib import Path
        from kokex.adapters.secrets.sources import Secrets
        assert Secrets(Path("none"), environ={})("venue.key") is None
        assert "cryptography" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env={"PYTHONPATH": str(Path.cwd())})


def test_a_wrong_passphrase_and_a_changed_file_are_told_apart(tmp_path: Path) -> None:
    path = store(tmp_path, **{"venue.key": "value"})
    with pytest.raises(SecretsError, match="wrong passphrase"):
        secrets_in(path, words="incorrect")("venue.key")
    file = msgspec.json.decode(path.read_bytes(), type=sealed.File)
    # whoever mends the checksum still cannot mend the cipher's own
    forged = msgspec.structs.replace(
        file, sealed=file.sealed[:8] + ("A" if file.sealed[8] != "A" else "B") + file.sealed[9:]
    )
    header = msgspec.structs.replace(file.header, nonce="00" * 12)
    for changed in (forged, msgspec.structs.replace(file, header=header)):
        mended = msgspec.structs.replace(changed, sum=sealed._sum(changed.header, changed.sealed))
        path.write_bytes(msgspec.json.encode(mended))
        with pytest.raises(SecretsError, match="changed or damaged"):
            secrets_in(path)("venue.key")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_single_flipped_bit_anywhere_is_noticed(tmp_path: Path, place: float, bit: int) -> None:
    path = tmp_path / "kokex.secrets"
    if not path.exists():
        store(tmp_path, **{"venue.key": "value"})
        path.with_name("whole").write_bytes(path.read_bytes())
    body = bytearray(path.with_name("whole").read_bytes())
    body[int(place * len(body))] ^= 1 << bit
    path.write_bytes(body)
    with pytest.raises(SecretsError, match="changed or damaged"):
        sealed.read(path, Holder())


def test_a_key_file_opens_a_store_and_must_be_private(tmp_path: Path) -> None:
    path, key = tmp_path / "kokex.secrets", tmp_path / "key"
    key.write_bytes(b"k" * 64)
    key.chmod(0o644)
    with pytest.raises(SecretsError, match="chmod 600"):
        Secrets(path, key, environ={}).put("venue.key", "value of it")
    key.chmod(0o600)
    Secrets(path, key, environ={}).put("venue.key", "value of it")
    assert str(Secrets(path, key, environ={})("venue.key")) == "***"
    key.write_bytes(b"x" * 64)
    with pytest.raises(SecretsError, match="wrong key file"):
        Secrets(path, key, environ={})("venue.key")
    with pytest.raises(SecretsError, match="key_file"):
        Secrets(path, environ={})("venue.key")


def test_a_write_that_fails_leaves_the_old_store_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store(tmp_path, **{"venue.key": "value"})
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(sealed.os, "fsync", full)
        with pytest.raises(SecretsError, match="No space left"):
            sealed.write(path, {"venue.key": "other"}, Holder(), "passphrase")
    assert path.read_bytes() == before
    sealed.write(path, {"venue.key": "other"}, Holder(), "passphrase")
    assert sealed.read(path, Holder()) == {"venue.key": "other"}


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(TOKEN)
    assert TOKEN not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)


def test_no_secret_reaches_log_or_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Secret(TOKEN)
    text = f"GET https://api.example/bot{TOKEN}/x failed"
    LineConsole(sys.stdout)(0, "ERROR", "alert", text)
    assert TOKEN not in capsys.readouterr().out
    _journal(tmp_path / "kokex.db", text)
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"failed" in written
    assert TOKEN.encode() not in written
    assert msgspec.json.encode(TOKEN)[1:-1] not in written


def _journal(path: Path, text: str) -> None:
    """An alert and a recorded failure that carry the text, in a live store."""
    import asyncio

    async def write() -> None:
        live = await open_live(path, now_ns=1, mode="run", version="0", config_json="{}", tag_factory=lambda: "tag")
        alert = Alert(id=1, at=1, severity="warning", kind="venue", text=text)
        live.append(alert)
        recorder(live)(0, 1, "executor[main]", "post", 1, alert)
        await live.commit()
        await live.close()

    asyncio.run(write())


def test_masking_keeps_what_was_recorded_readable() -> None:
    Secret(TOKEN)
    alert = Alert(severity="info", kind="x", text=f"a {TOKEN} b")
    body = mask(msgspec.msgpack.encode(alert))
    assert msgspec.msgpack.decode(body, type=Alert).text == f"a {'*' * len(TOKEN)} b"
    assert redact(f"a {TOKEN} b") == "a *** b"


def test_no_child_inherits_a_secret() -> None:
    code = """if 1:
        import os, subprocess
        from kokex.adapters.secrets.environment import take, taken
        take(os.environ)
        assert len(taken()) == 3, taken().keys()
        print(subprocess.run(["env"], capture_output=True, text=True).stdout)
    """
    environ = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd()), "KOKEX__VENUE__SECRET": TOKEN,
        "KOKEX__ACCOUNTS__SHADOW__KEY": TOKEN, "KOKEX_PASSPHRASE": WORDS, "KOKEX__MODE__LONG_S": "600",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True)
    assert "KOKEX__MODE__LONG_S=600" in done.stdout
    assert TOKEN not in done.stdout
    assert WORDS not in done.stdout
