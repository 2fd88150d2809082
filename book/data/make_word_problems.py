"""Writes ``word_problems.jsonl``: word problems like those of GSM8K, in our own sentences, for book and tests.

    .venv/bin/python book/data/make_word_problems.py > book/data/word_problems.jsonl

Every story is told four times with other numbers and names. Between them the stories hold what such data hold: money,
decimals, percentages, thousands, several calculations on a line, lines without any, results that are never used, equal
results, numbers of the question that equal a result, rounding.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction

from bi.streams import stream
from bi.tasks.written import write_number

TELLINGS = 4
NAMES = ("Amara", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kavya", "Lena")
Story = Callable[[random.Random], tuple[str, str]]


def calc(left: str, value: int | Fraction, shown: str = "") -> str:
    """``48/2 = <<48/2=24>>24``; ``shown`` is the computation as the text shows it, if it differs."""
    text = write_number(value)
    return f"{shown or left} = <<{left}={text}>>{text}"


def money(left: str, value: int | Fraction, shown: str = "") -> str:
    """The same with a dollar sign in front of the result, outside the annotation."""
    text = write_number(value)
    return f"{shown or left} = $<<{left}={text}>>{text}"


def beehives(rng: random.Random) -> tuple[str, str]:
    """Three steps, a unit behind each result, one computation of three operands."""
    name, first, more, jar = rng.choice(NAMES), rng.randint(12, 30), rng.randint(5, 15), rng.randint(3, 9)
    total = first + first + more + jar
    boxes = total // 2 - rng.randint(2, 5)
    return (
        f"{name} keeps bees. In June the hives gave {first} jars of honey, in July {more} jars more than in June. In "
        f"August there were only {jar} jars. {name} packs {boxes} boxes of two jars. How many jars are left over?",
        f"In July there were {calc(f'{first}+{more}', first + more)} jars.\n"
        f"All three months gave {calc(f'{first}+{first + more}+{jar}', total)} jars.\n"
        f"The boxes hold {calc(f'{boxes}*2', boxes * 2)} jars.\n"
        f"So {calc(f'{total}-{boxes * 2}', total - boxes * 2)} jars are left over.\n#### {total - boxes * 2}",
    )


def bakery(rng: random.Random) -> tuple[str, str]:
    """Money with decimals, and two calculations on one line."""
    name, rolls, cakes = rng.choice(NAMES), rng.randint(4, 12), rng.randint(2, 5)
    roll, cake = Fraction(rng.choice((40, 60, 80)), 100), Fraction(rng.choice((250, 325, 475)), 100)
    paid = 50
    one, two = rolls * roll, cakes * cake
    r, c = f"{float(roll):.2f}", f"{float(cake):.2f}"
    return (
        f"At the bakery {name} buys {rolls} rolls at ${r} each and {cakes} cakes at ${c} each. {name} pays with a $50 "
        "note. How many dollars of change are due?",
        f"The rolls cost {money(f'{rolls}*{r}', one)} and the cakes cost {money(f'{cakes}*{c}', two)}.\n"
        f"Together that is {money(f'{write_number(one)}+{write_number(two)}', one + two)}.\n"
        f"The change is {money(f'50-{write_number(one + two)}', paid - one - two)}.\n"
        f"#### {write_number(paid - one - two)}",
    )


def discount(rng: random.Random) -> tuple[str, str]:
    """A percentage, thousands separators, and a line without a calculation."""
    price, percent = rng.choice((1200, 1500, 2400, 3600)), rng.choice((10, 15, 20, 25))
    months = rng.choice((3, 4, 6))
    off = price * percent // 100
    return (
        f"A piano costs ${price:,}. In the sale the shop takes {percent}% off, and delivery adds $60. The buyer pays "
        f"in {months} equal parts. How many dollars is one part?",
        "First we need the price in the sale.\n"
        f"The shop takes off {money(f'{price}*{percent}/100', off, f'${price:,} * {percent}/100')}.\n"
        f"That leaves {money(f'{price}-{off}', price - off, f'{price:,} - {off}')}.\n"
        f"With delivery it is {money(f'{price - off}+60', price - off + 60)}.\n"
        f"One part is {money(f'{price - off + 60}/{months}', Fraction(price - off + 60, months))}.\n"
        f"#### {write_number(Fraction(price - off + 60, months))}",
    )


def ferry(rng: random.Random) -> tuple[str, str]:
    """A result that is never used, and a computation of three operations on the last line."""
    trips, cars, people = rng.randint(4, 8), rng.randint(20, 40), rng.randint(2, 4)
    walkers = rng.randint(50, 90)
    return (
        f"A ferry makes {trips} trips a day. On each trip it carries {cars} cars with {people} people in every car, "
        f"and {walkers} people on foot. How many people does it carry in a day?",
        f"Each day it carries {calc(f'{trips}*{cars}', trips * cars)} cars.\n"
        f"The cars of one trip bring {calc(f'{cars}*{people}', cars * people)} people.\n"
        f"So the day has {calc(f'{trips}*({cars * people}+{walkers})', trips * (cars * people + walkers))} people.\n"
        f"#### {trips * (cars * people + walkers)}",
    )


def orchard(rng: random.Random) -> tuple[str, str]:
    """Two equal results, so that a later number can mean either."""
    rows, trees = rng.randint(4, 9), rng.randint(6, 12)
    kilos = rng.randint(11, 19)
    each = rows * trees
    return (
        f"An orchard has {rows} rows of {trees} apple trees and {trees} rows of {rows} pear trees. Every tree gives "
        f"{kilos} kilos of fruit. How many kilos does the orchard give?",
        f"There are {calc(f'{rows}*{trees}', each)} apple trees.\n"
        f"There are {calc(f'{trees}*{rows}', each)} pear trees.\n"
        f"That makes {calc(f'{each}+{each}', 2 * each)} trees.\n"
        f"They give {calc(f'{2 * each}*{kilos}', 2 * each * kilos)} kilos.\n#### {2 * each * kilos}",
    )


def library(rng: random.Random) -> tuple[str, str]:
    """A number of the question that equals a result, and words for numbers."""
    shelves = rng.choice((6, 8, 10))
    books = rng.randint(20, 35)
    gone = 2 * shelves
    return (
        f"A small library has {shelves} shelves with {books} books each. On Monday {gone} books are borrowed, on "
        f"Tuesday twice as many books as there are shelves. How many books are left?",
        f"At first there are {calc(f'{shelves}*{books}', shelves * books)} books.\n"
        f"On Tuesday {calc(f'2*{shelves}', gone)} books are borrowed.\n"
        f"Both days together take {calc(f'{gone}+{gone}', 2 * gone)} books.\n"
        f"So {calc(f'{shelves * books}-{2 * gone}', shelves * books - 2 * gone)} books are left.\n"
        f"#### {shelves * books - 2 * gone}",
    )


def aquarium(rng: random.Random) -> tuple[str, str]:
    """A long computation written at once."""
    length, width, depth = rng.choice((40, 50, 60)), rng.choice((20, 30)), rng.choice((20, 40))
    stones = rng.randint(2, 5)
    liters = length * width * depth // 1000
    return (
        f"An aquarium is {length} cm long, {width} cm wide and {depth} cm deep. One liter is 1,000 cubic centimeters. "
        f"The stones inside take up {stones} liters. {rng.choice(NAMES)} fills it with a can of 2 liters. How many "
        "cans does that take?",
        f"The aquarium holds {calc(f'{length}*{width}*{depth}/1000', liters, f'{length} * {width} * {depth} / 1000')} "
        "liters.\n"
        f"With the stones there is room for {calc(f'{liters}-{stones}', liters - stones)} liters.\n"
        f"That takes {calc(f'{liters - stones}/2', Fraction(liters - stones, 2))} cans.\n"
        f"#### {write_number(Fraction(liters - stones, 2))}",
    )


def marathon(rng: random.Random) -> tuple[str, str]:
    """A result in per cent that is used as a number again."""
    starters, share = rng.choice((400, 500, 800)), rng.choice((60, 70, 80, 90))
    done = starters * share // 100
    prize = rng.choice((3, 4, 5))
    return (
        f"Of {starters} runners who start a race, {starters - done} give up. Everybody who finishes gets a medal that "
        f"costs ${prize}. What share of the runners finishes, and how many dollars do the medals cost?",
        f"The number who finish is {calc(f'{starters}-{starters - done}', done)}.\n"
        f"As a share this is {calc(f'{done}/{starters}*100', share)}%.\n"
        f"The medals cost {money(f'{share}/100*{starters}*{prize}', done * prize)}.\n#### {done * prize}",
    )


def greenhouse(rng: random.Random) -> tuple[str, str]:
    """No equals sign in front of one result: its small steps get a sentence of their own."""
    trays, plants, lost, price = rng.randint(5, 9), rng.randint(12, 24), rng.randint(6, 14), rng.randint(2, 4)
    grown = trays * plants - lost
    return (
        f"A gardener sows {trays} trays with {plants} tomato plants each and loses {lost} plants to frost. Each plant "
        f"left is sold for ${price}, and the gardener has paid $35 for seed. How much money is earned?",
        f"After the frost there are <<{trays}*{plants}-{lost}={grown}>>{grown} plants.\n"
        f"They bring in {money(f'{grown}*{price}', grown * price)}.\n"
        f"Minus the seed, that is {money(f'{grown * price}-35', grown * price - 35)}.\n#### {grown * price - 35}",
    )


def cyclists(rng: random.Random) -> tuple[str, str]:
    """Rounding to two decimals, which the answer does not rest on."""
    name, km, hours, rest = rng.choice(NAMES), rng.choice((50, 65, 80)), 3, rng.randint(12, 25)
    return (
        f"{name} cycles {km} kilometers in 3 hours, rests, and cycles {rest} kilometers home by a shorter way. A "
        f"friend cycles twice the whole distance. How many kilometers does the friend cycle?",
        f"The speed on the way out is {km}/{hours} = <<{km}/{hours}={km / hours:.2f}>>{km / hours:.2f} kilometers an "
        "hour.\n"
        f"The whole distance is {calc(f'{km}+{rest}', km + rest)} kilometers.\n"
        f"The friend cycles {calc(f'2*{km + rest}', 2 * (km + rest))} kilometers.\n#### {2 * (km + rest)}",
    )


def theatre(rng: random.Random) -> tuple[str, str]:
    """Two prices, two calculations of three operands, one of them in parentheses."""
    rows, seats, cheap = rng.randint(10, 18), rng.randint(12, 20), rng.randint(20, 60)
    full, low = rng.randint(12, 18), rng.randint(6, 10)
    rest = rows * seats - cheap
    income = rest * full + cheap * low
    return (
        f"A theatre has {rows} rows of {seats} seats. Tonight {cheap} seats are sold at ${low} and all others at "
        f"${full}. The actors get half of the income. How many dollars do the actors get?",
        f"At the full price there are {calc(f'{rows}*{seats}-{cheap}', rest, f'{rows} * {seats} - {cheap}')} seats.\n"
        f"The income is {money(f'{rest}*{full}+{cheap}*{low}', income, f'{rest} * {full} + {cheap} * {low}')}.\n"
        f"The actors get {money(f'{income}/2', Fraction(income, 2))}.\n#### {write_number(Fraction(income, 2))}",
    )


def choir(rng: random.Random) -> tuple[str, str]:
    """Plain steps in a row, each with its unit."""
    high, low, buses = rng.randint(18, 30), rng.randint(10, 17), rng.choice((12, 15, 20))
    per, total = rng.randint(2, 4), high + low + 2
    money_each = buses * 10
    return (
        f"A choir has {high} high voices, {low} low voices and 2 conductors. Each of them brings {per} guests to a "
        f"concert. A hall ticket costs ${buses}, and the choir already has ${money_each}. How many dollars are missing "
        "if the choir pays for all guests?",
        f"The choir has {calc(f'{high}+{low}+2', total)} members.\n"
        f"They bring {calc(f'{total}*{per}', total * per)} guests.\n"
        f"The tickets cost {money(f'{total * per}*{buses}', total * per * buses)}.\n"
        f"So {money(f'{total * per * buses}-{money_each}', total * per * buses - money_each)} are missing.\n"
        f"#### {total * per * buses - money_each}",
    )


STORIES: tuple[Story, ...] = (beehives, bakery, discount, ferry, orchard, library, aquarium, marathon, greenhouse,
                              cyclists, theatre, choir)


def rows() -> Iterator[dict[str, object]]:
    """All rows in the order of the file: id, story, question, answer."""
    for telling in range(TELLINGS):
        for story in STORIES:
            question, answer = story(stream("word problems", story.__name__, telling, "numbers"))
            yield {"id": f"{story.__name__}-{telling}", "story": story.__name__, "question": question, "answer": answer}


if __name__ == "__main__":
    for row in rows():
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
