"""Spam by its words: every word adds its log-odds, and the sum decides.

Naive Bayes draws the words of a message one by one, given spam or ham. Words are not independent,
so it is too sure of itself; but what a word says, log p(word | spam) - log p(word | ham), can be
read off and added up. Laplace's count of one keeps a single unseen word from deciding alone.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt

from inference.palette import AMBER, BLUE
from pgm.naive_bayes import NaiveBayes

SPAM = """win a free prize now, free money for you, claim your prize today, cheap watches now,
you win money now, click to claim a free gift, cheap offer for you only, your free prize"""
HAM = """lunch at noon today, your report is due, see you at the meeting, notes for the meeting,
can you send the report now, dinner at my place, my train is late again, lunch at my office"""
NEW = """free prize for you, cheap lunch today, claim your report now, the train is free,
you win at the office, dinner at noon"""
TITLES = ("What a word says", "What a message says: its words added up (triangle)")


def counts(messages: list[str], vocabulary: list[str]) -> list[list[int]]:
    """How often every message uses every word, whatever their order: the bag of words."""
    bags = [Counter(message.split()) for message in messages]
    return [[bag[word] for word in vocabulary] for bag in bags]


def main(out: Path) -> None:
    spam, ham, new = [" ".join(text.split()).split(", ") for text in (SPAM, HAM, NEW)]
    used = Counter(" ".join(spam + ham).split())
    labels = ["spam"] * len(spam) + ["ham"] * len(ham)  # equally many: the prior adds nothing
    seen, query = counts(spam + ham, [*used]), counts(new, [*used])
    model = NaiveBayes("multinomial", alpha=1.0).fit(seen, labels)
    odds = dict(zip(used, model.feature_log_prob.diff(dim=0)[0].tolist(), strict=True))
    posterior = model.predict_proba(query)[:, 1].tolist()  # the classes are sorted: ham, spam
    print("What the words say for spam (+) and against it (-), and what follows:\n")
    for message, probability in zip(new, posterior, strict=True):
        terms = " ".join([f"{word} {odds[word]:+.2f}" for word in message.split()])
        print(f"  {terms:<52} P(spam) = {probability:.3f}")
    lost = NaiveBayes("multinomial", alpha=0).fit(seen, labels).log_prob(query).isinf().sum()
    print(
        f"\nWithout Laplace's count {lost} of the {len(new)} would be impossible in both classes."
    )

    fig, (left, right) = plt.subplots(1, 2, figsize=(12, 5), width_ratios=[2, 3], layout="tight")
    shown = sorted([word for word in used if used[word] > 1], key=odds.__getitem__)
    left.barh(
        shown, [odds[w] for w in shown], color=[AMBER if odds[w] > 0 else BLUE for w in shown]
    )
    order = sorted(range(len(new)), key=posterior.__getitem__)
    for height, i in enumerate(order):
        ends = {True: 0.0, False: 0.0}  # of the words for spam and of those against
        for word in new[i].split():
            side = odds[word] > 0
            right.barh(height, odds[word], 0.55, ends[side], color=AMBER if side else BLUE, ec="w")
            middle, ends[side] = ends[side] + odds[word] / 2, ends[side] + odds[word]
            if abs(odds[word]) > 0.3:  # else there is no room for the word
                right.text(middle, height, word, size=7.5, color="w", ha="center", va="center")
        right.plot(sum(ends.values()), height - 0.4, "^", color="black", markersize=6)
    right.set_yticks(range(len(new)), [f"{new[i]}\nP(spam) = {posterior[i]:.2f}" for i in order])
    for ax, title in zip((left, right), TITLES, strict=True):
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set(title=title, xlabel="log-odds of spam, nats")
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
    out.mkdir(parents=True, exist_ok=True)
    fig.savefig(out / "spam_words.png", dpi=130)
    print(f"\nFigure: {out / 'spam_words.png'}")


if __name__ == "__main__":
    main(Path("figures"))
