"""Tokenizer and predictor give upstream's numbers, in use and in training."""

import itertools
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from torch.nn import functional as F

from kokex.kronos.config import PredictorConfig, TokenizerConfig
from kokex.kronos.loading import load_predictor, load_tokenizer, save
from kokex.kronos.predictor import Predictor, cross_entropy
from kokex.kronos.quantiser import Tokens, code_of, on_sphere, tokens_of
from kokex.kronos.tokenizer import Tokenizer
from tests.kronos.fixtures import TINY, each_case, needs_fixtures

TOKENIZER = TokenizerConfig(
    d_in=6, d_model=32, n_heads=2, ff_dim=48, n_enc_layers=3, n_dec_layers=2, ffn_dropout_p=0.0, attn_dropout_p=0.0,
    resid_dropout_p=0.0, s1_bits=5, s2_bits=3, beta=0.05, gamma0=1.0, gamma=1.1, zeta=0.05, group_size=4,
)  # fmt: skip
PREDICTOR = PredictorConfig(
    s1_bits=5, s2_bits=3, n_layers=2, d_model=32, n_heads=2, ff_dim=48, ffn_dropout_p=0.1, attn_dropout_p=0.0,
    resid_dropout_p=0.1, token_dropout_p=0.0, learn_te=True,
)  # fmt: skip


class Expected:
    """A case as upstream saved it, with a batch dimension."""

    def __init__(self, case: dict[str, Any]) -> None:
        saved = np.load(TINY / f"{case['case']}.npz")
        self.arrays = {name: torch.from_numpy(saved[name])[None] for name in saved if saved[name].shape}
        self.numbers = {name: float(saved[name]) for name in saved if not saved[name].shape}
        self.tokens = Tokens(self.arrays["enc_s1"], self.arrays["enc_s2"])

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]


@needs_fixtures
@each_case
def test_the_tokenizer_encodes_decodes_and_loses_as_upstream_does(case: dict[str, Any]) -> None:
    expected, tokenizer = Expected(case), load_tokenizer(TINY / "tokenizer")
    tokens = tokenizer.encode(expected["x_norm"])
    assert torch.equal(tokens.s1, expected.tokens.s1)
    assert torch.equal(tokens.s2, expected.tokens.s2)
    with torch.no_grad():
        assert torch.allclose(tokenizer.decode(tokens), expected["dec_full"], atol=1e-5)
        made = tokenizer(expected["x_norm"])
        assert torch.allclose(on_sphere(tokenizer.bits(expected["x_norm"])), expected["enc_prebits"], atol=1e-6)
    for name, value in (
        ("recon_loss_pre", F.mse_loss(made.coarse, expected["x_norm"])),
        ("recon_loss_all", F.mse_loss(made.full, expected["x_norm"])),
        ("bsq_loss", made.loss),
    ):
        assert value.item() == pytest.approx(expected.numbers[name], abs=1e-5), name


@needs_fixtures
@each_case
def test_the_predictor_gives_upstreams_logits(case: dict[str, Any]) -> None:
    expected, predictor = Expected(case), load_predictor(TINY / "model")
    length, window = case["lookback"], case["max_context"]
    stamp = expected["stamp"][:, :length]
    with torch.no_grad():
        x = predictor.hidden(Tokens(*(each[:, -window:] for each in expected.tokens)), stamp[:, -window:])
        s1 = predictor.head.proj_s1(x[:, -1])
        s2 = predictor.next_s2(x, s1.argmax(-1))
        inputs = Tokens(*(each[:, -window:][:, :-1] for each in expected.tokens))
        targets = Tokens(*(each[:, -window:][:, 1:] for each in expected.tokens))
        logits = predictor(inputs, stamp[:, -window:][:, :-1], targets.s1)
    assert torch.allclose(s1, expected["logits_s1_0"], atol=1e-5)
    assert torch.allclose(s2, expected["logits_s2_0"], atol=1e-5)
    at = expected["tf_pos"][0]
    assert torch.allclose(logits.s1[:, at], expected["logits_s1_tf"], atol=1e-5)
    if window >= length:
        ce_s1, ce_s2 = cross_entropy(logits, targets)
        assert ce_s1.item() == pytest.approx(expected.numbers["ce_s1"], abs=1e-5)
        assert ce_s2.item() > 0


def test_tokens_survive_the_way_through_the_code() -> None:
    pairs = torch.tensor(list(itertools.product(range(32), range(8))))
    tokens = Tokens(pairs[:, 0], pairs[:, 1])
    code = code_of(tokens, 5, 3)
    assert torch.allclose(code.norm(dim=-1), torch.ones(len(pairs)))
    assert all(torch.equal(one, other) for one, other in zip(tokens_of(code, 5), tokens, strict=True))


def test_no_row_sees_a_later_one() -> None:
    torch.manual_seed(1)
    tokenizer, predictor = Tokenizer(TOKENIZER).eval(), Predictor(PREDICTOR).eval()
    x = torch.randn(1, 12, 6)
    later = x.clone()
    later[:, 8:] += 1
    stamp = torch.randint(0, 7, (1, 12, 5))
    with torch.no_grad():
        assert torch.allclose(tokenizer.bits(x)[:, :8], tokenizer.bits(later)[:, :8], atol=1e-6)
        one, other = tokenizer.encode(x), tokenizer.encode(later)
        assert not torch.equal(one.s1, other.s1)
        for before, after in zip(
            predictor(one, stamp, one.s1), predictor(other, stamp, other.s1.where(other.s1 < 0, one.s1)), strict=True
        ):
            assert torch.allclose(before[:, :8], after[:, :8], atol=1e-6)


def test_every_parameter_learns() -> None:
    torch.manual_seed(1)
    tokenizer, predictor = Tokenizer(TOKENIZER).train(), Predictor(PREDICTOR).train()
    x, stamp = torch.randn(2, 12, 6), torch.randint(0, 7, (2, 12, 5))
    made = tokenizer(x)
    ((F.mse_loss(made.coarse, x) + F.mse_loss(made.full, x) + made.loss) / 2).backward()
    tokens = tokenizer.encode(x)
    targets = Tokens(*(each[:, 1:] for each in tokens))
    ce_s1, ce_s2 = cross_entropy(predictor(Tokens(*(each[:, :-1] for each in tokens)), stamp[:, :-1]), targets)
    (ce_s1 + ce_s2).backward()
    for model in (tokenizer, predictor):
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("learned", [True, False])
def test_what_is_saved_loads_the_same(tmp_path: Path, learned: bool) -> None:
    torch.manual_seed(1)
    config = PredictorConfig(
        **{name: getattr(PREDICTOR, name) for name in PREDICTOR.__struct_fields__} | {"learn_te": learned}
    )
    tokenizer, predictor = Tokenizer(TOKENIZER), Predictor(config)
    save(tokenizer, tmp_path / "tokenizer")
    save(predictor, tmp_path / "predictor")
    for saved, loaded in (
        (tokenizer, load_tokenizer(tmp_path / "tokenizer")),
        (predictor, load_predictor(tmp_path / "predictor")),
    ):
        assert not loaded.training
        assert saved.config == loaded.config
        for name, tensor in saved.state_dict().items():
            assert torch.equal(tensor, loaded.state_dict()[name]), name
            assert tensor.requires_grad == loaded.state_dict()[name].requires_grad
