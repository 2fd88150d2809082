"""Small policies and real problems for the tests of the training rooms."""

import gc
from contextlib import contextmanager

import pytest

from bi.augmentation.arms import build_problems, build_rows, prompt_row
from bi.augmentation.compact import vocabulary
from bi.recipes import BehaviorRates, TaskRecipe
from bi.training.checkpoints import RunCallbacks
from bi.training.tiny import save_policy, tiny_policy

# Every training run collects garbage once; what the libraries allocated on import need not be searched each time.
gc.freeze()

# Options of these tests' own, so that a new recipe of the book does not draw other problems here.
OPTIONS = (("modulus", 23), ("compact", True), ("abstract_depth", 1), ("operands", (2, 3, 5, 4)), ("redundant", (1, 4)))
TASK = TaskRecipe(train_ops=(2, 3), id_ops=(3, 3), ood_ops=(4, 4), sft_rows=24, rl_prompts=12, test_problems=4,
                  options=OPTIONS)


def compact_policy(**changes):
    """A random Llama over the compact words."""
    settings = dict(hidden_size=32, max_position_embeddings=512)
    return tiny_policy(vocabulary(24, 23), **{**settings, **changes})


def save_compact_policy(folder, **changes):
    return save_policy(compact_policy(**changes), str(folder))


def prompt_rows(count, task=TASK, split="rl"):
    return [prompt_row(problem, task) for problem in build_problems(task, split, count, 0)]


def sft_rows(count, arm="bridge", task=TASK):
    return build_rows(build_problems(task, "sft", count, 0), arm, task, BehaviorRates(), 0)


class Killed(BaseException):
    """Stands for the end of the process: nothing in the package catches it."""


@contextmanager
def killed_in(step):
    """What runs inside dies while ``step`` of a training is being logged, and the ``with`` ends there."""
    log = RunCallbacks.log

    def log_and_die(self, logs, start_time=None):
        log(self, logs, start_time)
        if self.state.global_step == step:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(RunCallbacks, "log", log_and_die)
        yield
