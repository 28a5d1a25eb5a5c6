"""What the daemon costs while it waits: memory, and its share of a core, against Python itself.

`kokex run` as it is shipped (paper money, three instruments, candles of 1 s) in a process of its own and on a fresh
database. Its memory (RSS) is read at the end; the CPU time counts from the end of the warm-up on. Beside it, in the
same run: an interpreter that does nothing, and one that has imported what any such program needs (asyncio, sqlite3,
msgspec). Reads /proc: Linux only.

    python -m benchmarks.idle [--seconds N] [--warm-up N] [--json]
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
AIM_MIB, AIM_CPU_PCT = 60.0, 0.5
SLEEP = "; import time; time.sleep(3600)"
BARE, NEEDED = "pass", "import asyncio, sqlite3, msgspec"


class Cost(NamedTuple):
    """Of one process."""

    rss_mib: float
    cpu_pct: float  # of one core


def measure(command: list[str], warm_up_s: float, seconds: float, home: str) -> Cost:
    """Runs the command for so long, and stops it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KOKEX__")}
    environment["PYTHONPATH"] = str(ROOT)
    child = subprocess.Popen(
        command, cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        time.sleep(warm_up_s)
        began, before = time.perf_counter(), _cpu_s(child.pid)
        time.sleep(seconds)
        if child.poll() is not None:
            assert child.stderr
            raise SystemExit(f"it ended by itself: {child.stderr.read()}")
        spent = _cpu_s(child.pid) - before
        return Cost(round(_rss_mib(child.pid), 1), round(100 * spent / (time.perf_counter() - began), 3))
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(10)


def _cpu_s(pid: int) -> float:
    """User and system time of all its threads, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def _rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"no memory is told of process {pid}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="that are measured")
    parser.add_argument("--warm-up", type=float, default=15.0, help="seconds before that")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        config = ["--config", str(ROOT / "config.toml"), "--db", str(Path(home, "idle.db"))]
        daemon = measure([sys.executable, "-m", "kokex", "run", *config], options.warm_up, options.seconds, home)
        bare = measure([sys.executable, "-c", BARE + SLEEP], 1.0, 1.0, home)
        needed = measure([sys.executable, "-c", NEEDED + SLEEP], 1.0, 1.0, home)
    ratios = {
        "rss_over_python": round(daemon.rss_mib / bare.rss_mib, 2),
        "rss_over_needed": round(daemon.rss_mib / needed.rss_mib, 2),
        "rss_of_aim": round(daemon.rss_mib / AIM_MIB, 2),
        "cpu_of_aim": round(daemon.cpu_pct / AIM_CPU_PCT, 2),
    }
    found = {"daemon": daemon._asdict(), "python": bare._asdict(), "needed": needed._asdict(), "ratios": ratios}
    if options.json:
        print(json.dumps(found))
        return
    print(f"daemon          {daemon.rss_mib:6.1f} MiB  {daemon.cpu_pct:6.3f} % of a core")
    print(f"python          {bare.rss_mib:6.1f} MiB")
    print(f"with {NEEDED.removeprefix('import ')}  {needed.rss_mib:.1f} MiB")
    print("ratios         ", ", ".join(f"{name} {ratio}" for name, ratio in ratios.items()))


if __name__ == "__main__":
    main()
