"""python-okx, unmodified but for the domain, over TLS: its REST modules and its WebSockets."""

import asyncio
import datetime as dt
import ipaddress
import json
import warnings
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.adapters.okx.exchange.servers import Running, exchange

pytest.importorskip("okx")
SWAP, SPOT = "BTC-USDT-SWAP", "BTC-USDT"
pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own


def certificate(folder: Path) -> tuple[Path, Path]:
    """A throwaway one for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running, None, None]:
    cert, key = certificate(tmp_path_factory.mktemp("tls"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(cert))  # whom this process trusts
        with exchange("--no-limits", "--tls-cert", str(cert), "--tls-key", str(key)) as running:
            yield running


@pytest.fixture(scope="module")
def sdk(server: Running) -> Generator[Any, None, None]:
    """All REST modules, as attributes."""
    from okx.Account import AccountAPI
    from okx.Funding import FundingAPI
    from okx.MarketData import MarketAPI
    from okx.PublicData import PublicAPI
    from okx.Status import StatusAPI
    from okx.Trade import TradeAPI

    where: dict[str, Any] = {"flag": "1", "domain": f"https://127.0.0.1:{server.port}", "debug": False}
    keys: dict[str, Any] = {"api_key": "k", "api_secret_key": "s", "passphrase": "p", **where}
    private = {"account": AccountAPI, "trade": TradeAPI, "funding": FundingAPI}
    public = {"market": MarketAPI, "public": PublicAPI, "status": StatusAPI}
    made = SimpleNamespace(
        **{name: api(**keys) for name, api in private.items()}, **{name: api(**where) for name, api in public.items()}
    )
    yield made
    for api in vars(made).values():
        api.close()


def good(answer: dict[str, Any]) -> list[Any]:
    assert answer["code"] == "0", answer
    return answer["data"]


def test_public_and_market_modules(sdk: Any) -> None:
    assert len(good(sdk.public.get_instruments("SWAP"))) == 10
    assert good(sdk.public.get_system_time())
    assert good(sdk.public.get_funding_rate(SWAP))
    assert len(good(sdk.public.funding_rate_history(SWAP, limit="3"))) == 3
    assert good(sdk.public.get_mark_price("SWAP"))
    assert good(sdk.public.get_open_interest("SWAP"))
    assert good(sdk.public.get_price_limit(SWAP))
    assert good(sdk.public.get_position_tiers("SWAP", "cross", instFamily=SPOT))
    assert SPOT in good(sdk.public.get_underlying("SWAP"))[0]
    assert good(sdk.public.get_convert_contract_coin("1", SWAP, "0.888", unit="coin"))[0]["sz"] == "88.8"
    assert len(good(sdk.market.get_tickers("SPOT"))) == 10
    assert good(sdk.market.get_ticker(SPOT))
    assert good(sdk.market.get_index_tickers(quoteCcy="USDT"))
    assert len(good(sdk.market.get_orderbook(SPOT, "5"))[0]["asks"]) == 5
    assert len(good(sdk.market.get_candlesticks(SPOT, bar="1H", limit="2"))) == 2
    assert len(good(sdk.market.get_history_candlesticks(SPOT, bar="1D", limit="2"))) == 2
    assert len(good(sdk.market.get_index_candlesticks(SPOT))[0]) == 6
    assert len(good(sdk.market.get_mark_price_candlesticks(SWAP))[0]) == 6
    assert len(good(sdk.market.get_trades(SPOT, limit="2"))) == 2
    assert good(sdk.market.get_volume())
    assert good(sdk.status.status()) == []


def test_account_and_funding_modules(sdk: Any) -> None:
    [config] = good(sdk.account.get_account_config())
    assert (config["acctLv"], config["posMode"]) == ("2", "net_mode")
    assert "trade" in config["perm"]
    assert good(sdk.account.get_account_balance(ccy="BTC,USDT"))[0]["details"][0]["cashBal"] == "100000"
    assert good(sdk.account.get_positions()) == []
    assert good(sdk.account.set_leverage("5", "cross", instId=SWAP))[0]["lever"] == "5"
    assert good(sdk.account.get_leverage("cross", instId=SWAP))[0]["lever"] == "5"
    assert sdk.account.set_leverage("500", "cross", instId=SWAP)["code"] == "59102"
    size = float(good(sdk.account.get_max_order_size(SWAP, "cross"))[0]["maxBuy"])
    assert 700 < size < 900
    assert good(sdk.account.get_max_avail_size(SPOT, "cash"))[0]["availBuy"] == "100000"
    assert good(sdk.account.get_fee_rates("SPOT", instId=SPOT))[0]["taker"] == "-0.001"
    assert good(sdk.account.get_fee_rates("SWAP"))[0]["takerU"] == "-0.0005"
    assert good(sdk.account.get_instruments("SPOT"))
    assert good(sdk.account.get_account_position_risk())
    assert good(sdk.funding.get_currencies())
    assert good(sdk.funding.funds_transfer("USDT", "100", "18", "6"))
    assert good(sdk.funding.get_balances())[0]["bal"] == "100"
    assert good(sdk.funding.funds_transfer("USDT", "100", "6", "18"))
    assert good(sdk.account.get_account_bills(type="1"))[0]["subType"] == "11"


def test_long_and_short_side_by_side(sdk: Any) -> None:
    good(sdk.account.set_position_mode("long_short_mode"))
    trade = sdk.trade
    good(trade.place_order(SWAP, "cross", "buy", "market", "2", posSide="long", clOrdId="long1"))
    good(trade.place_order(SWAP, "cross", "sell", "market", "1", posSide="short"))
    assert trade.place_order(SWAP, "cross", "buy", "market", "2")["data"][0]["sCode"] == "51000"
    held = {row["posSide"]: row["pos"] for row in good(sdk.account.get_positions(instType="SWAP"))}
    assert held == {"long": "2", "short": "1"}, "unsigned in this mode"
    good(trade.place_order(SWAP, "cross", "sell", "limit", "2", px="62000", posSide="long"))
    over = trade.place_order(SWAP, "cross", "sell", "market", "1", posSide="long")
    assert over["data"][0]["sCode"] == "51112", "all of it is being closed already"
    assert sdk.account.set_position_mode("net_mode")["code"] == "59000"
    good(trade.close_positions(SWAP, "cross", posSide="long", autoCxl="true"))
    good(trade.close_positions(SWAP, "cross", posSide="short"))
    assert len(good(sdk.account.get_positions_history())) == 2
    good(sdk.account.set_position_mode("net_mode"))


def test_orders_and_algo_orders(sdk: Any) -> None:
    trade = sdk.trade
    good(trade.place_order(SPOT, "cash", "buy", "limit", "0.01", px="58000", clOrdId="o2", tag="tg"))
    assert good(trade.get_order_list())[0]["tag"] == "tg"
    good(trade.amend_order(SPOT, clOrdId="o2", newPx="58100", reqId="r1"))
    assert good(trade.get_order(SPOT, clOrdId="o2"))[0]["px"] == "58100"
    good(trade.cancel_order(SPOT, clOrdId="o2"))
    one = {"instId": SPOT, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01", "px": "58000"}
    [row] = good(trade.place_multiple_orders([one]))
    good(trade.amend_multiple_orders([{"instId": SPOT, "ordId": row["ordId"], "newSz": "0.02"}]))
    good(trade.cancel_multiple_orders([{"instId": SPOT, "ordId": row["ordId"]}]))
    assert {row["state"] for row in good(trade.get_orders_history("SPOT"))} == {"canceled"}
    assert good(trade.get_fills())
    assert good(trade.get_fills_history("SWAP"))
    assert good(trade.get_orders_history_archive("SWAP"))
    [algo] = good(
        trade.place_algo_order(SPOT, "cash", "sell", "conditional", "0.01", slTriggerPx="50000", slOrdPx="-1")
    )
    assert good(trade.order_algos_list("conditional"))[0]["algoId"] == algo["algoId"]
    good(trade.amend_algo_order(SPOT, algoId=algo["algoId"], newSlTriggerPx="51000"))
    assert good(trade.get_algo_order_details(algoId=algo["algoId"]))[0]["slTriggerPx"] == "51000"
    good(trade.cancel_algo_order([{"instId": SPOT, "algoId": algo["algoId"]}]))
    assert good(trade.order_algos_history("conditional", state="canceled"))[0]["algoId"] == algo["algoId"]


def test_its_websockets_insist_on_tls_and_get_it(server: Running) -> None:
    heard: list[dict[str, Any]] = []

    def note(text: str) -> None:
        heard.append(json.loads(text))

    async def listen() -> None:
        from okx.websocket.WsPrivateAsync import WsPrivateAsync
        from okx.websocket.WsPublicAsync import WsPublicAsync

        url = f"wss://127.0.0.1:{server.port}/ws/v5"
        public = WsPublicAsync(f"{url}/public")
        await public.start()
        await public.subscribe([{"channel": "tickers", "instId": SPOT}], note)
        private = WsPrivateAsync(apiKey="k", passphrase="p", secretKey="s", url=f"{url}/private")
        await private.start()
        await private.subscribe([{"channel": "orders", "instType": "ANY"}], note)  # it waits 5 s after its login
        order = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}
        await private.place_order([order], id="77")
        async with asyncio.timeout(5):
            while not any(frame.get("op") == "order" for frame in heard):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await public.stop()
        await private.stop()
        await asyncio.sleep(0.1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.run(listen())
    channels = {frame["arg"]["channel"] for frame in heard if "data" in frame and "arg" in frame}
    assert channels == {"tickers", "orders"}
    [answer] = [frame for frame in heard if frame.get("op") == "order"]
    assert (answer["id"], answer["code"], answer["data"][0]["sCode"]) == ("77", "0", "0")
    states = [
        frame["data"][0]["state"]
        for frame in heard
        if frame.get("arg", {}).get("channel") == "orders" and "data" in frame
    ]
    assert states == ["live", "filled"]
