import math

import pytest
import torch

from worker.ml.errors import MlError
from worker.ml.sampling.choose import choose_tokens, top_k_of
from worker.ml.sampling.seeds import uniforms


def test_top_k_is_a_share_of_the_vocabulary_rounded_up() -> None:
    assert top_k_of(50_000, 0.1) == 5000
    assert top_k_of(743, 0.1) == 75
    assert top_k_of(5, 0.01) == 1
    assert top_k_of(7, 1.0) == 7


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_the_softmax_says(temperature: float) -> None:
    logits = torch.tensor([1.0, 0.0, 2.0, -1.0])
    n = 40_000
    numbers = torch.from_numpy(uniforms([3], n))[0]
    tokens, _ = choose_tokens(logits.expand(n, 4), torch.full((n,), temperature), numbers, top_k=4)
    got = torch.bincount(tokens, minlength=4) / n
    assert torch.allclose(got, torch.softmax(logits / temperature, 0), atol=0.01)


def test_only_the_top_k_are_ever_chosen_and_the_log_probability_is_of_the_whole() -> None:
    logits = torch.tensor([[1.0, 0.9, 0.8, 0.7, -5.0]]).expand(500, 5)
    numbers = torch.from_numpy(uniforms([1], 500))[0]
    tokens, log_p = choose_tokens(logits, torch.full((500,), 3.0), numbers, top_k=2)
    assert set(tokens.tolist()) == {0, 1}
    expected = torch.log_softmax(logits[0], 0)[tokens]
    assert torch.allclose(log_p, expected, atol=1e-6)


def test_a_low_temperature_takes_the_most_probable_token_whatever_the_number() -> None:
    logits = torch.randn(64, 300, generator=torch.Generator().manual_seed(0))
    numbers = torch.from_numpy(uniforms([9], 64))[0]
    tokens, _ = choose_tokens(logits, torch.full((64,), 1e-4), numbers, top_k=30)
    assert torch.equal(tokens, logits.argmax(-1))


@pytest.mark.parametrize("number", [0.0, 1 - 2**-53])
def test_the_ends_of_the_interval_choose_a_possible_token(number: float) -> None:
    logits = torch.tensor([[-50.0, 3.0, 2.0, -50.0]])
    tokens, _ = choose_tokens(
        logits, torch.ones(1), torch.tensor([number], dtype=torch.float64), top_k=2
    )
    assert tokens.item() in (1, 2)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_broken_model_is_not_sampled_from(broken: float) -> None:
    logits = torch.tensor([[1.0, 0.5, broken, 0.1], [1.0, 0.5, 0.2, 0.1]])
    with pytest.raises(MlError, match="not finite"):
        choose_tokens(logits, torch.ones(2), torch.full((2,), 0.5, dtype=torch.float64), top_k=4)


def test_every_token_of_a_large_vocabulary_can_be_chosen_and_none_beyond() -> None:
    """The search goes block by block: its seams must not show."""
    n = 1000
    weights = torch.rand(n, generator=torch.Generator().manual_seed(0)) + 0.01
    upto = (weights / weights.sum()).double().cumsum(0)
    middles = upto - (weights / weights.sum()).double() / 2
    logits = weights.log().expand(n, n)
    tokens, _ = choose_tokens(logits, torch.ones(n), middles, top_k=n)
    assert tokens.tolist() == list(range(n))
    ends = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    tokens, _ = choose_tokens(logits[:2], torch.ones(2), ends, top_k=n)
    assert tokens.tolist() == [0, n - 1]
