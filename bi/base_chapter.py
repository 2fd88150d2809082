"""Numbers and tables of the chapter on the base models, from their cards (``models/<name>/*.csv``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bi.evaluation.anatomy import WIDEST
from bi.evaluation.verdicts import rows_of, sided
from bi.training.corpus import CorpusRecipe

ABILITIES = {"accuracy": "right answer", "strict": "every line right", "order": "order", "lookup": "look-ups",
             "arithmetic_1": "one operation in a line", "arithmetic_2": "two operations in a line",
             f"arithmetic_{WIDEST}": "three or more in a line"}

OPTION_REASONS = {
    "modulus": "Values are counted modulo this number, iGSM's own: every value is one token, products stay in range, "
               "and a blind guess is right once in so many times.",
    "compact": "Names are indices and every definition is stated, so a name cannot give a structure away.",
    "abstract_depth": "Totals over a category reach down this many layers. One layer makes plain sums; sums of "
                      "products exceed what any line of this wording can do at once.",
    "operands": "Weights of 0, 1, 2, ... quantities in a formula. Sums and products of several are common because "
                "they are what subgoals are for.",
    "reuse": "Probability that an operand is a quantity that the answer needs anyway. Shared operands make the graph "
             "denser: one early mistake spoils several later lines.",
    "redundant": "Premises that the answer does not need. They are what look-ups can go astray on, and what an eager "
                 "plan computes in vain.",
}


def _row(accuracy: pd.DataFrame, metric: str, n_ops: int) -> pd.Series:
    rows = rows_of(accuracy, metric=metric, n_ops=n_ops)
    if len(rows) != 1:
        raise ValueError(f"accuracy: expected one row for {metric} at {n_ops} operations, found {len(rows)}")
    return rows.iloc[0]


@dataclass(frozen=True)
class Card:
    """Tables of a base model's card: ``accuracy``, ``anatomy``, ``corpus``, ``overlap`` and ``loss``."""

    accuracy: pd.DataFrame
    anatomy: pd.DataFrame
    corpus: pd.DataFrame
    overlap: pd.DataFrame
    loss: pd.DataFrame

    def share(self, metric: str, n_ops: int) -> float:
        """Share of right problems (or lines) at ``n_ops`` operations; ``ValueError`` where the card has no such row."""
        return float(_row(self.accuracy, metric, n_ops)["value"])

    def pooled(self, *metrics: str, most_ops: int | None = None) -> float:
        """Share over all numbers of operations together (up to ``most_ops``), each line counted once."""
        rows = self.accuracy[self.accuracy["metric"].isin(metrics)]
        rows = rows if most_ops is None else rows[rows["n_ops"] <= most_ops]
        return float(np.average(rows["value"], weights=rows["n"]))

    def wide(self) -> float:
        """Share of right lines among those with more than one operation."""
        return self.pooled("arithmetic_2", f"arithmetic_{WIDEST}")

    def least(self, metric: str, most_ops: int) -> float:
        """The smallest share up to ``most_ops`` operations."""
        rows = self.accuracy[(self.accuracy["metric"] == metric) & (self.accuracy["n_ops"] <= most_ops)]
        return float(rows["value"].min())


def base_facts(card: Card, corpus: CorpusRecipe, parameters: int) -> dict[str, Any]:
    """Numbers of the chapter by the names that its text uses; ``corpus`` is what the model was trained on."""
    every, held = (card.corpus[rows] for rows in (card.corpus["behavior"].isna(), card.corpus["behavior"].notna()))
    steps = [int(n) for n in sorted(card.accuracy["n_ops"].unique())]
    return {
        "first_ops": corpus.max_ops[0], "last_ops": corpus.max_ops[1], "wide_results": 100 * corpus.wide_results,
        "parameters": parameters / 1e6, "documents": int(every["documents"].sum()),
        "tokens": float(card.loss["tokens"].max()) / 1e6,
        "behavior_share": 100 * held["documents"].sum() / every["documents"].sum(),
        "overlap": int(card.overlap["in_corpus"].sum()), "overlap_of": int(card.overlap["n"].sum()),
        "n": int(card.accuracy.loc[card.accuracy["metric"] == "accuracy", "n"].max()),
        **{f"accuracy_{n}": 100 * card.share("accuracy", n) for n in steps},
        "lookup_least": 100 * card.least("lookup", 5), "order_least": 100 * card.least("order", 5),
        "lookup_to_5": 100 * card.pooled("lookup", most_ops=5),
        "lookup_8": 100 * card.share("lookup", 8),
        "one_operation": 100 * card.pooled("arithmetic_1"), "two_operations": 100 * card.pooled("arithmetic_2"),
        "three_operations": 100 * card.pooled(f"arithmetic_{WIDEST}"),
        "wide": 100 * card.wide(),
    }


def speed_facts(throughput: pd.DataFrame) -> dict[str, Any]:
    """Tokens a second (in thousands) and share of the floor in per cent of each kind of work (``throughput``)."""
    rows = throughput.set_index(throughput["work"].str.replace("-", "_"))
    return {f"{name}_{key}": float(rows.loc[name, column]) * factor for name in rows.index
            for key, column, factor in (("speed", "tokens_per_s", 1e-3), ("floor", "floor_share", 100))}


def others_text(cards: Mapping[str, Card], sizes: Mapping[str, int]) -> str:
    """A sentence on each base but ``tiny-base``: how far it gets, or that it has not been made here.

    ``sizes``: parameters of each base, made or not.
    """
    first, sentences = cards["tiny-base"], []
    for name, size in sizes.items():
        words = f"{name} ({size / 1e6:.1f} million parameters)"
        if name not in cards:
            sentences.append(f"{words} has not been trained for this book yet.")
        elif name != "tiny-base":
            card = cards[name]
            levels = ", ".join(f"{100 * card.share('accuracy', n):.1f} against {100 * first.share('accuracy', n):.1f} "
                               f"per cent at {n} operations" for n in (5, 8))
            wide = f"{100 * card.wide():.0f} against {100 * first.wide():.0f} per cent"
            sentences.append(f"{words} is {_strength(card, first)}: it solves {levels}; more than one operation in "
                             f"a line comes out right in {wide}.")
    return " ".join(sentences)


def _strength(card: Card, other: Card) -> str:
    """How a base compares with another at five operations: whether the 95 % intervals of the accuracies are apart."""
    here, there = (_row(one.accuracy, "accuracy", 5) for one in (card, other))
    words = {"supported": "the stronger base", "contradicted": "the weaker base", "undecided": "about as strong"}
    return words[sided(here["low"] - there["high"], here["high"] - there["low"])]


def abilities_rows(cards: Mapping[str, Card], n_ops: int) -> pd.DataFrame:
    """One column a base model, one row an ability at ``n_ops`` operations: per cent with its 95 % interval, as text."""
    columns = {}
    for name, card in cards.items():
        rows = card.accuracy[card.accuracy["n_ops"] == n_ops].set_index("metric")
        columns[name] = [_percent(rows.loc[metric]) if metric in rows.index else "–" for metric in ABILITIES]
    return pd.DataFrame(columns, index=list(ABILITIES.values()))


def option_rows(options: Iterable[tuple[str, Any]]) -> pd.DataFrame:
    """The options of the compact task with what each is for; ``KeyError`` for one without a reason."""
    rows = [(name, str(value), OPTION_REASONS[name]) for name, value in options]
    return pd.DataFrame(rows, columns=["option", "value", "what it is for"]).set_index("option")


def _percent(row: pd.Series) -> str:
    return f"{100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
