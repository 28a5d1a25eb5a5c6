"""All benchmarks, one after the other, each in a process of its own: `python -m benchmarks [--json]`."""

import argparse
import json
import subprocess
import sys

ALL = ("kernel", "backtest", "idle", "okx", "okx_latency", "chat")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one document, the benchmarks by name")
    as_json = parser.parse_args().json
    found: dict[str, object] = {}
    for name in ALL:
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        if as_json:
            found[name] = json.loads(subprocess.run([*command, "--json"], check=True, stdout=subprocess.PIPE).stdout)
        else:
            print(f"\n{name}\n", flush=True)
            subprocess.run(command, check=True)
    if as_json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
