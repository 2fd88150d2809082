"""Gram matrices are exact where float32 products are not."""

from __future__ import annotations

import numpy as np
import pytest

from bi.influence.kernel import cosine_gram, gram, squared_norms


def test_chunks_accumulated_in_float64_keep_seven_digits() -> None:
    rng = np.random.default_rng(0)
    # a common part that cancels nothing: the sum grows to 2e6, where float32 steps are coarse
    rows = (1 + 0.1 * rng.normal(size=(3, 2_000_000))).astype(np.float32)
    exact = rows.astype(np.float64) @ rows.astype(np.float64).T
    assert np.abs(gram(rows) / exact - 1).max() < 2e-7
    assert np.abs(squared_norms(rows) / np.diagonal(exact) - 1).max() < 2e-7


@pytest.mark.parametrize("chunk", [1, 7, 100, 1000])
def test_chunk_size_does_not_matter(chunk: int) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(4, 100)), rng.normal(size=(5, 100))
    assert gram(first, second, chunk=chunk) == pytest.approx(first @ second.T)


def test_cosines_are_of_unit_length_and_undefined_for_silent_prompts() -> None:
    rows = np.array([[3.0, 4.0], [4.0, -3.0], [0.0, 0.0], [-6.0, -8.0]])
    cosines = cosine_gram(rows)
    assert cosines[0, [0, 1, 3]] == pytest.approx([1.0, 0.0, -1.0])
    assert np.isnan(cosines[2]).all() and np.isnan(cosines[:, 2]).all()


def test_rows_of_different_models_are_refused() -> None:
    with pytest.raises(ValueError, match="same model"):
        gram(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="chunk"):
        gram(np.zeros((2, 3)), chunk=0)
