"""`kokex simulate`: days of trading under faults, seed by seed."""

import sys
from typing import Any

import click

from kokex.cli.options import JSON


class Range(click.ParamType[range]):
    """A:B, from A up to and without B; or one seed."""

    name = "A:B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        first, colon, end = str(value).partition(":")
        try:
            seeds = range(int(first), int(end) if colon else int(first) + 1)
        except ValueError:
            self.fail(f"{value!r} is no range of seeds; 0:200 is the first two hundred", param, ctx)
        if not seeds or seeds.start < 0:
            self.fail(f"{value!r} holds no seed; 0:200 is the first two hundred", param, ctx)
        return seeds


@click.command()
@click.option("--seeds", type=Range(), default="0:20", show_default=True, help="From A up to, and without, B.")
@click.option("--days", type=click.FloatRange(0.01, 365), default=3.0, show_default=True, help="Of trading, each.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option("--trace-hash", is_flag=True, help="Print the hash of each seed's trace.")
@click.option("--plant", metavar="BUG", hidden=True, default=None)
@JSON
def simulate(seeds: range, days: float, jobs: int, trace_hash: bool, plant: str | None, as_json: bool) -> None:
    """Run the daemon through days of faults in virtual time, and hold it to the laws.

    Each seed is a world of its own: a market, an exchange, a disk, and faults at every edge, kill -9 included; the
    daemon's own actors live and die in it. The same seed is the same world, always. Exit code 1 when a law is broken;
    the seed, the law and the command that shows it again are printed.

    \b
    Examples:
      kokex simulate --seeds 0:200 --days 3
      kokex simulate --seeds 17:18 --trace-hash
    """
    from kokex.cli.output import Mistake, emit_json, progress
    from kokex.simulation.simulate import PLANTS, Seed
    from kokex.simulation.simulate import simulate as run

    if plant and plant not in PLANTS:
        raise Mistake(f"--plant {plant}: no such bug; there are {', '.join(PLANTS)}")

    with progress(f"{len(seeds)} seeds") as bar:

        def told(seed: Seed) -> None:
            bar((seed.seed - seeds.start + 1) / len(seeds))
            if trace_hash and not as_json:
                click.echo(f"seed {seed.seed} trace {seed.trace}")
            if broken := seed.violation:
                click.echo(f"seed {broken.seed} breaks law {broken.law}: {broken.text}", err=as_json)
                click.echo(f"  again, with trace {broken.trace}: {broken.command}", err=as_json)

        tally = run(seeds, days, plant or "", jobs, told)
    if as_json:
        emit_json(tally)
    else:
        faults = ", ".join(f"{count} {kind}" for kind, count in tally.faults.items())
        click.echo(f"{_many(tally.seeds, 'seed')} of {_many(days, 'day')}, {tally.sim_hours:.0f} hours lived")
        click.echo(f"faults: {faults}")
        click.echo(f"{tally.orders} orders, {tally.fills} fills, {tally.kills} kills, {tally.crashes} crashes")
        click.echo(f"{tally.violations} violations; {tally.wall_s:.1f} s, {tally.seeds_per_minute:.0f} seeds a minute")
    if tally.violations:
        sys.exit(1)


def _many(count: float, what: str) -> str:
    return f"{count:g} {what}" + ("" if count == 1 else "s")
