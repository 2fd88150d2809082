"""Held-out problems of sizes that the splits do not have."""

from __future__ import annotations

import dataclasses

from bi.augmentation.arms import build_problems, split_ops, task_config
from bi.recipes import TaskRecipe
from bi.tasks.generators import get_task
from bi.tasks.problem import Problem


def sized_problems(task: TaskRecipe, size: int, count: int) -> list[Problem]:
    """The first ``count`` held-out problems of exactly ``size`` (operations in iGSM, levels in DyVal), the same for
    every seed.

    Problems of another size have other keys, so none of these stands in a training set of ``task``. Raises
    ``ValueError`` for a size that is trained on, where one could.
    """
    bounds = get_task(task.task).size
    for split in ("sft", "rl"):
        config = task_config(task, split_ops(task, split), split)
        low, high = (getattr(config, bound) for bound in bounds)
        if low <= size <= high:
            raise ValueError(f"problems of size {size} are trained on ({low} to {high} are); choose another size")
    others = tuple((name, value) for name, value in task.options if name not in bounds)
    return build_problems(dataclasses.replace(task, id_ops=(size, size), options=others), "test_id", count, 0)


def trained_size(task: TaskRecipe) -> int:
    """The largest size that RL of ``task`` is trained on, which is also that of its first test split."""
    config = task_config(task, split_ops(task, "rl"), "rl")
    return getattr(config, get_task(task.task).size[1])
