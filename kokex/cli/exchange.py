"""`kokex exchange`: a paper exchange that speaks OKX."""

import sys
from pathlib import Path

import click

from kokex.cli.options import Span
from kokex.cli.output import Mistake

KEY = "kokex"  # key, secret and passphrase of the account that is there unless told otherwise


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8870, show_default=True, help="0: any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--key", default=KEY, envvar="KOKEX_EXCHANGE_KEY", show_default=True, help="API key of the one account.")
@click.option("--secret", default=KEY, envvar="KOKEX_EXCHANGE_SECRET", show_default=True, help="Its secret.")
@click.option(
    "--passphrase", default=KEY, envvar="KOKEX_EXCHANGE_PASSPHRASE", show_default=True, help="Its passphrase."
)
@click.option(
    "--accounts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Several accounts instead: a TOML file, see docs.",
)
@click.option(
    "--candles", "-c", type=click.Path(path_type=Path), multiple=True, metavar="FILE",
    help="Play these candles; the file's name is the pair (BTC-USDT.csv) or swap. Repeat for more.",
)  # fmt: skip
@click.option(
    "--funding-every", type=Span(), default="8h", show_default=True, metavar="SPAN", help="Between fundings of swaps."
)
@click.option(
    "--data", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Keep accounts and market in this file, and go on from there.",
)  # fmt: skip
@click.option("--seed", type=int, help="Of the simulated prices, to see them again.")
@click.option(
    "--tls-cert", type=click.Path(path_type=Path), metavar="FILE", help="Serve https and wss with this certificate."
)
@click.option("--tls-key", type=click.Path(path_type=Path), metavar="FILE", help="Its private key.")
@click.option("--faults", is_flag=True, help="Offer /faults, where things are made to go wrong.")
@click.option("--no-limits", is_flag=True, help="Do not enforce rate limits.")
@click.option("--for", "for_s", type=Span(), metavar="SPAN", help="End by itself after so long.")
def exchange(
    port: int, host: str, key: str, secret: str, passphrase: str, accounts: Path | None, candles: tuple[Path, ...],
    funding_every: float, seed: int | None, tls_cert: Path | None, tls_key: Path | None, faults: bool, no_limits: bool,
    for_s: float | None, data: Path | None,
) -> None:  # fmt: skip
    """A paper exchange that speaks OKX's v5 API.

    REST at /api/v5, WebSocket at /ws/v5/public, private and business. One account in futures mode with 100,000 USDT;
    ten coins as spot and USDT swaps at simulated prices, or your own candles. Everything is kept in memory and gone
    when it ends, unless --data names a file. Point any OKX client here by its host; docs/exchange.md has examples.

    \b
    Example: practise on your own candles, funding every ten minutes
      kokex exchange --port 8870 --candles BTC-USDT-SWAP.csv --funding-every 10m
    """
    from kokex.adapters.okx.exchange.opening import Opening, OpeningError, serve

    opening = Opening(
        host=host, port=port, key=key, secret=secret, passphrase=passphrase, accounts=accounts, candles=candles,
        funding_s=int(funding_every), seed=seed, tls_cert=tls_cert, tls_key=tls_key, faults=faults,
        limited=not no_limits,
        for_s=for_s, data=data,
    )  # fmt: skip
    try:
        serve(opening, lambda line: print(line, file=sys.stderr, flush=True))
    except OpeningError as error:
        raise Mistake(str(error)) from None
