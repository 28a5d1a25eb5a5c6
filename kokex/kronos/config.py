"""The dimensions of a tokenizer and of a predictor, as a checkpoint's `config.json` tells them."""

from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1, le=1 << 20)]
Bits = Annotated[int, Meta(ge=1, le=24)]
Dropout = Annotated[float, Meta(ge=0, lt=1)]

CHANNELS = ("open", "high", "low", "close", "volume", "amount")
DEPENDENCY_HEADS = 4  # of the dependency layer, whatever the blocks have


class CheckpointError(Exception):
    """A checkpoint cannot be used: which file, what is wrong, what would be right."""


class TokenizerConfig(Struct, frozen=True, kw_only=True):
    """A checkpoint counts one block more on each side than there are: 4 and 4 are three and three."""

    d_in: Count
    d_model: Count
    n_heads: Count
    ff_dim: Count
    n_enc_layers: Count
    n_dec_layers: Count
    ffn_dropout_p: Dropout
    attn_dropout_p: Dropout
    resid_dropout_p: Dropout
    s1_bits: Bits
    s2_bits: Bits
    beta: float  # weight of the commitment loss
    gamma0: float  # weight of the entropy of one code
    gamma: float  # weight of the entropy of the codebook
    zeta: float  # weight of both entropies together
    group_size: Count

    @property
    def bits(self) -> int:
        return self.s1_bits + self.s2_bits


class PredictorConfig(Struct, frozen=True, kw_only=True, omit_defaults=True):
    s1_bits: Bits
    s2_bits: Bits
    n_layers: Count
    d_model: Count
    n_heads: Count
    ff_dim: Count
    ffn_dropout_p: Dropout
    attn_dropout_p: Dropout
    resid_dropout_p: Dropout
    token_dropout_p: Dropout
    learn_te: bool  # embeddings of time are learned, not sinusoids
    max_context: Annotated[int, Meta(ge=4, le=1 << 20)] | None = None  # candles; upstream leaves it to who uses it


C = TypeVar("C", TokenizerConfig, PredictorConfig)


def read_config(folder: Path, kind: type[C]) -> C:
    """The `config.json` of a checkpoint's folder. Raises CheckpointError."""
    file = folder / "config.json"
    what = "tokenizer" if kind is TokenizerConfig else "predictor"
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; a {what} is a folder of config.json and model.safetensors")
    try:
        config = msgspec.json.decode(file.read_bytes(), type=kind)
        check(config)
    except FileNotFoundError:
        raise CheckpointError(f"{file}: missing; a {what} is a folder of config.json and model.safetensors") from None
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise CheckpointError(f"{file}: not the configuration of a Kronos {what}: {error}") from None
    return config


def check(config: TokenizerConfig | PredictorConfig) -> None:
    """Raises ValueError for dimensions that do not go together."""
    heads = {"n_heads": config.n_heads}
    if isinstance(config, PredictorConfig):
        heads["the dependency layer's heads"] = DEPENDENCY_HEADS
    elif config.d_in != len(CHANNELS):
        raise ValueError(f"d_in is {config.d_in}; a candle has {len(CHANNELS)} numbers: {', '.join(CHANNELS)}")
    for name, count in heads.items():
        if config.d_model % count or config.d_model // count % 2:
            raise ValueError(f"d_model {config.d_model} does not divide into {name} ({count}) of an even width")
