"""Market data: instruments, candles, quotes, books, trades, funding."""

from typing import NamedTuple

from msgspec import field

from kokex.adapters.okx.wire import Row, Text
from kokex.messages import Level


class Instrument(Row, frozen=True, kw_only=True):
    """public/instruments and account/instruments. Sizes of derivatives are in contracts."""

    inst_type: str
    inst_id: str
    inst_id_code: int | str | None = None  # what WebSocket operations want instead of instId
    inst_family: Text = ""
    base_ccy: Text = ""  # spot
    quote_ccy: Text = ""
    settle_ccy: Text = ""  # derivatives
    ct_val: Text = ""
    ct_mult: Text = ""
    ct_val_ccy: Text = ""
    ct_type: Text = ""  # linear or inverse
    lever: Text = ""
    tick_sz: Text = ""
    lot_sz: Text = ""
    min_sz: Text = ""
    max_lmt_sz: Text = ""
    max_mkt_sz: Text = ""
    max_stop_sz: Text = ""
    list_time: Text = ""
    exp_time: Text = ""
    state: Text = ""  # live, suspend, preopen, test


class Time(Row, frozen=True, kw_only=True):
    """public/time."""

    ts: str


class CandleRow(NamedTuple):
    """market/candles, market/history-candles and the candle channels. `vol` is in contracts for a swap."""

    ts: str
    o: str
    h: str
    l: str  # noqa: E741  (OKX's name)
    c: str
    vol: Text = ""
    vol_ccy: Text = ""  # base currency for a swap, quote for spot
    vol_ccy_quote: Text = ""
    confirm: Text = "0"


class Ticker(Row, frozen=True, kw_only=True):
    """market/ticker(s) and the channel tickers."""

    inst_id: str
    inst_type: Text = ""
    last: Text = ""
    last_sz: Text = ""
    ask_px: Text = ""
    ask_sz: Text = ""
    bid_px: Text = ""
    bid_sz: Text = ""
    open24h: Text = ""
    high24h: Text = ""
    low24h: Text = ""
    vol24h: Text = ""
    vol_ccy24h: Text = field(name="volCcy24h", default="")
    ts: Text = ""


class BookRow(Row, frozen=True, kw_only=True):
    """market/books and the channels books, books5 and bbo-tbt. Best first.

    Of a level, what follows price and size (liquidated orders, orders) is of no use here.
    """

    asks: list[Level]
    bids: list[Level]
    ts: Text = ""
    checksum: int | None = None  # absent, or always 0 by now: the chain is what counts
    prev_seq_id: int | None = None
    seq_id: int | None = None
    inst_id: Text = ""


class Trade(Row, frozen=True, kw_only=True):
    """market/trades and the channel trades."""

    inst_id: str
    trade_id: str
    px: str
    sz: str
    side: str
    ts: str
    count: Text = ""  # trades of the push that this one stands for


class FundingRate(Row, frozen=True, kw_only=True):
    """public/funding-rate and the channel funding-rate. `funding_time`: when it is settled."""

    inst_id: str
    inst_type: Text = ""
    funding_rate: Text = ""
    funding_time: Text = ""
    next_funding_rate: Text = ""
    next_funding_time: Text = ""
    sett_state: Text = ""
    sett_funding_rate: Text = ""
    ts: Text = ""


class FundingRateRecord(Row, frozen=True, kw_only=True):
    """public/funding-rate-history."""

    inst_id: str
    funding_rate: Text = ""
    realized_rate: Text = ""
    funding_time: Text = ""


class MarkPrice(Row, frozen=True, kw_only=True):
    """public/mark-price and the channel mark-price."""

    inst_id: str
    inst_type: Text = ""
    mark_px: Text = ""
    ts: Text = ""


class PriceLimit(Row, frozen=True, kw_only=True):
    """public/price-limit: a buy above `buy_lmt`, a sell below `sell_lmt` is refused."""

    inst_id: str
    buy_lmt: Text = ""
    sell_lmt: Text = ""
    enabled: bool | None = None
    ts: Text = ""
