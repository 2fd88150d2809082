"""Our own phrases around the public DyVal sentences: six of each kind, each on a line of its own.

Two phrases of one kind never match the same line, so the number can be read back. ``{fact}`` is a sentence of the
question, ``{quantity}`` and ``{missing}`` are names.
"""

PHRASES = 6
ANALYSIS = (
    "The question says: {fact}",
    "We are given: {fact}",
    "Look at its definition: {fact}",
    "One premise reads: {fact}",
    "What is stated about it: {fact}",
    "From the description: {fact}",
)
REFLECTION = (
    "Now {quantity}. It rests on {missing}, which is still open, so other values come first.",
    "Trying {quantity}: the value of {missing} is missing. Let us go back and leave {quantity} for later.",
    "Could we settle {quantity} now? No, because {missing} has not been found yet. We step back.",
    "Wait, {quantity} cannot be done before {missing}. We return to what can be done.",
    "Let us take {quantity}. That needs {missing}, and we do not have it so far; back to the others.",
    "Next would be {quantity}, but {missing} is not known at this point, so it has to wait.",
)
RECALL = (
    "We know {quantity} already: {value}",
    "{quantity} was settled above: {value}",
    "No need to find {quantity} again: {value}",
    "As found earlier, {quantity} has the value {value}",
    "Remember the value of {quantity}: {value}",
    "{quantity} is done, its value being {value}",
)
