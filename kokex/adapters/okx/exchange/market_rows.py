"""Public market data as OKX writes it, the same over REST and WebSocket."""

from kokex.adapters.okx.exchange.board import Board
from kokex.adapters.okx.exchange.floor import Floor
from kokex.adapters.okx.exchange.listing import Listing, Row, plain
from kokex.market.instruments import exact

MOST_FUNDING, LEAST_FUNDING = "0.00375", "-0.00375"


def _amount(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") or "0"


def ticker(floor: Floor, listing: Listing) -> Row:
    board = floor.boards[listing.id]
    day = floor.day(listing.pair)
    (ask, ask_size), (bid, bid_size) = board.best("asks"), board.best("bids")
    swap = listing.type == "SWAP"
    volume = _amount(day.volume / float(listing.inst.contract_value))
    return {
        "askPx": board.price_text(ask),
        "askSz": board.size_text(ask_size),
        "bidPx": board.price_text(bid),
        "bidSz": board.size_text(bid_size),
        "high24h": board.text(max(day.high, board.last)),
        "instId": listing.id,
        "instType": listing.type,
        "last": board.text(board.last),
        "lastSz": plain(board.last_size),
        "low24h": board.text(min(day.low, board.last)),
        "open24h": board.text(day.open),
        "sodUtc0": board.text(day.utc0),
        "sodUtc8": board.text(day.utc8),
        "ts": str(floor.now_ms),
        "vol24h": volume,
        "volCcy24h": _amount(day.volume if swap else day.quote_volume),
    }


def index_ticker(floor: Floor, pair: str) -> Row:
    board = _board_of_pair(floor, pair)
    day = floor.day(pair)
    return {
        "high24h": board.text(day.high),
        "idxPx": board.text(board.price),
        "instId": pair,
        "low24h": board.text(day.low),
        "open24h": board.text(day.open),
        "sodUtc0": board.text(day.utc0),
        "sodUtc8": board.text(day.utc8),
        "ts": str(floor.now_ms),
    }


def _board_of_pair(floor: Floor, pair: str) -> Board:
    return next(board for board in floor.boards.values() if board.listing.pair == pair)


def mark_price(floor: Floor, listing: Listing) -> Row:
    board = floor.boards[listing.id]
    return {
        "instId": listing.id,
        "instType": "SWAP" if listing.type == "SWAP" else "MARGIN",
        "markPx": board.text(board.price),
        "ts": str(floor.now_ms),
    }


def rate_text(rate: float) -> str:
    return plain(exact(rate))


def funding_rate(floor: Floor, listing: Listing) -> Row:
    paid = floor.paid[listing.id][0]
    return {
        "formulaType": "withRate",
        "fundingRate": rate_text(floor.rates[listing.id]),
        "fundingTime": str(floor.next_funding_s * 1000),
        "impactValue": "20000",
        "instId": listing.id,
        "instType": "SWAP",
        "interestRate": "0.0001",
        "maxFundingRate": MOST_FUNDING,
        "method": "current_period",
        "minFundingRate": LEAST_FUNDING,
        "nextFundingRate": "",
        "nextFundingTime": str((floor.next_funding_s + floor.funding_s) * 1000),
        "premium": rate_text(round(floor.rates[listing.id] - 0.0001, 8)),
        "prevFundingTime": str(paid[0] * 1000),
        "settFundingRate": rate_text(paid[1]),
        "settState": "settled",
        "ts": str(floor.now_ms),
    }


def funding_history(floor: Floor, listing: Listing, at: int, rate: float) -> Row:
    return {
        "formulaType": "withRate",
        "fundingRate": rate_text(rate),
        "fundingTime": str(at * 1000),
        "instId": listing.id,
        "instType": "SWAP",
        "method": "current_period",
        "realizedRate": rate_text(rate),
    }


def open_interest(floor: Floor, listing: Listing) -> Row:
    contracts = float(listing.most) / 10
    coins = contracts * float(listing.inst.contract_value)
    return {
        "instId": listing.id,
        "instType": listing.type,
        "oi": _amount(contracts),
        "oiCcy": _amount(coins),
        "oiUsd": _amount(coins * floor.price(listing.id)),
        "ts": str(floor.now_ms),
    }


def price_limit(floor: Floor, listing: Listing, low: str, high: str) -> Row:
    return {
        "buyLmt": high,
        "enabled": True,
        "instId": listing.id,
        "instType": listing.type,
        "sellLmt": low,
        "ts": str(floor.now_ms),
    }
