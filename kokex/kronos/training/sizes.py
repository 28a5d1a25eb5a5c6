"""What can be trained: from a few hundred thousand parameters to the published sizes, and how by default."""

from msgspec import Struct
from msgspec.structs import replace

from kokex.kronos.config import PredictorConfig, TokenizerConfig


class Recipe(Struct, frozen=True, kw_only=True):
    """How one stage is trained: AdamW with decoupled decay, one cycle of the learning rate, clipped gradients."""

    steps: int
    batch: int  # windows a step, over all processes
    learning_rate: float  # the highest of the cycle
    betas: tuple[float, float]
    weight_decay: float = 0.1
    clip: float = 1.0  # norm of the gradient
    warm_up: float = 0.03  # of the steps; from a tenth of the learning rate


class Size(Struct, frozen=True, kw_only=True):
    tokenizer: TokenizerConfig
    predictor: PredictorConfig
    tokenizer_recipe: Recipe
    predictor_recipe: Recipe


def _tokenizer(d_model: int, n_heads: int, ff_dim: int, blocks: int, bits: int) -> TokenizerConfig:
    """`blocks` on each side, `bits` in each token."""
    return TokenizerConfig(
        d_in=6, d_model=d_model, n_heads=n_heads, ff_dim=ff_dim, n_enc_layers=blocks + 1, n_dec_layers=blocks + 1,
        ffn_dropout_p=0.0, attn_dropout_p=0.0, resid_dropout_p=0.0, s1_bits=bits, s2_bits=bits,
        beta=0.05, gamma0=1.0, gamma=1.1, zeta=0.05, group_size=4,
    )  # fmt: skip


def _predictor(n_layers: int, d_model: int, n_heads: int, ff_dim: int, bits: int, dropout: float) -> PredictorConfig:
    return PredictorConfig(
        s1_bits=bits, s2_bits=bits, n_layers=n_layers, d_model=d_model, n_heads=n_heads, ff_dim=ff_dim,
        ffn_dropout_p=dropout, attn_dropout_p=0.0, resid_dropout_p=dropout, token_dropout_p=0.0, learn_te=True,
    )  # fmt: skip


# Learning rates, decay, betas and clipping of the published sizes are those upstream fine-tunes with.
_PUBLISHED_TOKENIZER = Recipe(
    steps=20_000, batch=32, learning_rate=2e-4, betas=(0.9, 0.999), clip=2.0,
)  # fmt: skip
_PUBLISHED_PREDICTOR = Recipe(steps=20_000, batch=32, learning_rate=4e-5, betas=(0.9, 0.95), clip=3.0)
_PUBLISHED = _tokenizer(256, 4, 512, 3, 10)

SIZES = {
    "nano": Size(
        tokenizer=_tokenizer(64, 4, 128, 2, 9),
        predictor=_predictor(4, 96, 4, 192, 9, 0.0),
        tokenizer_recipe=Recipe(steps=3_000, batch=16, learning_rate=2e-3, betas=(0.9, 0.99)),
        predictor_recipe=Recipe(steps=6_000, batch=16, learning_rate=2e-3, betas=(0.9, 0.95)),
    ),
    "mini": Size(
        tokenizer=_PUBLISHED,
        predictor=_predictor(4, 256, 4, 512, 10, 0.2),
        tokenizer_recipe=_PUBLISHED_TOKENIZER,
        predictor_recipe=replace(_PUBLISHED_PREDICTOR, learning_rate=4e-4),
    ),
    "small": Size(
        tokenizer=_PUBLISHED,
        predictor=_predictor(8, 512, 8, 1024, 10, 0.2),
        tokenizer_recipe=_PUBLISHED_TOKENIZER,
        predictor_recipe=_PUBLISHED_PREDICTOR,
    ),
    "base": Size(
        tokenizer=_PUBLISHED,
        predictor=_predictor(12, 832, 16, 2048, 10, 0.2),
        tokenizer_recipe=_PUBLISHED_TOKENIZER,
        predictor_recipe=_PUBLISHED_PREDICTOR,
    ),
}  # fmt: skip
