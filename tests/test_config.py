"""Each mistake in the configuration is one line: where, which key, what is wrong, what would be right."""

from decimal import Decimal
from pathlib import Path

import pytest

from kokex.config import Alerts, Config, ConfigError, Market, load
from kokex.market.timeframes import SPANS

SHIPPED = Path(__file__).parent.parent / "config.toml"


def written(folder: Path, text: str) -> Path:
    file = folder / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def read(folder: Path, text: str, **environ: str) -> Config:
    return load(written(folder, text), environ)


def complaint(folder: Path, text: str, **environ: str) -> str:
    file = written(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(file, environ)
    return str(caught.value).replace(file.as_posix(), "config.toml")


TIGHTER = "a built-in limit: it can be tightened, never loosened"
MISTAKES = [
    # unknown keys
    (
        "[risk]\nmax_dayly_loss_pct = 1",
        "config.toml:2: risk.max_dayly_loss_pct: unknown key; did you mean max_daily_loss_pct?",
    ),
    ("[store]\nx = 1", "config.toml:2: store.x: unknown key; must be one of path, keep_days, commit_s"),
    ("[riks]\n", "config.toml:1: riks: unknown key; did you mean risk?"),
    ("mode.kid = 1", "config.toml:1: mode.kid: unknown key; did you mean kind?"),
    ("[llm]\nprovider = 'openai'", "config.toml:1: llm.model: needs the model's name, as the provider writes it"),
    (
        "[llm]\nreset_zone = 'Mars'\nprovider = 'openai'\nmodel = 'm'",
        "config.toml:2: llm.reset_zone: no time zone 'Mars'; for example America/Los_Angeles",
    ),
    (
        "[venue]\nbase_url = 'h'",
        'config.toml:2: venue.base_url: "h" is impossible; must be a URL like "https://www.okx.com", or empty',
    ),
    (
        "[venue]\nproxy = 'http://me:secret@proxy:3128'",
        "config.toml:2: venue.proxy: a password does not belong in this file; leave it out and set HTTPS_PROXY instead",
    ),
    # wrong types and units
    ("[mode]\n\nlong_s = '12m'", 'config.toml:3: mode.long_s: "12m" is not a number in seconds; for example 720'),
    ("[mode]\nsessions = 2.5", "config.toml:2: mode.sessions: 2.5 is not a whole number; for example 4"),
    ("[mode]\nsessions = true", "config.toml:2: mode.sessions: true is not a whole number; for example 4"),
    ("[mode]\nper_instrument = 1", "config.toml:2: mode.per_instrument: 1 is not true or false; for example false"),
    ("[store]\npath = 7", 'config.toml:2: store.path: 7 is not text in quotes; for example "data/kokex.db"'),
    ("[paper]\ncash = 'much'", 'config.toml:2: paper.cash: "much" is not a number; for example 100000'),
    (
        "[brain]\nstrategies = 'trend'",
        'config.toml:2: brain.strategies: "trend" is not a list; for example ["trend"]',
    ),
    ("[brain]\nstrategies = [1]", "config.toml:2: brain.strategies[0]: 1 is not text in quotes"),
    ("risk = 3", "config.toml:1: risk: 3 is not a table; must be [risk] with its keys below"),
    ("[strategies.sma_cross]\nfast = 'x'", 'config.toml:2: strategies.sma_cross.fast: "x" is not a number'),
    (
        "[strategies]\nfast = 3",
        "config.toml:2: strategies.fast: 3 is not a table; must be [strategies.fast] with its keys below",
    ),
    # impossible values
    (
        "[risk]\nmax_daily_loss_pct = 5",
        f"config.toml:2: risk.max_daily_loss_pct: 5 is impossible; must be above 0 and at most 3 percent ({TIGHTER})",
    ),
    (
        "[risk]\nmax_order_pct = 30.1",
        f"config.toml:2: risk.max_order_pct: 30.1 is impossible; must be above 0 and at most 30 percent ({TIGHTER})",
    ),
    (
        "[risk]\nmax_exposure_pct = 101",
        "config.toml:2: risk.max_exposure_pct: 101 is impossible; must be above 0 and at most 100 percent",
    ),
    ("[mode]\nlong_s = -1", "config.toml:2: mode.long_s: -1 is impossible; must be above 0 and at most 86400 seconds"),
    (
        "[mode]\nlong_s = 720_000",
        "config.toml:2: mode.long_s: 720000 is impossible; must be above 0 and at most 86400 seconds",
    ),
    ("[mode]\nlong_s = nan", "config.toml:2: mode.long_s: nan is not a finite number; for example 720"),
    ("[paper]\ncash = 0", "config.toml:2: paper.cash: 0 is impossible; must be above 0"),
    ("[store]\npath = ''", 'config.toml:2: store.path: "" is impossible; must be a text that is not empty'),
    ("[strategies.sma_cross]\nfast = inf", "config.toml:2: strategies.sma_cross.fast: inf is not a finite number"),
    ("[mode]\nkind = 'dayly'", 'config.toml:2: mode.kind: "dayly" is unknown; did you mean daily?'),
    (
        "market.timeframe = '90'",
        f'config.toml:1: market.timeframe: "90" is unknown; must be one of {", ".join(SPANS)}',
    ),
    ("[log]\nlevel = 'x'", 'config.toml:2: log.level: "x" is unknown; must be one of debug, info, warning, error'),
    (
        "[market]\nsource = 'kis'",
        'config.toml:2: market.source: "kis" is not yet supported; must be simulated or replay or okx',
    ),
    ("[venue]\nkind = 'kis'", 'config.toml:2: venue.kind: "kis" is not yet supported; must be paper or okx'),
    ("[venue]\nenvironment = 'live'", 'config.toml:2: venue.environment: "live" needs kind = "okx"'),
    (
        "[venue]\nkind = 'okx'",
        'config.toml:1: venue.environment: an account at OKX is "demo" or "live"; paper money needs kind = "paper"',
    ),
    (
        "[venue]\nkind = 'okx'\nenvironment = 'live'",
        'config.toml:3: venue.environment: "live" is real money: set allow_live = true too, if that is what you want',
    ),
    (
        "[venue]\nkind = 'okx'\nenvironment = 'demo'",
        'config.toml: market.source: "simulated": an account at OKX needs the market of OKX, "okx"',
    ),
    ("[brain]\nkind = 'llm'", 'config.toml:2: brain.kind: "llm" needs a provider and a model in [llm]'),
    # contradictions
    ("[mode]\nlong_s = 60\nshort_s = 90", "config.toml:3: mode.short_s: 90 is longer than long_s; must be at most 60"),
    (
        "[mode]\nsessions = 6",
        "config.toml:1: mode.spacing_h: 6 sessions every 6 hours do not fit in a day; must be at most 4",
    ),
    ("[edges]\nrsi_low = 40", "config.toml:2: edges.rsi_low: 40 must be below rsi_low_release (35)"),
    ("[edges]\nvolume_z_release = 3", "config.toml:2: edges.volume_z_release: 3 must be below volume_z (3)"),
    ("[market]\nsource = 'replay'", "config.toml:1: market.candles: a replay needs at least one CSV file"),
    ("[market]\ninstruments = []", "config.toml:2: market.instruments: needs at least one instrument"),
    ("[market]\ninstruments = ['A', 'A']", "config.toml:2: market.instruments: A is given twice"),
    ("[brain]\nstrategies = []", "config.toml:2: brain.strategies: needs at least one strategy"),
    # plans and accounts
    ("[[plans]]\nenabled = true", 'config.toml:1: plans[0]: needs name; for example "main"'),
    (
        "[[plans]]\nname = 'A B'",
        'config.toml:2: plans[0].name: "A B" is impossible; must be 1 to 16 lower-case letters, digits, _ or -',
    ),
    ("[[plans]]\nname = 'a'\n[[plans]]\nname = 'a'", 'config.toml:4: plans[1].name: "a" is given twice'),
    ("[[plans]]\nname = 'a'\naccount = 'b'", 'config.toml:3: plans[0].account: no account "b"; there is main'),
    ("[[accounts]]\nname = 'b'", 'config.toml: accounts: no account "main"; there is b'),
    ("[[accounts]]\nname = 'b'\n[[accounts]]\nname = 'b'", 'config.toml:4: accounts[1].name: "b" is given twice'),
    (
        "market.instruments = ['A', 'B']\n[[plans]]\nname = 'a'\ninstruments = ['X']",
        "config.toml:4: plans[0].instruments: X is not among the market's; there is A, B",
    ),
    (
        "[[plans]]\nname = 'a'\ntimeframe = '5s'\n[market]\ntimeframe = '1m'",
        'config.toml:3: plans[0].timeframe: must be a multiple of the market\'s, "1m"',
    ),
    (
        "[[plans]]\nname = 'a'\n[[plans]]\nname = 'b'\n[plans.mode]\nlong_s = 100",
        "config.toml:5: plans[1].mode.short_s: 300 is longer than long_s; must be at most 100",
    ),
    (
        "[[plans]]\nname = 'a'\nmode = 1",
        "config.toml:3: plans[0].mode: 1 is not a table; must be [plans.mode] with its keys below",
    ),
    ("[plans]\nname = 'a'", "config.toml:1: plans: a table is not a list; must be [[plans]]"),
    # not TOML at all
    ("[mode]\nkind: 'daily'", "config.toml:2: not TOML: expected '=' after a key in a key/value pair"),
    ("[mode", "config.toml:1: not TOML: expected ']' at the end of a table declaration (at end of document)"),
]


@pytest.mark.parametrize(("text", "line"), MISTAKES, ids=[line.removeprefix("config.toml:") for _, line in MISTAKES])
def test_a_mistake_in_the_file_is_one_line_with_its_remedy(tmp_path: Path, text: str, line: str) -> None:
    assert complaint(tmp_path, text) == line


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("KOKEX__MODE__LONG_S", "soon", 'mode.long_s: "soon" is not a number in seconds; for example 720'),
        ("KOKEX__MODE__LONGS", "1", "mode.longs: unknown key; did you mean long_s?"),
        ("KOKEX__MOOD__X", "1", "mood: unknown key; did you mean mode?"),
        ("KOKEX__MODE", "daily", 'mode: "daily" is not a table; must be [mode] with its keys below'),
        ("KOKEX__MODE__KIND__X", "1", "mode.kind: not a table, so it has no x"),
        ("KOKEX__PLANS__B__ENABLED", "true", "plans.b: no such table; there is a"),
        ("KOKEX__PLANS__A__ENABLED", "maybe", 'plans[0].enabled: "maybe" is not true or false; for example true'),
        ("KOKEX__MODE__SHORT_S", "800", "mode.short_s: 800 is longer than long_s; must be at most 720"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path, variable: str, value: str, line: str) -> None:
    text = "mode.kind = 'daily'\n[[plans]]\nname = 'a'"
    assert complaint(tmp_path, text, **{variable: value}) == f"{variable} in the environment: {line}"


@pytest.mark.parametrize("key", ["key", "secret", "passphrase", "token", "api_key"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    assert complaint(tmp_path, f"[venue]\n{key} = 'hunter2'") == (
        f"config.toml:2: venue.{key}: a secret does not belong in this file; use KOKEX__VENUE__{key.upper()}"
        " in the environment, a systemd credential, or `kokex secrets set`"
    )


def test_a_secret_in_the_environment_is_left_to_who_needs_it(tmp_path: Path) -> None:
    assert read(tmp_path, "", KOKEX__VENUE__SECRET="hunter2") == Config()


def test_a_file_asked_for_must_exist_be_readable_and_be_text(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(ConfigError, match=r"none\.toml: no such file; name a TOML file"):
        load(missing, {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})
    missing.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(missing, {})


def test_without_a_file_the_one_in_the_current_directory_counts_and_else_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, {"KOKEX_IS_NOT_OURS": "1", "PATH": "/bin"}) == Config()
    written(tmp_path, "log.level = 'error'")
    assert load(None, {}).log.level == "error"


def test_the_shipped_file_says_what_the_defaults_say() -> None:
    assert load(SHIPPED, {}) == Config()


def test_the_shipped_file_shows_every_key_with_its_default(tmp_path: Path) -> None:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    head = lines[: next(number for number, line in enumerate(lines) if "EXAMPLES" in line)]
    opened = "\n".join(line.removeprefix("# ") if " = " in line and line.startswith("# ") else line for line in head)
    config = read(tmp_path, opened)
    assert config == Config()
    for section in Config.__struct_fields__:
        for key in getattr(getattr(config, section), "__struct_fields__", ()):
            assert f"\n{key} = " in opened or f"\n[{section}.{key}]" in opened, f"{section}.{key} is not shown"
    assert all(f"\n{kind} = " in opened for kind in Alerts.__struct_fields__)


def test_the_environment_beats_the_file_and_is_read_by_the_type_of_the_field(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        "mode.long_s = 900\n[[plans]]\nname = 'a-b'\nmode.grace_s = 15",
        KOKEX__MODE__LONG_S="600.5",
        KOKEX__MODE__SESSIONS="2",
        KOKEX__MODE__PER_INSTRUMENT="true",
        KOKEX__PAPER__MAKER_FEE="-0.00005",
        KOKEX__MARKET__INSTRUMENTS="BTC-USDT, ETH-USDT",
        KOKEX__BRAIN__STRATEGIES="sma_cross",
        KOKEX__STRATEGIES__SMA_CROSS__FAST="7",
        KOKEX__STORE__PATH="Data/My.db",
        KOKEX__PLANS__A_B__ENABLED="false",
    )
    assert (config.mode.long_s, config.mode.sessions, config.mode.per_instrument) == (600.5, 2, True)
    assert config.paper.maker_fee == Decimal("-0.00005")
    assert config.market.instruments == ("BTC-USDT", "ETH-USDT")
    assert config.store.path == "Data/My.db"
    (plan,) = config.resolved_plans()
    assert (plan.name, plan.enabled, plan.brain.strategies) == ("a-b", False, ("sma_cross",))
    assert plan.parameters == {"sma_cross": {"fast": 7}}
    assert (plan.mode.long_s, plan.mode.grace_s) == (600.5, 15)


def test_money_is_taken_as_written(tmp_path: Path) -> None:
    paper = read(tmp_path, "[paper]\ncash = 123456.1\ntaker_fee = '0.00055'").paper
    assert (paper.cash, paper.taker_fee) == (Decimal("123456.1"), Decimal("0.00055"))


def test_without_plans_there_is_one_called_main() -> None:
    config = Config()
    (plan,) = config.resolved_plans()
    assert (plan.name, plan.account, plan.enabled) == ("main", "main", True)
    assert plan.instruments == config.market.instruments
    assert plan.timeframe_ns == 1_000_000_000
    assert (plan.mode, plan.brain, plan.forecast, plan.risk) == (
        config.mode,
        config.brain,
        config.forecast,
        config.risk,
    )
    (account,) = config.resolved_accounts()
    assert (account.name, account.cash, account.kind) == ("main", Decimal(100_000), "margin")


def test_a_plan_says_only_what_differs(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
        mode = { long_s = 900 }
        risk = { max_order_pct = 20.0, stop_atr = 3.0 }
        strategies.sma_cross = { fast = 5, slow = 50 }
        paper = { cash = 5000, account_kind = "cash" }

        [[accounts]]
        name = "main"

        [[accounts]]
        name = "shadow"
        cash = 777

        [[plans]]
        name = "swing"
        account = "shadow"
        instruments = ["ETH-USDT-SWAP"]
        timeframe = "5m"
        risk = { max_order_pct = 10.0 }
        strategies.sma_cross = { fast = 9 }
        strategies.trend = { span = 100 }

        [[plans]]
        name = "plain"
        """,
    )
    swing, plain = config.resolved_plans()
    assert (swing.account, swing.instruments, swing.timeframe_ns) == ("shadow", ("ETH-USDT-SWAP",), 300_000_000_000)
    assert (swing.risk.max_order_pct, swing.risk.stop_atr, swing.mode.long_s) == (10, 3, 900)
    assert swing.parameters == {"sma_cross": {"fast": 9, "slow": 50}, "trend": {"span": 100}}
    assert (plain.risk.max_order_pct, plain.mode.long_s) == (20, 900)
    assert plain.parameters == {"sma_cross": {"fast": 5, "slow": 50}}
    main, shadow = config.resolved_accounts()
    assert (main.cash, main.kind) == (5_000, "cash")
    assert (shadow.cash, shadow.kind) == (777, "cash")


def test_a_replayed_files_instrument_is_its_stem() -> None:
    market = Market(source="replay", candles=("a/ADA-BTC.csv.gz", "X.csv"))
    assert market.symbols == ("ADA-BTC", "X")
