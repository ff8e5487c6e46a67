"""Chunking with a conditional random field: what a word does depends on its neighbours.

Many words are nouns and verbs at once: "watch", "ring", "park". Which of them a word is follows
from the words around it and from the labels beside it. The tagger is judged on sentences with
words that it has never seen.
"""

from __future__ import annotations

import random
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from inference.palette import AMBER, BLUE
from pgm import CRFTagger
from pgm.tagging.chunks import chunk_score, chunks

# Many are nouns and verbs at once; those after the bar are met in new sentences only.
WORDS = """the a this every her | some
old quiet red tiny clever | odd
watch ring saw park plant fish duck cook sailor garden | heron cellist market
watch ring park plant fish duck cook found likes | admires
in near under with | behind"""
KINDS = {"n": "NP", "v": "VP", "p": "PP"}
ORDERS = ("dn v dn", "daan v dnn p dn", "dnn p dan v daan", "p dn dan v dn", "dan v dnn")


def invent(draw: random.Random, new: bool) -> list[tuple[str, str]]:
    """A sentence of words and labels."""
    lines = [line.replace("|", "") if new else line.split("|")[0] for line in WORDS.split("\n")]
    sentence = []
    for chunk in draw.choice(ORDERS).split():
        for t, part in enumerate(chunk):
            word = draw.choice(lines["danvp".index(part)].split())
            sentence.append((word, f"{'I' if t else 'B'}-{KINDS[chunk[-1]]}"))
    return [*sentence, (".", "O")]


def features(words: list[str], t: int) -> dict[str, str]:
    around = range(max(-2, -t), min(3, len(words) - t))
    return {"ending": words[t][-2:], **{f"word[{o}]": words[t + o] for o in around}}


def main(out: Path) -> None:
    draw = random.Random(0)
    texts = [[invent(draw, new) for _ in range(150)] for new in (False, True)]
    words = [[[word for word, _ in sentence] for sentence in text] for text in texts]
    y, truth = [[[label for _, label in sentence] for sentence in text] for text in texts]
    X, X_new = [[[features(s, t) for t in range(len(s))] for s in text] for text in words]
    tagger = CRFTagger().fit(X, y, X_valid=X_new, y_valid=truth)
    found = tagger.predict(X_new)
    score = chunk_score(truth, found)
    print(f"{len(X)} sentences to learn from, {len(X_new)} with new words to chunk.\n")
    print(f"  {'chunks':8}{'true':>8}{'precision':>11}{'recall':>8}{'F1':>8}")
    for kind, row in [*score.kinds.items(), ("all", score)]:
        print(f"  {kind:8}{row.n_true:>8,}{row.precision:>11.1%}{row.recall:>8.1%}{row.f1:>8.1%}")
    pieces = [f"[{k} {' '.join(words[1][0][a:b])}]" for k, a, b in chunks(found[0])]
    print(f"\nThe first of them: {' '.join(pieces)}")

    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.2), layout="constrained")
    left.semilogy([step["loss"] for step in tagger.history], color=BLUE)
    left.set(xlabel="iteration of L-BFGS", ylabel="penalised loss (nats, blue)", title="Learning")
    share = left.twinx()
    share.plot([100 * step["valid_score"] for step in tagger.history], color=AMBER)
    share.set_ylabel("right labels in new sentences (%, amber)")
    weights = {row[:2]: row[2] for row in tagger.transition_table()}
    grid = np.array([[weights.get((a, b), np.nan) for b in tagger.labels] for a in tagger.labels])
    limit, ticks = np.nanmax(np.abs(grid)), range(len(grid))
    figure.colorbar(right.imshow(grid, cmap="RdBu", vmin=-limit, vmax=limit), ax=right, shrink=0.8)
    right.set(xticks=ticks, xticklabels=tagger.labels, yticks=ticks, yticklabels=tagger.labels)
    right.set(xlabel="next label", ylabel="label", title="Weights of neighbours (white: unseen)")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "chunking.png", dpi=130)
    print(f"\nFigure: {out / 'chunking.png'}")


if __name__ == "__main__":
    main(Path("figures"))
