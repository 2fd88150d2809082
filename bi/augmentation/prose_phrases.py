"""Our own phrases in prose chains of thought: six of each kind, each on a line of its own.

``{target}`` and ``{missing}`` are noun phrases for what a step settles, ``{fact}`` is a sentence of the question.
Every template of reflection names the target first.
"""

PHRASES = 6
ANALYSIS = (
    'The question says: "{fact}"',
    'We are told: "{fact}"',
    'Here this part of the question matters: "{fact}"',
    'Let us read again: "{fact}"',
    'What is given for this step: "{fact}"',
    'To be sure, the text states: "{fact}"',
)
REFLECTION = (
    "Let us go straight for {target}. That takes {missing}, which we have not found yet, so back to the earlier steps.",
    "Could we get {target} now? No: {missing} is still unknown. We return and do that part first.",
    "Suppose we look for {target} next. Wait, it depends on {missing}, and we do not have that. Let us step back.",
    "It is tempting to settle {target} here, but {missing} has not been worked out. We leave it for later.",
    "Now {target}? It rests on {missing}, which comes only later. Let us go on in order.",
    "Trying {target}: for this we would need {missing}. Since we do not know it so far, we go back.",
)
SMALL_STEPS = "In small steps, {chain}."
"""Where a passage shows no computation, a sentence at its end has the small steps."""
