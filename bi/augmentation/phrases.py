"""The phrases of the English wording: six of each kind, in our own words.

A step uses the same number of every kind. Two phrases of one kind never match the same sentence, so the number can be
read back. ``{fact}``, ``{quantity}`` and ``{missing}`` start with "the number of each", ``{chain}`` is a computation.
"""

PHRASES = 6
ANALYSIS = (
    "According to the question, {fact}.",
    "The question states that {fact}.",
    "Reading the question again, {fact}.",
    "We are told that {fact}.",
    "By the definition above, {fact}.",
    "One of the premises says that {fact}.",
)
INTRODUCTION = (
    "Let {symbol} be {quantity}.",
    "Write {symbol} for {quantity}.",
    "Call {quantity} {symbol}.",
    "We denote {quantity} by {symbol}.",
    "Let {symbol} stand for {quantity}.",
    "Next comes {quantity}, named {symbol}.",
)
REMINDER = (
    "We return to {symbol}, which is {quantity}.",
    "Back to {symbol}, our name for {quantity}.",
    "Now {symbol}, introduced above as {quantity}, can be found.",
    "As said before, {symbol} stands for {quantity}.",
    "Remember that {symbol} is {quantity}.",
    "The name {symbol} was already given to {quantity}.",
)
COMPUTATION = (
    "Then {chain}.",
    "So {chain}.",
    "Hence {chain}.",
    "This gives {chain}.",
    "Therefore {chain}.",
    "It follows that {chain}.",
)
REFLECTION = (
    "But this needs {missing}, which is not known yet, so we come back to it later.",
    "However, {missing} has not been computed so far; we leave this for later.",
    "Wait, {missing} is still unknown. We have to find other quantities first.",
    "We cannot finish this now, because {missing} is missing. Let us go back.",
    "This depends on {missing}, and we do not have that value yet, so we step back.",
    "Since {missing} is yet to be determined, we put this aside.",
)
RECALL = (
    "We already know {quantity}: {symbol} = {value}.",
    "The value of {quantity} was found above: {symbol} = {value}.",
    "As computed earlier, {quantity} is settled: {symbol} = {value}.",
    "There is no need to compute {quantity} again: {symbol} = {value}.",
    "Recall {quantity} from before: {symbol} = {value}.",
    "We have had {quantity} already: {symbol} = {value}.",
)
