"""Radicals: compared by proof and not by tolerance, rounded correctly, one number for one value."""

import random
from decimal import Decimal, getcontext
from fractions import Fraction

import pytest

from bi.tasks.expression import Num, Op, Ref, evaluate, parse, render, subgoals
from bi.tasks.operators import NA, apply_binary, apply_unary
from bi.tasks.radical import Radical, square_root


def root(value):
    return square_root(value)


IDENTITIES = [
    (root(2) * root(2), 2),
    (root(2) * root(3), root(6)),
    (root(8), root(2) + root(2)),
    (root(2) + root(3), root(5 + 2 * root(6))),
    (1 / (root(2) - 1), root(2) + 1),
    (root(root(2)) * root(root(2)), root(2)),
    (root(Fraction(1, 2)), root(2) / 2),
    ((1 - root(2)) * (1 - root(2)), 3 - 2 * root(2)),
    (root(3 - 2 * root(2)), root(2) - 1),
    (root(2) - root(2), 0),
    (root(11 + 2 * root(29)) + root(16 - 2 * root(29) + 2 * root(55 - 10 * root(29))),
     root(5) + root(22 + 2 * root(5))),
]


@pytest.mark.parametrize("index", range(len(IDENTITIES)))
def test_equal_numbers_built_differently_are_equal(index):
    left, right = IDENTITIES[index]
    assert left == right and not left != right
    tiny = Fraction(1, 10**40)
    assert left != right + tiny and left < right + tiny and left > right - tiny


def test_a_difference_far_below_floats_is_seen():
    close = root(2) + root(3) - Fraction(31462643699419723423, 10**19)
    assert close != 0 and abs(float(close)) < 1e-18
    assert (close > 0) == (Decimal(2).sqrt() + Decimal(3).sqrt() > Decimal("3.1462643699419723423"))


def test_what_cannot_be_compared_in_reasonable_time_is_refused():
    primes = [n for n in range(2, 60) if all(n % d for d in range(2, n))][:16]
    total = sum((root(prime) for prime in primes), start=0 * root(2) + root(2) - root(2))
    assert total > 40  # far from zero: no bound is needed
    with pytest.raises(ValueError, match="too many to compare exactly"):
        assert total - total == 0


def test_exact_roots_are_plain_numbers():
    assert root(Fraction(81, 4)) == Fraction(9, 2) and isinstance(root(Fraction(81, 4)), Fraction)
    assert root(49) == 7 and isinstance(root(49), int)
    with pytest.raises(ValueError, match="negative"):
        root(-1)
    with pytest.raises(ValueError, match="negative"):
        root(1 - root(2))
    with pytest.raises(ValueError, match="division by zero"):
        1 / (root(2) * root(8) + root(2) - 4 - root(2))


def draw(rng, depth):
    """A radical and its decimal value, built side by side."""
    if depth == 0:
        number = rng.randint(1, 10)
        return number, Decimal(number)
    (left, left_value), (right, right_value) = draw(rng, depth - 1), draw(rng, depth - 1)
    symbol = rng.choice("+-*/r")
    if symbol == "r":
        return (root(left), left_value.sqrt()) if left_value >= 0 else (left * left, left_value * left_value)
    if symbol == "/":
        return (apply_binary("/", left, right, None), left_value / right_value) if right != 0 else (left, left_value)
    return {"+": left + right, "-": left - right, "*": left * right}[symbol], {
        "+": left_value + right_value, "-": left_value - right_value, "*": left_value * right_value}[symbol]


def test_values_signs_and_decimals_agree_with_decimal_arithmetic():
    getcontext().prec = 80
    rng = random.Random(3)
    radicals = 0
    for _ in range(400):
        number, value = draw(rng, 3)
        radicals += isinstance(number, Radical)
        if abs(value) < Decimal("1e-60"):
            assert number == 0
            continue
        assert (number > 0) == (value > 0)
        assert abs(float(number) - float(value)) <= 4e-16 * abs(float(value))
        rounded = number.round(8) if isinstance(number, Radical) else round(Fraction(number), 8)
        assert rounded == Fraction(round(value, 8))
    assert radicals > 100


def test_ties_round_to_even():
    half = root(2) * root(8) / 4 + Fraction(1, 2)  # 1 + 1/2, though no rule of arithmetic here shows it
    assert isinstance(half, Radical) and half.round(0) == 2
    assert (half - 1).round(0) == 0 and (half + 1).round(0) == 2


@pytest.mark.parametrize(("symbol", "arguments", "value"), [
    ("and", (True, NA), NA), ("and", (False, NA), NA), ("and", (True, True), True), ("and", (True, False), False),
    ("or", (True, NA), True), ("or", (NA, True), True), ("or", (False, NA), NA), ("or", (False, False), False),
    ("not", (NA,), NA), ("not", (False,), True), ("then", (True,), True), ("then", (False,), NA), ("then", (NA,), NA),
])
def test_logic_has_three_values(symbol, arguments, value):
    assert evaluate(Op(symbol, tuple(Num(argument) for argument in arguments)), {}, None) is value


def test_division_and_roots_modulo_a_prime_undo_products_and_squares():
    for value in range(23):
        for divisor in range(1, 23):
            assert apply_binary("/", value * divisor % 23, divisor, 23) == value
        assert apply_unary("sqrt", value * value % 23, 23) == min(value, (23 - value) % 23)
    with pytest.raises(ValueError, match="no square root modulo 23"):
        apply_unary("sqrt", 5, 23)
    with pytest.raises(ValueError, match="division by zero"):
        apply_binary("/", 1, 0, 23)


def test_whole_quotients_are_integers_and_others_fractions():
    assert evaluate(Op("/", (Num(6), Num(3))), {}, None) == 2
    assert type(evaluate(Op("/", (Num(6), Num(3))), {}, None)) is int
    assert evaluate(Op("/", (Num(1), Num(3))), {}, None) == Fraction(1, 3)


def draw_expression(rng, depth):
    if depth == 0 or rng.random() < 0.2:
        return Ref(f"q{rng.randrange(9)}") if rng.random() < 0.5 else Num(rng.randrange(23))
    symbol = rng.choice(["+", "-", "*", "/", "sqrt", "square"])
    width = {"-": 2, "/": 2, "sqrt": 1, "square": 1}.get(symbol) or rng.randint(2, 4)
    return Op(symbol, tuple(draw_expression(rng, depth - 1) for _ in range(width)))


def leaf(token):
    return Num(int(token)) if token.isdigit() else Ref(token) if token.startswith("q") else None


@pytest.mark.parametrize("cases", [1500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_reading_inverts_writing_for_all_arithmetic(cases):
    rng = random.Random(0)
    for _ in range(cases):
        expr = draw_expression(rng, 4)
        text = render(expr, lambda e: e.name if isinstance(e, Ref) else str(e.value))
        assert parse(text.split(), leaf) == expr, text


def test_subgoals_of_squares_and_quotients_lose_one_operation_each():
    expr = Op("/", (Op("square", (Num(6),)), Op("*", (Num(2), Num(3)))))
    texts = [render(e, lambda e: str(e.value)) for e in subgoals(expr, None)]
    assert texts == ["36 / ( 2 * 3 )", "36 / 6"]
