"""What compare.py of upstream's fixtures asks of an implementation, answered by the command line where it can be.

python compare.py --fixtures DIR --adapter tests/kronos/adapter.py
"""

import json
import sys
import tempfile
from contextlib import redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from kokex.kronos.threads import settle

settle(1)

import numpy as np
import pandas as pd
import torch

from kokex.cli import main
from kokex.kronos.forecast import Series, normalise, stamps, with_amount
from kokex.kronos.loading import load_predictor, load_tokenizer
from kokex.kronos.quantiser import Tokens


class Implementation:
    def __init__(self, tokenizer: str, model: str) -> None:
        self.folders = tokenizer, model
        self.tokenizer, self.predictor = load_tokenizer(tokenizer), load_predictor(model)

    def normalize(self, df: Any) -> Any:
        columns = {name: df[name].to_numpy() for name in df.columns if name != "timestamps"}
        return normalise(Series(with_amount(columns), [], []))

    def stamps(self, timestamps: Any) -> Any:
        nanoseconds = pd.to_datetime(timestamps).to_numpy().astype("datetime64[ns]").astype(np.int64)
        return np.array(stamps(nanoseconds.tolist()), dtype=np.float32)

    def encode(self, x: Any) -> Any:
        return tuple(each[0].numpy() for each in self.tokenizer.encode(torch.from_numpy(x)[None]))

    @torch.no_grad()
    def decode(self, s1: Any, s2: Any) -> Any:
        return self.tokenizer.decode(_tokens(s1, s2))[0].numpy()

    @torch.no_grad()
    def first_logits(self, s1: Any, s2: Any, stamp: Any, max_context: int) -> Any:
        window = slice(-max_context, None)
        x = self.predictor.hidden(_tokens(s1[window], s2[window]), torch.from_numpy(stamp[window])[None])
        coarse = self.predictor.head.proj_s1(x[:, -1])
        return coarse[0].numpy(), self.predictor.next_s2(x, coarse.argmax(-1))[0].numpy()

    def forecast(self, history: Any, x_ts: Any, y_ts: Any, pred_len: int, max_context: int, *, greedy: bool) -> Any:
        assert greedy
        told = self._command(history, x_ts, y_ts, pred_len, max_context, "--samples", "1", "--greedy", "--exact")
        rows = [
            [row[name] for name in ("open", "high", "low", "close", "volume", "amount")] for row in told["forecast"]
        ]
        norm = np.array(told["normalised"])
        return {"s1": told["s1"], "s2": told["s2"], "norm": norm, "pred": np.array(rows)}

    def paths(
        self, history: Any, x_ts: Any, y_ts: Any, pred_len: int, max_context: int,
        samples: int, temperature: float, top_p: float, seed: int,
    ) -> Any:  # fmt: skip
        told = self._command(
            history, x_ts, y_ts, pred_len, max_context, "--exact", "--samples", str(samples),
            "--temperature", str(temperature), "--top-p", str(top_p), "--seed", str(seed),
        )  # fmt: skip
        return np.array(told["normalised"])

    def _command(self, history: Any, x_ts: Any, y_ts: Any, pred_len: int, max_context: int, *more: str) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            candles, future = Path(folder) / "candles.csv", Path(folder) / "future.csv"
            history.assign(timestamps=x_ts).rename(columns={"timestamps": "timestamp"}).to_csv(candles, index=False)
            pd.DataFrame({"timestamp": y_ts}).to_csv(future, index=False)
            command = [
                "forecast", "--tokenizer", self.folders[0], "--model", self.folders[1], "--candles", str(candles),
                "--future", str(future), "--lookback", str(len(history)), "--horizon", str(pred_len),
                "--max-context", str(max_context), "--json", *more,
            ]  # fmt: skip
            out = BytesIO()
            with redirect_stdout(TextIOWrapper(out)) as text:
                main(command, standalone_mode=False)
                text.flush()
                return json.loads(out.getvalue())


def _tokens(s1: Any, s2: Any) -> Tokens:
    return Tokens(torch.as_tensor(s1)[None], torch.as_tensor(s2)[None])


def load(tokenizer: str, model: str) -> Implementation:
    return Implementation(tokenizer, model)
