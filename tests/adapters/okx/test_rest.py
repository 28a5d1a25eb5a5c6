"""REST: what is sent is signed as it is sent, and each answer means one of three things."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web

from kokex.adapters.okx.answers import Throttled, Unsent
from kokex.adapters.okx.hosts import Hosts
from kokex.adapters.okx.preflight import listed
from kokex.adapters.okx.private import PrivateRest
from kokex.adapters.okx.public import PublicRest
from kokex.adapters.okx.rest import TRIES, Rest
from kokex.adapters.okx.wire.trade import CancelOrder, PlaceOrder
from kokex.ports import Ambiguous, Rejected
from tests.adapters.okx.loopback import CREDENTIALS, Answer, Loopback, loopback, rest_of, told

ORDER = PlaceOrder(inst_id="BTC-USDT-SWAP", td_mode="cross", side="buy", ord_type="market", sz="1", cl_ord_id="k1")
NO = {"ordId": "", "clOrdId": "k1", "ts": "1", "sCode": "51008", "sMsg": "Insufficient balance"}
YES = {"ordId": "7", "clOrdId": "k1", "ts": "1", "sCode": "0", "sMsg": ""}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kokex.adapters.okx.rest.PAUSE_S", 0.001)


def against(scenario: Callable[[Loopback, Rest], Awaitable[None]], **how: Any) -> None:
    async def run() -> None:
        async with loopback() as server, rest_of(server, credentials=CREDENTIALS, user="main", **how) as rest:
            await scenario(server, rest)

    asyncio.run(run())


def test_a_request_is_signed_over_the_raw_path_and_the_bytes_of_its_body() -> None:
    async def scenario(server: Loopback, rest: Rest) -> None:
        server.answers["trade/order"] = lambda *_: (200, told(YES))
        server.answers["trade/orders-algo-pending"] = lambda *_: (200, told())
        private = PrivateRest(rest)
        await private.place_order(ORDER)
        await private.orders_algo_pending("conditional,oco", inst_id="BTC-USDT-SWAP")
        assert len(server.requests) == 2
        for request, body in server.requests:
            at = request.headers["OK-ACCESS-TIMESTAMP"]
            text = f"{at}{request.method}{request.raw_path}".encode() + body
            proof = hmac.digest(b"the-secret", text, hashlib.sha256)
            assert request.headers["OK-ACCESS-SIGN"] == base64.b64encode(proof).decode()
            assert request.headers["OK-ACCESS-KEY"] == "the-key"
            assert request.headers["OK-ACCESS-PASSPHRASE"] == "the-phrase"
            assert "x-simulated-trading" not in request.headers
        assert server.requests[0][1] == (
            b'{"instId":"BTC-USDT-SWAP","tdMode":"cross","side":"buy","ordType":"market","sz":"1","clOrdId":"k1"}'
        )

    against(scenario)


def test_a_demo_says_so_and_a_deadline_is_sent_in_the_exchanges_time() -> None:
    async def scenario(server: Loopback, _: Rest) -> None:
        ahead_ns = 40_000_000_000  # OKX is ahead of our clock: without an offset it would refuse us
        server.answers["public/time"] = lambda *_: (200, told({"ts": str((time.time_ns() + ahead_ns) // 1_000_000)}))
        server.answers["trade/order"] = lambda *_: (200, told(YES))
        server.hosts = Hosts(rest=server.hosts.rest, sockets="", demo=True)
        async with rest_of(server, credentials=CREDENTIALS) as rest:
            offset_ns = await rest.sync_clock()
            assert abs(offset_ns - ahead_ns) < 1_000_000_000
            expires_ns = time.time_ns() + 5_000_000_000
            await PrivateRest(rest).place_order(ORDER, expires_ns=expires_ns)
        sent = server.requests[-1][0].headers
        assert sent["x-simulated-trading"] == "1"
        assert int(sent["expTime"]) == (expires_ns + offset_ns) // 1_000_000

    against(scenario)


MEANINGS: list[tuple[str, Answer, type[Exception], str]] = [
    ("a refused order", (200, {"code": "1", "msg": "All operations failed", "data": [NO]}), Rejected, "51008"),
    ("an unknown key, without data", (401, {"msg": "Invalid OK-ACCESS-KEY", "code": "50111"}), Rejected, "50111"),
    ("too many requests", (429, {"msg": "Too Many Requests", "code": "50011"}), Throttled, "50011"),
    ("too many orders", (200, {"msg": "sub-account", "code": "50061", "data": []}), Throttled, "50061"),
    ("past its deadline", (200, {"code": "50036", "msg": "expTime", "data": []}), Rejected, "50036"),
    ("a timeout inside", (400, {"code": "50004", "msg": "timeout", "data": []}), Ambiguous, "50004"),
    ("a timeout of the row", (200, {"code": "1", "msg": "", "data": [NO | {"sCode": "51149"}]}), Ambiguous, "51149"),
    ("out of service", (503, {"code": "50001", "msg": "Service temporarily unavailable"}), Ambiguous, "50001"),
    ("a gateway's page", (502, "<html>Bad gateway</html>"), Ambiguous, "502"),
    ("half an answer", (200, '{"code":"0","data":[{"ordId"'), Ambiguous, "unreadable"),
    ("another shape", (200, told({"ordId": 5})), Ambiguous, "cannot be read"),
    ("no row", (200, told()), Ambiguous, "0 rows"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), [row[1:] for row in MEANINGS], ids=[row[0] for row in MEANINGS])
def test_what_an_answer_to_an_order_means(answer: Answer, kind: type[Exception], words: str) -> None:
    async def scenario(server: Loopback, rest: Rest) -> None:
        server.answers["trade/order"] = lambda *_: answer
        with pytest.raises(kind, match=words) as caught:
            await PrivateRest(rest).place_order(ORDER)
        assert type(caught.value) is kind
        assert len(server.requests) == 1, "what has an effect is sent once"

    against(scenario)


def test_a_timeout_and_a_broken_connection_are_ambiguous_but_a_refused_one_was_never_sent() -> None:
    async def scenario(server: Loopback, rest: Rest) -> None:
        async def never(*_: Any) -> Answer:
            await asyncio.sleep(30)
            raise AssertionError

        def broken(request: web.Request, _: bytes) -> Answer:
            assert request.transport
            request.transport.abort()
            return 200, ""

        private = PrivateRest(rest)
        for behaviour in (never, broken):
            server.answers["trade/order"] = behaviour
            with pytest.raises(Ambiguous) as caught:
                await private.place_order(ORDER)
            assert type(caught.value) is Ambiguous
        nobody = Hosts(rest="http://127.0.0.1:1", sockets="")
        async with Rest(nobody, now=time.time_ns, chance=rest._chance, credentials=CREDENTIALS) as deaf:
            with pytest.raises(Unsent, match="no connection"):
                await PrivateRest(deaf).place_order(ORDER)

    against(scenario, timeout_s=0.3)


def test_a_wrong_timestamp_is_cured_by_asking_the_time_and_signing_again() -> None:
    async def scenario(server: Loopback, rest: Rest) -> None:
        answers = iter([(401, {"msg": "Timestamp request expired", "code": "50102"}), (200, told(YES))])
        server.answers["trade/order"] = lambda *_: next(answers)
        assert (await PrivateRest(rest).place_order(ORDER)).ord_id == "7"
        assert [request.path.rpartition("/")[2] for request, _ in server.requests] == ["order", *["time"] * 3, "order"]

    against(scenario)


def test_a_read_is_tried_again_and_a_failed_page_is_never_the_end_of_a_list() -> None:
    async def scenario(server: Loopback, rest: Rest) -> None:
        rows = [{"instId": "BTC-USDT", "ordId": str(number)} for number in range(250, 0, -1)]
        down = False

        def page(request: web.Request, _: bytes) -> Answer:
            after = int(request.query.get("after", "999"))
            if down and after != 999:
                return 503, {"code": "50001", "msg": "down"}
            return 200, told(*[row for row in rows if int(row["ordId"]) < after][:100])

        server.answers["trade/orders-pending"] = page
        private = PrivateRest(rest)
        assert [order.ord_id for order in await private.all_orders_pending()] == [row["ordId"] for row in rows]
        down = True
        server.requests.clear()
        with pytest.raises(Ambiguous, match="50001"):
            await private.all_orders_pending()
        assert len(server.requests) == 1 + TRIES

    against(scenario)


def test_each_row_of_a_batch_says_how_it_went() -> None:
    async def scenario(server: Loopback, rest: Rest) -> None:
        server.answers["trade/batch-orders"] = lambda *_: (200, {"code": "2", "msg": "", "data": [YES, NO]})
        server.answers["trade/cancel-batch-orders"] = lambda *_: (200, {"code": "1", "msg": "", "data": [NO]})
        private = PrivateRest(rest)
        assert [row.s_code for row in await private.batch_orders([ORDER, ORDER])] == ["0", "51008"]
        cancel = CancelOrder(inst_id="BTC-USDT-SWAP", cl_ord_id="k1")
        assert [row.s_code for row in await private.cancel_batch_orders([cancel])] == ["51008"]

    against(scenario)


def test_new_fields_empty_strings_and_nulls_disturb_nobody() -> None:
    position = {"instId": "BTC-USDT-SWAP", "pos": "0", "avgPx": "", "lever": None, "brandNew": {"a": [1]}}

    async def scenario(server: Loopback, rest: Rest) -> None:
        server.answers["account/positions"] = lambda *_: (200, told(position) | {"inTime": "1", "outTime": "2"})
        server.answers["public/instruments"] = lambda *_: (
            200,
            told({"instType": "SWAP", "instId": "X-USDT-SWAP", "ctVal": None, "instIdCode": 10, "new": None}),
        )
        (found,) = await PrivateRest(rest).positions()
        assert (found.pos, found.avg_px, found.lever) == ("0", "", None)
        (instrument,) = await PublicRest(rest).instruments("SWAP")
        assert (instrument.ct_val, instrument.inst_id_code) == (None, 10)

    against(scenario)


def test_an_order_finds_the_connection_warm_however_long_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kokex.adapters.okx.rest.IDLE_S", 0.4)

    async def connections(server: Loopback, *, warm: bool) -> int:
        """Over which two orders went, with a while between them."""
        server.answers["trade/order"] = lambda *_: (200, told(YES))
        first = len(server.requests)
        async with rest_of(server, credentials=CREDENTIALS) as rest:
            warming = asyncio.create_task(rest.stay_warm()) if warm else None
            await PrivateRest(rest).place_order(ORDER)
            await asyncio.sleep(1.2)
            await PrivateRest(rest).place_order(ORDER)
            if warming:
                warming.cancel()
        return len({request.protocol for request, _ in server.requests[first:]})

    async def scenario(server: Loopback, _: Rest) -> None:
        assert await connections(server, warm=False) == 2
        assert await connections(server, warm=True) == 1

    against(scenario)


def test_the_environments_proxy_is_gone_through_and_passwords_at_home_are_left_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine okx.example login me password pass\n")

    async def scenario(proxy: Loopback, _: Rest) -> None:
        def headers() -> Any:
            return proxy.requests[-1][0].headers

        nowhere = Hosts(rest="http://okx.example", sockets="")
        monkeypatch.setenv("HTTP_PROXY", proxy.hosts.rest.replace("http://", "http://you:s%40crt@"))
        async with Rest(nowhere, now=time.time_ns, chance=Random(1)) as rest:
            await rest.sync_clock()
        assert headers()["Host"] == "okx.example"
        assert headers()["Proxy-Authorization"] == "Basic " + base64.b64encode(b"you:s@crt").decode()
        assert "Authorization" not in headers()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,okx.example")
        async with Rest(nowhere, now=time.time_ns, chance=Random(1), timeout_s=0.3) as rest:
            with pytest.raises(Unsent):
                await rest.sync_clock()
        configured = Hosts(rest="http://okx.example", sockets="", proxy=proxy.hosts.rest)
        async with Rest(configured, now=time.time_ns, chance=Random(1)) as rest:
            await rest.sync_clock()
        assert "Proxy-Authorization" not in headers()

    against(scenario)


def test_nothing_private_is_asked_without_a_key_and_a_key_is_never_shown() -> None:
    assert "the-secret" not in f"{CREDENTIALS!r} {CREDENTIALS}"

    async def scenario(server: Loopback, _: Rest) -> None:
        async with rest_of(server) as rest:
            with pytest.raises(Rejected, match="no API key"):
                await PrivateRest(rest).balance()
        assert server.requests == []

    against(scenario)


def test_an_instrument_that_cannot_be_traded_is_refused_with_the_reason() -> None:
    common = {"instType": "SWAP", "tickSz": "0.1", "lotSz": "1", "minSz": "1", "ctVal": "1", "ctMult": "1"}
    live = common | {"instId": "BTC-USDT-SWAP", "state": "live", "ctType": "linear", "settleCcy": "USDT"}
    suspended = live | {"instId": "OLD-USDT-SWAP", "state": "suspend"}
    inverse = live | {"instId": "BTC-USD-SWAP", "ctType": "inverse", "settleCcy": "BTC"}

    async def scenario(server: Loopback, rest: Rest) -> None:
        server.answers["public/instruments"] = lambda *_: (200, told(live, suspended, inverse))
        public = PublicRest(rest)
        assert [each.symbol for each in await listed(public, ["BTC-USDT-SWAP"])] == ["BTC-USDT-SWAP"]
        with pytest.raises(Rejected) as refused:
            await listed(public, ["BTC-USDT-SWAP", "BCT-USDT-SWAP", "OLD-USDT-SWAP", "BTC-USD-SWAP"])
        assert refused.value.code == "unlisted"
        assert refused.value.reason.split("; ") == [
            "OKX lists no BCT-USDT-SWAP", "did you mean BTC-USDT-SWAP?",
            "OLD-USDT-SWAP cannot be traded at OKX now (its state is suspend)", "leave it out until it can",
            "BTC-USD-SWAP is neither a spot pair nor a swap margined in USDT, and those are what KOKEX trades",
        ]  # fmt: skip

    against(scenario)
