"""How many threads torch computes with. To be settled before the first import of torch: OpenMP reads it once."""

import os


def settle(threads: int = 1) -> None:
    """For this process and its children. One thread is the default and, beside a busy neighbour, the fastest: two spin
    at barriers while the neighbour holds one of their cores. More wait without spinning.
    """
    for library in ("OMP", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
