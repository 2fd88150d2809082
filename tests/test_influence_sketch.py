"""Sketches keep inner products up to the stated error, and are the same map for every checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from influence_cases import make_model, make_rollouts

from bi.evaluation.intervals import numpy_stream
from bi.influence.gradients import group_gradients
from bi.influence.kernel import cosine_gram, gram
from bi.influence.per_step import influence_matrix, pair_products
from bi.influence.sketch import Sketch

KINDS = ("count", "fold")


def unit_rows(cosine: float, length: int, rng: np.random.Generator) -> np.ndarray:
    """Two rows of length 1 with the cosine given."""
    first, second = rng.normal(size=(2, length))
    second -= (second @ first) / (first @ first) * first
    first, second = first / np.linalg.norm(first), second / np.linalg.norm(second)
    return np.stack([first, cosine * first + np.sqrt(1 - cosine**2) * second])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cosine", [0.0, 0.6])
def test_sketched_cosines_are_unbiased_with_the_stated_error(kind: str, cosine: float) -> None:
    size, draws = 64, 250
    rows = unit_rows(cosine, 1000, numpy_stream(0, "sketch", cosine > 0))
    products = np.array([np.prod(Sketch(kind, size, seed)(rows), axis=0).sum() for seed in range(draws)])
    bound = Sketch(kind, size).standard_error(cosine)
    assert products.mean() == pytest.approx(cosine, abs=4 * bound / np.sqrt(draws))
    assert products.std() < 1.2 * bound
    assert products.std() > 0.8 * bound  # the bound is no idle one for spread-out rows
    assert np.mean(np.abs(products - cosine) > 3 * bound) < 1 / 9  # Chebyshev


def test_the_error_bound_holds_for_rows_in_one_place() -> None:
    """A map with fixed cells would fail here: all of both rows lies where the cells of two blocks could coincide."""
    rows = np.zeros((2, 640))
    rows[0, 10], rows[1, 10 + 64] = 1.0, 1.0  # the same place in two blocks
    met = [np.abs(np.prod(Sketch("fold", 64, seed)(rows), axis=0).sum()) > 0 for seed in range(400)]
    assert np.mean(met) == pytest.approx(1 / 64, abs=0.025)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sketch_is_linear_and_depends_on_its_name_alone(kind: str) -> None:
    rng = numpy_stream(1, "sketch")
    rows = rng.normal(size=(3, 1001))
    sketch, again, other = Sketch(kind, 32, 5), Sketch(kind, 32, 5), Sketch(kind, 32, 6)
    assert np.array_equal(sketch(rows), again(rows))
    assert not np.allclose(sketch(rows), other(rows))
    assert sketch(rows[0] + 2 * rows[1]) == pytest.approx(sketch(rows[0]) + 2 * sketch(rows[1]))
    assert sketch(rows.astype(np.float32)).dtype == np.float32
    assert sketch(torch.from_numpy(rows)) == pytest.approx(sketch(rows))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_two_checkpoints_sketched_apart_can_be_multiplied(kind: str) -> None:
    first, second, rollouts = make_model(), make_model(), make_rollouts(prompts=2)
    for parameter in second.parameters():
        parameter.data *= 1.1
    sketch = Sketch(kind, 2000, 0)
    whole = [group_gradients(model, rollouts).full() for model in (first, second)]
    small = [group_gradients(model, rollouts, sketch=sketch).full() for model in (first, second)]
    exact, sketched = cosine_gram(*whole), gram(*small) / np.outer(*(np.linalg.norm(rows, axis=1) for rows in whole))
    assert np.abs(sketched - exact).max() < 4 * sketch.standard_error(1.0)
    assert np.abs(exact).max() > 10 * sketch.standard_error(1.0)


def test_influence_of_sketched_gradients_is_near_and_says_so() -> None:
    model, rollouts = make_model(), make_rollouts()
    whole = group_gradients(model, rollouts, split="halves")
    small = group_gradients(model, rollouts, split="halves", sketch=Sketch("fold", 4096, 1))
    norms = np.linalg.norm(whole.full(), axis=1)
    gap = influence_matrix(small, small, 1.0, "naive") - influence_matrix(whole, whole, 1.0, "naive")
    assert np.abs(gap).max() < 4 * Sketch("fold", 4096).standard_error(1.0) * norms.max() ** 2
    assert "sketch fold, k 4096, seed 1, error of a small cosine 1.6e-02" in small.describe()
    with pytest.raises(ValueError, match="use the same for both"):
        pair_products(whole, small, "halves")
    with pytest.raises(ValueError, match="without a sketch"):
        pair_products(small, small, "halves", np.ones(4096))


def test_what_is_no_sketch_is_refused() -> None:
    for bad, told in (({"kind": "dense"}, "choose one of count, fold"), ({"size": 0}, "between 1 and")):
        with pytest.raises(ValueError, match=told):
            Sketch(**bad)
    with pytest.raises(ValueError, match="float32 or float64"):
        Sketch("fold", 8)(np.zeros((2, 3), dtype=np.int64))
