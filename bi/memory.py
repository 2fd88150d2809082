"""How much memory a recipe asks for, by arithmetic: from the shape of a model and the numbers of a profile.

Nothing is loaded and nothing is run. The sums are floors: what must be there at the same time, without the fragments
and buffers of an allocator. Number formats are those of :mod:`bi.training` on a GPU: weights, gradients and Adam's two
moments in float32, passes in bfloat16 autocast, a bfloat16 copy of the weights for sampling, and a float32 reference
policy where there is a KL term. All sizes are in bytes, and those of :func:`grpo_needs` in GB (10^9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bi.recipes import GRPORecipe, InfluenceRecipe, get_profile

FLOAT, HALF = 4, 2
RECOMPUTED_ABOVE = 300_000_000
"""Parameters above which training recomputes activations (:data:`bi.training.policy.CHECKPOINTING_PARAMETERS`)."""
ROWS_AT_ONCE = 1024
"""Most completions that are sampled together on a GPU (:data:`bi.training.sampler.GPU_ROWS`)."""
GB = 1e9


@dataclass(frozen=True)
class Shape:
    """What a Llama-type model's size follows from; ``bias``: its query, key and value projections have one."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool = True
    bias: bool = False

    @property
    def kv_width(self) -> int:
        """Length of one token's keys in one layer."""
        return self.hidden // self.heads * self.kv_heads

    @property
    def parameters(self) -> int:
        """Number of parameters, tied ones once."""
        attention = 2 * self.hidden * (self.hidden + self.kv_width)
        attention += (self.hidden + 2 * self.kv_width) * self.bias
        block = attention + 3 * self.hidden * self.intermediate + 2 * self.hidden
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return embeddings + self.layers * block + self.hidden


# The published configurations of the paper's models, and two shapes at the ends of what profile gpu is meant for.
PAPER_SHAPES: Mapping[str, Shape] = {
    "Qwen/Qwen2.5-1.5B": Shape(1536, 8960, 28, 12, 2, 151_936, bias=True),
    "Qwen/Qwen2.5-3B": Shape(2048, 11_008, 36, 16, 2, 151_936, bias=True),
    "meta-llama/Llama-3.2-1B-Instruct": Shape(2048, 8192, 16, 32, 8, 128_256),
}
GPU_SHAPES: Mapping[str, Shape] = {
    "gpu-base": Shape(512, 1536, 8, 8, 4, 1024),
    "large": Shape(768, 2304, 14, 12, 4, 8192),
}


def activation_bytes(shape: Shape, tokens: int) -> int:
    """What a forward pass keeps of ``tokens`` tokens for its backward pass.

    With recomputation the input of each layer; otherwise what its matrix products and two norms need again. Attention
    weights are never kept (fused attention).
    """
    if shape.parameters > RECOMPUTED_ABOVE:
        return tokens * shape.layers * shape.hidden * HALF
    products = 4 * shape.hidden + 2 * shape.kv_width + 3 * shape.intermediate
    return tokens * shape.layers * (products * HALF + 2 * shape.hidden * FLOAT)


def cache_bytes(shape: Shape, recipe: GRPORecipe, rows: int) -> int:
    """Keys and values while ``rows`` completions are sampled; a prompt's are kept once for its group."""
    tokens = rows * recipe.max_completion_length + rows // recipe.rollouts * recipe.max_prompt_length
    return tokens * 2 * shape.layers * shape.kv_width * HALF


def score_bytes(shape: Shape, recipe: GRPORecipe) -> int:
    """Scores over the vocabulary for one micro-batch of longest completions, and their gradient."""
    return recipe.micro_batch_size * recipe.max_completion_length * shape.vocabulary * 2 * HALF


def grpo_needs(shape: Shape, recipe: GRPORecipe) -> dict[str, float]:
    """GB that one GRPO step holds, by part; ``training`` and ``sampling`` are the two moments that must fit.

    They follow one another, so the larger one decides. Rows that are sampled together are as many as the sampler takes
    at most; it takes fewer where its cache would not fit.
    """
    rows = min(recipe.prompts * recipe.rollouts, ROWS_AT_ONCE)
    tokens = recipe.micro_batch_size * (recipe.max_prompt_length + recipe.max_completion_length)
    parts = {
        "weights": shape.parameters * FLOAT,
        "Adam's moments": shape.parameters * 2 * FLOAT,
        "reference": shape.parameters * FLOAT * (recipe.beta > 0),
        "gradient": shape.parameters * FLOAT,
        "activations": activation_bytes(shape, tokens),
        "scores": score_bytes(shape, recipe),
        "sampler's weights": shape.parameters * HALF,
        "cache": cache_bytes(shape, recipe, rows),
    }
    kept = parts["weights"] + parts["Adam's moments"] + parts["reference"]
    parts["training"] = kept + parts["gradient"] + parts["activations"] + parts["scores"]
    parts["sampling"] = kept + parts["sampler's weights"] + parts["cache"]
    return {name: size / GB for name, size in parts.items()}


def largest_micro_batch(shape: Shape, recipe: GRPORecipe, memory_gb: float) -> int:
    """Most completions in a micro-batch for which training stays below ``memory_gb`` by this arithmetic; 0 if none."""
    needs = grpo_needs(shape, recipe)
    variable = needs["activations"] + needs["scores"]
    fixed = needs["training"] - variable
    return max(0, int((memory_gb - fixed) / (variable / recipe.micro_batch_size)))


@dataclass(frozen=True)
class Training:
    """A model's shape with the recipe that trains it."""

    shape: Shape
    recipe: GRPORecipe


def profile_trainings() -> dict[str, Training]:
    """What the profiles ``gpu`` and ``paper`` train, by a name for readers."""
    gpu, paper = get_profile("gpu").grpo, get_profile("paper").grpo
    trainings = {f"gpu, {name}": Training(shape, gpu) for name, shape in GPU_SHAPES.items()}
    return trainings | {name.rpartition("/")[2]: Training(shape, paper) for name, shape in PAPER_SHAPES.items()}


def needs_table(trainings: Mapping[str, Training]) -> pd.DataFrame:
    """Parameters in millions and the parts of :func:`grpo_needs` in GB; one row a training, named in the index."""
    rows = {name: {"parameters (M)": one.shape.parameters / 1e6} | grpo_needs(one.shape, one.recipe)
            for name, one in trainings.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("profile and model")


def fitting_table(trainings: Mapping[str, Training], cards_gb: Sequence[int]) -> pd.DataFrame:
    """Largest micro-batch by training and memory of the card; the column ``recipe`` has what its recipe asks for."""
    rows = {name: {f"{card} GB": largest_micro_batch(one.shape, one.recipe, card) for card in cards_gb}
            | {"recipe": one.recipe.micro_batch_size} for name, one in trainings.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("largest micro-batch on a card of")


def influence_gb(shape: Shape, recipe: InfluenceRecipe) -> float:
    """GB of main memory for whole gradients: two halves of each prompt, for the training set and one target."""
    return 2 * 2 * recipe.prompts * shape.parameters * FLOAT / GB
