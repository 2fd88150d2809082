"""Problems, questions and chains of thought of iGSM, byte for byte as models were trained on them."""

import hashlib

import pytest

from bi.augmentation.behaviors import inject
from bi.augmentation.trace import draw_phrases, plain_trace
from bi.augmentation.wording import get_wording
from bi.recipes import BehaviorRates
from bi.streams import stream
from bi.tasks.igsm import IGSMConfig, generate

GOLDEN = {
    "compact": "f66e69eb4adf28b0", "english": "0d7257d1e3e0b7f8",
}


@pytest.mark.parametrize("wording", GOLDEN)
def test_problems_and_texts_do_not_change_by_a_byte(wording):
    """Models are trained on these streams: whoever changes what they hold must say so, and train anew."""
    plain_sums = {"abstract_depth": 1, "operands": (2, 3, 5, 4), "redundant": (1, 4)}
    config = IGSMConfig(3, 7, modulus=23, compact=True, **plain_sums) if wording == "compact" else IGSMConfig(8, 20)
    voice, digest = get_wording(wording), hashlib.sha256()
    for index in range(60):
        problem = generate(config, stream("golden", wording, index))
        trace = inject(plain_trace(problem, stream("order", index)), problem, BehaviorRates(), stream("inject", index))
        text = voice.completion(draw_phrases(trace, voice.phrases, stream("phrase", index)), problem)
        digest.update("\n".join((problem.key(), voice.prompt(problem), text)).encode())
    assert digest.hexdigest()[:16] == GOLDEN[wording]
