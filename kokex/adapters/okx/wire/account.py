"""The account: configuration, balances, positions, leverage, fees, bills."""

from kokex.adapters.okx.wire import Row, Text


class AccountConfig(Row, frozen=True, kw_only=True):
    """account/config."""

    uid: Text = ""
    main_uid: Text = ""
    acct_lv: Text = ""  # 1 spot, 2 futures, 3 multi-currency, 4 portfolio margin
    pos_mode: Text = ""  # net_mode or long_short_mode
    auto_loan: bool | None = None
    level: Text = ""
    ip: Text = ""  # addresses the key is bound to
    perm: Text = ""  # read_only,trade,withdraw
    label: Text = ""  # of the key
    kyc_lv: Text = ""
    enable_spot_borrow: bool | None = None


class BalanceDetail(Row, frozen=True, kw_only=True):
    """One currency of a balance."""

    ccy: str
    eq: Text = ""
    cash_bal: Text = ""
    avail_bal: Text = ""
    avail_eq: Text = ""
    frozen_bal: Text = ""
    ord_frozen: Text = ""
    liab: Text = ""
    upl: Text = ""
    u_time: Text = ""


class Balance(Row, frozen=True, kw_only=True):
    """account/balance and the channel account."""

    total_eq: Text = ""  # USD
    adj_eq: Text = ""
    imr: Text = ""
    mmr: Text = ""
    mgn_ratio: Text = ""
    u_time: Text = ""
    details: tuple[BalanceDetail, ...] = ()


class Position(Row, frozen=True, kw_only=True):
    """account/positions and the channel positions. `pos` is signed in net mode; all may be "" when it is 0."""

    inst_id: str
    inst_type: Text = ""
    pos_id: Text = ""
    mgn_mode: Text = ""
    pos_side: Text = ""  # net, long or short
    pos: Text = ""
    pos_ccy: Text = ""
    ccy: Text = ""
    avail_pos: Text = ""
    avg_px: Text = ""
    mark_px: Text = ""
    last: Text = ""
    liq_px: Text = ""
    lever: Text = ""
    upl: Text = ""
    realized_pnl: Text = ""
    pnl: Text = ""
    fee: Text = ""
    funding_fee: Text = ""
    imr: Text = ""
    mmr: Text = ""
    margin: Text = ""
    mgn_ratio: Text = ""
    notional_usd: Text = ""
    trade_id: Text = ""
    u_time: Text = ""
    c_time: Text = ""


class BalanceChange(Row, frozen=True, kw_only=True):
    """A currency in the channel balance_and_position."""

    ccy: str
    cash_bal: Text = ""
    u_time: Text = ""


class BalanceAndPosition(Row, frozen=True, kw_only=True):
    """The channel balance_and_position."""

    p_time: Text = ""
    event_type: Text = ""  # snapshot, filled, funding_fee, delivered, ...
    bal_data: tuple[BalanceChange, ...] = ()
    pos_data: tuple[Position, ...] = ()


class Leverage(Row, frozen=True, kw_only=True):
    """account/leverage-info and the answer to account/set-leverage."""

    inst_id: Text = ""
    mgn_mode: Text = ""
    pos_side: Text = ""
    lever: Text = ""


class PositionMode(Row, frozen=True, kw_only=True):
    """The answer to account/set-position-mode."""

    pos_mode: Text = ""


class MaxSize(Row, frozen=True, kw_only=True):
    """account/max-size: contracts for a swap; for spot `max_buy` in base, `max_sell` in base."""

    inst_id: str
    ccy: Text = ""
    max_buy: Text = ""
    max_sell: Text = ""


class MaxAvailSize(Row, frozen=True, kw_only=True):
    """account/max-avail-size."""

    inst_id: str
    avail_buy: Text = ""
    avail_sell: Text = ""


class TradeFee(Row, frozen=True, kw_only=True):
    """account/trade-fee: negative is charged. `maker`, `taker` of spot; `maker_u`, `taker_u` of USDT swaps."""

    inst_type: Text = ""
    level: Text = ""
    maker: Text = ""
    taker: Text = ""
    maker_u: Text = ""
    taker_u: Text = ""
    ts: Text = ""


class Bill(Row, frozen=True, kw_only=True):
    """account/bills. `type` 8 is funding: `sub_type` 173 paid, 174 received."""

    bill_id: str
    inst_id: Text = ""
    inst_type: Text = ""
    type: Text = ""
    sub_type: Text = ""
    ccy: Text = ""
    bal: Text = ""
    bal_chg: Text = ""
    sz: Text = ""
    px: Text = ""
    pnl: Text = ""
    fee: Text = ""
    mgn_mode: Text = ""
    ord_id: Text = ""
    cl_ord_id: Text = ""
    trade_id: Text = ""
    fill_time: Text = ""
    ts: Text = ""
