"""Muon in float32: torch's updates without the rounding of bfloat16, where that format would be emulated."""

import pytest
import torch

from bi.training.muon import Float32Muon, orthogonalized
from bi.training.pretrain import BaseRecipe, make_model, make_optimizers, make_tokenizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (12, 5)])
def test_iterations_move_the_singular_values_and_leave_the_vectors(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / values.norm()
    a, b, c = COEFFICIENTS
    for _ in range(5):
        values = a * values + b * values**3 + c * values**5
    found = orthogonalized(matrix, coefficients=COEFFICIENTS, steps=5, eps=1e-7)
    assert torch.allclose(found, left @ torch.diag(values) @ right, atol=1e-10)
    assert 0.5 < values.min() and values.max() < 1.3  # what five iterations with these coefficients are made for
    assert orthogonalized(0 * matrix, coefficients=COEFFICIENTS, steps=5, eps=1e-7).abs().max() == 0


@pytest.mark.parametrize("nesterov", [True, False])
def test_steps_are_those_of_torch_up_to_rounding(nesterov):
    start = [torch.randn(shape, generator=torch.Generator().manual_seed(2)) for shape in ((6, 10), (10, 6))]
    ends = {}
    for kind in (torch.optim.Muon, Float32Muon):
        matrices = [torch.nn.Parameter(matrix.clone()) for matrix in start]
        idle = torch.nn.Parameter(torch.ones(3, 3))
        optimizer = kind([*matrices, idle], lr=0.1, weight_decay=0.3, nesterov=nesterov,
                         adjust_lr_fn="match_rms_adamw")
        draws = torch.Generator().manual_seed(3)
        for _ in range(4):
            for matrix in matrices:
                matrix.grad = torch.randn(matrix.shape, generator=draws)
            optimizer.step()
        assert torch.equal(idle, torch.ones(3, 3))
        ends[kind] = [matrix.detach() for matrix in matrices]
    for there, here, before in zip(*ends.values(), start, strict=True):
        moved = (there - before).norm()
        assert moved > 0.1 and (here - there).norm() < 0.01 * moved  # bfloat16 keeps 8 bits: .004 a product


def test_another_scale_of_the_learning_rate_is_refused():
    with pytest.raises(ValueError, match="only 'match_rms_adamw' exists in float32"):
        Float32Muon([torch.nn.Parameter(torch.ones(2, 2))], adjust_lr_fn="original")


@pytest.mark.parametrize(("known", "kind"), [({"avx2": True}, Float32Muon), ({"avx512_bf16": True}, torch.optim.Muon)])
def test_the_optimizer_follows_what_the_processor_multiplies(monkeypatch, known, kind):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    recipe = BaseRecipe(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=32)
    optimizers = make_optimizers(make_model(recipe, make_tokenizer(recipe)), recipe)
    assert [type(optimizer) for optimizer in optimizers] == [kind, torch.optim.AdamW]
