"""Held-out problems of sizes that the splits do not have."""

from __future__ import annotations

import dataclasses

from bi.augmentation.arms import build_problems
from bi.recipes import TaskRecipe
from bi.tasks.problem import Problem


def sized_problems(task: TaskRecipe, size: int, count: int) -> list[Problem]:
    """The first ``count`` held-out problems of exactly ``size`` (operations in iGSM), the same for every seed.

    Problems of another size have other keys, so none of these stands in a training set of ``task``. Raises
    ``ValueError`` for a size that is trained on, where one could.
    """
    low, high = task.train_ops
    if low <= size <= high:
        raise ValueError(f"problems of size {size} are trained on ({low} to {high} are); choose another size")
    return build_problems(dataclasses.replace(task, id_ops=(size, size)), "test_id", count, 0)
