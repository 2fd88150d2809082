"""Expressions: reading inverts writing, subgoals keep the value, counting is iGSM's."""

import random

import pytest

from bi.tasks.expression import (
    Num,
    Op,
    Ref,
    binary_operations,
    evaluate,
    parents_and_operations,
    parse,
    render,
    subgoals,
)


def draw(rng: random.Random, depth: int = 2):
    if depth == 0 or rng.random() < 0.3:
        return Ref(f"q{rng.randrange(9)}") if rng.random() < 0.5 else Num(rng.randrange(23))
    symbol = rng.choice("+-*")
    width = 2 if symbol == "-" else rng.randint(2, 4)
    args = [draw(rng, depth - 1) for _ in range(width)]
    if symbol == "*":  # a product inside a product is written without parentheses and reads as one product
        args = [Num(3) if isinstance(arg, Op) and arg.symbol == "*" else arg for arg in args]
    return Op(symbol, tuple(args))


def leaf(token: str):
    if token.lstrip("-").isdigit():
        return Num(int(token))
    return Ref(token) if token.startswith("q") else None


def write(expr) -> str:
    return render(expr, lambda e: e.name if isinstance(e, Ref) else str(e.value))


def test_reading_inverts_writing():
    rng = random.Random(0)
    for _ in range(5000):
        expr = draw(rng, 3)
        assert parse(write(expr).split(), leaf) == expr, write(expr)


@pytest.mark.parametrize("text", ["", "+", "3 +", "( 3", "3 )", "3 4", "q1 ( 2 )", "* 3", "( )", "( " * 5000 + "3",
                                  "1 - " * 5000 + "1", "1 - 1 + " * 40 + "1"])
def test_what_is_no_expression_reads_as_none(text):
    assert parse(text.split(), leaf) is None


def test_written_arithmetic_agrees_with_python():
    rng = random.Random(1)
    for _ in range(2000):
        expr = draw(rng, 3)
        values = {f"q{i}": rng.randrange(-9, 30) for i in range(9)}
        text = render(expr, lambda e, values=values: f"({values[e.name]})" if isinstance(e, Ref) else str(e.value))
        assert evaluate(expr, values, None) == eval(text)
        assert evaluate(expr, values, 23) % 23 == eval(text) % 23


def test_subgoals_keep_the_value_and_lose_one_operation_each():
    rng = random.Random(2)
    for _ in range(2000):
        expr = draw(rng, 2)
        while any(isinstance(expr, kind) for kind in (Num, Ref)):
            expr = draw(rng, 2)
        numbers = parse([t if t[0] != "q" else t[1:] for t in write(expr).split()], leaf)
        chain = [numbers, *subgoals(numbers, 23)]
        assert len({evaluate(e, {}, 23) for e in chain}) == 1
        assert [binary_operations(e) for e in chain] == list(range(len(chain), 0, -1))


def test_paper_example_of_subgoals():
    chain = subgoals(Op("+", (Num(13), Num(5), Num(6))), None)
    assert [write(e) for e in chain] == ["18 + 6"]
    chain = subgoals(Op("*", (Num(3), Op("+", (Num(13), Num(5), Num(6))))), None)
    assert [write(e) for e in chain] == ["3 * ( 18 + 6 )", "3 * 24"]


def test_an_assignment_counts_as_one_operation():
    assert parents_and_operations(Num(3)) == ((), 1) and parents_and_operations(Ref("q")) == (("q",), 1)
    assert parents_and_operations(Op("+", (Ref("b"), Ref("a")))) == (("b", "a"), 1)
    assert parents_and_operations(Op("+", (Ref("b"), Ref("b"), Ref("a")))) == (("b", "a"), 2)
    assert parents_and_operations(Op("*", (Num(3), Op("+", (Ref("a"), Ref("b"), Ref("c")))))) == (("a", "b", "c"), 3)
