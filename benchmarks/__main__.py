"""All benchmarks, one after the other, each in a process of its own: `python -m benchmarks [--json]`.

Of Kronos only the smallest size, where torch is installed: all of them take minutes (`python -m benchmarks.kronos`).
"""

import argparse
import json
import subprocess
import sys
from importlib.util import find_spec

ALL = dict.fromkeys(("kernel", "backtest", "idle", "okx", "okx_latency", "chat"), ()) | {"kronos": ("--size", "mini")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one document, the benchmarks by name")
    as_json = parser.parse_args().json
    found: dict[str, object] = {}
    for name, more in ALL.items():
        if name == "kronos" and find_spec("torch") is None:
            print("kronos is skipped: torch is not installed (`make kronos`)", file=sys.stderr)
            continue
        command = [sys.executable, "-m", f"benchmarks.{name}", *more]
        if as_json:
            found[name] = json.loads(subprocess.run([*command, "--json"], check=True, stdout=subprocess.PIPE).stdout)
        else:
            print(f"\n{name}\n", flush=True)
            subprocess.run(command, check=True)
    if as_json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
