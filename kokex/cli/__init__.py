"""The command line. Each command's module is imported when the command is called, and no other."""

import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

from kokex import __version__
from kokex.present.commands import said

# command -> its module, one line of help; in the order of `kokex --help`. What the chat knows too is said in its words.
COMMANDS: dict[str, tuple[str, str]] = {
    "run":         ("run",       "The daemon: trade until Ctrl-C."),
    "status":      ("questions", said("status")),
    "balance":     ("questions", said("balance")),
    "positions":   ("questions", said("positions")),
    "orders":      ("questions", said("orders")),
    "trades":      ("questions", said("trades")),
    "profit":      ("reports",   said("profit")),
    "daily":       ("reports",   said("daily")),
    "weekly":      ("reports",   said("weekly")),
    "monthly":     ("reports",   said("monthly")),
    "performance": ("reports",   said("performance")),
    "plans":       ("schedule",  "List, start or stop plans."),
    "pause":       ("schedule",  said("pause")),
    "resume":      ("schedule",  said("resume")),
    "cycle":       ("schedule",  said("cycle")),
    "buy":         ("trading",   said("buy")),
    "sell":        ("trading",   said("sell")),
    "close":       ("trading",   said("close")),
    "cancel":      ("trading",   said("cancel")),
    "reset":       ("trading",   said("reset")),
    "reload":      ("reload",    said("reload")),
    "chat":        ("chat",      "Ask the running daemon in your own words."),
    "news":        ("news",      said("news")),
    "explain":     ("explain",   said("why")),
    "logs":        ("reports",   said("logs")),
    "health":      ("reports",   said("health")),
    "brain":       ("brain",     "What language models were asked, and what it cost."),
    "memory":      ("memory",    "What became of decisions, and what they teach."),
    "backtest":    ("backtest",  "The same graph over files of candles, with a report."),
    "train":       ("train",     "Train or fine-tune a Kronos model: tokenizer, then predictor."),
    "retrain":     ("retrain",   "A model trained anew on candles on record; the better one forecasts."),
    "evaluate":    ("evaluate",  "How good forecasts were, against what came."),
    "forecast":    ("forecast",  "What may come: quantiles, chances, a fan chart."),
    "models":      ("models",    "Published models of candles, and getting them here."),
    "data":        ("data",      "Candles in and out, gaps found and filled."),
    "exchange":    ("exchange",  "A paper exchange that speaks OKX, to practise on."),
    "replay":      ("replay",    "A recorded session once more, compared with the record."),
    "simulate":    ("simulate",  "Days of trading under faults, seed by seed."),
    "secrets":     ("secrets",   "Keys and tokens, encrypted at rest."),
    "telegram":    ("telegram",  "Connect a chat: alerts and commands on a phone."),
    "doctor":      ("doctor",    "What is wrong with this installation, each with its remedy."),
}  # fmt: skip


class Commands(click.Group):
    """Finds a command by name without importing the others; every error is one line on stderr."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(f"kokex.cli.{COMMANDS[cmd_name][0]}"), cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            guess = get_close_matches(args[0], COMMANDS, n=1)
            raise click.UsageError(f"no command {args[0]!r}" + (f"; did you mean {guess[0]!r}?" if guess else ""), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **extra)
        try:
            code = super().main(*args, standalone_mode=False, **extra)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as shown:
            shown.show()
            sys.exit(2)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "kokex"
            _fail(f"{error.format_message().rstrip('.')}; see `{command} --help`", 2)
        except click.ClickException as error:
            _fail(error.format_message(), error.exit_code)
        except click.Abort:
            _fail("stopped", 130)
        except BrokenPipeError:  # whoever read our lines has gone
            sys.stdout = None
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)


def _fail(text: str, code: int) -> NoReturn:
    from kokex.adapters.secrets.secret import redact

    click.echo(f"kokex: {redact(text)}", err=True)
    sys.exit(code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kokex", message="%(prog)s %(version)s")
def main() -> None:
    """KOKEX: a trading daemon without a screen.

    `kokex run` starts it on paper money; no key, no account, no network. The other commands talk to it from another
    terminal, or look into what it has on record. `kokex COMMAND --help` has an example each.
    """
