"""Name and shape of every tensor of a checkpoint, without making the model: that takes torch a second and 75 MiB."""

from kokex.kronos.config import DEPENDENCY_HEADS, PredictorConfig, TokenizerConfig

Shapes = dict[str, tuple[int, ...]]

STAMPS = {"minute": 60, "hour": 24, "weekday": 7, "day": 32, "month": 13}  # columns of a stamp: name, how many values


def shapes_of(config: TokenizerConfig | PredictorConfig) -> Shapes:
    """As the modules of tokenizer.py and predictor.py have them; a test holds the two together."""
    return _of_tokenizer(config) if isinstance(config, TokenizerConfig) else _of_predictor(config)


def _of_tokenizer(c: TokenizerConfig) -> Shapes:
    d = c.d_model
    shapes = _linear("embed", c.d_in, d) | _linear("head", d, c.d_in) | _linear("quant_embed", d, c.bits)
    shapes |= _linear("post_quant_embed_pre", c.s1_bits, d) | _linear("post_quant_embed", c.bits, d)
    for side, count in (("encoder", c.n_enc_layers - 1), ("decoder", c.n_dec_layers - 1)):
        for number in range(count):
            shapes |= _block(f"{side}.{number}", d, c.n_heads, c.ff_dim)
    return shapes


def _of_predictor(c: PredictorConfig) -> Shapes:
    d, coarse, fine = c.d_model, 1 << c.s1_bits, 1 << c.s2_bits
    shapes: Shapes = {"embedding.emb_s1.weight": (coarse, d), "embedding.emb_s2.weight": (fine, d)}
    shapes |= _linear("embedding.fusion_proj", 2 * d, d)
    table = "weight" if c.learn_te else "emb.weight"
    shapes |= {f"time_emb.{name}_embed.{table}": (count, d) for name, count in STAMPS.items()}
    for number in range(c.n_layers):
        shapes |= _block(f"transformer.{number}", d, c.n_heads, c.ff_dim)
    shapes |= {"norm.weight": (d,), "dep_layer.norm.weight": (d,)}
    shapes |= _attention("dep_layer.cross_attn", d, DEPENDENCY_HEADS)
    return shapes | _linear("head.proj_s1", d, coarse) | _linear("head.proj_s2", d, fine)


def _block(name: str, d: int, heads: int, f: int) -> Shapes:
    inner = {"w1": (f, d), "w3": (f, d), "w2": (d, f)}
    return (
        {f"{name}.norm1.weight": (d,), f"{name}.norm2.weight": (d,)}
        | _attention(f"{name}.self_attn", d, heads)
        | {f"{name}.ffn.{each}.weight": shape for each, shape in inner.items()}
    )


def _attention(name: str, d: int, heads: int) -> Shapes:
    shapes: Shapes = {f"{name}.rotary.inv_freq": (d // heads // 2,)}
    for each in ("q_proj", "k_proj", "v_proj", "out_proj"):
        shapes |= _linear(f"{name}.{each}", d, d)
    return shapes


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
