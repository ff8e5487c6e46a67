"""Chunking with a conditional random field: what a word does depends on its neighbours."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from pgm.crf_tagger import CRFTagger
from pgm.tagging.chunks import chunk_score, chunks

# Many are nouns and verbs at once; those after the bar are met in new sentences only.
WORDS = """the a this every her | some
old quiet red tiny clever | odd
watch ring saw park plant fish duck cook sailor garden | heron cellist market
watch ring park plant fish duck cook found likes | admires
in near under with | behind"""
KINDS = {"n": "NP", "v": "VP", "p": "PP"}
ORDERS = ("dn v dn", "daan v dnn p dn", "dnn p dan v daan", "p dn dan v dn", "dan v dnn")


def invent(draw: random.Random, new: bool) -> list[list[str]]:
    sentence = []
    lines = [line.replace("|", "") if new else line.split("|")[0] for line in WORDS.split("\n")]
    for chunk in draw.choice(ORDERS).split():
        for place, part in enumerate(chunk):
            word = draw.choice(lines["danvp".index(part)].split())
            sentence.append([word, f"{'I' if place else 'B'}-{KINDS[chunk[-1]]}"])
    return [*sentence, [".", "O"]]


def features(sentence: list[list[str]], t: int) -> dict[str, str]:
    row = {"ending": sentence[t][0][-2:]}
    for offset in range(max(-2, -t), min(3, len(sentence) - t)):
        for column, value in enumerate(sentence[t + offset][:-1]):
            row[f"{('word', 'pos')[column]}[{offset}]"] = value
    return row


def plot(tagger: CRFTagger, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.2), layout="constrained")
    steps, share = tagger.history, left.twinx()
    left.semilogy([step["loss"] for step in steps], color="#4a7ab0")
    left.set(xlabel="iteration of L-BFGS", ylabel="penalised loss (nats, blue)", title="Learning")
    share.plot([100 * step["valid_score"] for step in steps], color="#e0962e")
    share.set_ylabel("right labels in new sentences (%, amber)")
    weights = {row[:2]: row[2] for row in tagger.transition_table()}
    names = sorted(tagger.labels, key=lambda label: (label == "O", label[1:], label))
    grid = np.array([[weights.get((a, b), np.nan) for b in names] for a in names])
    limit = np.nanmax(np.abs(grid))
    image = right.imshow(grid, cmap="RdBu", vmin=-limit, vmax=limit)
    right.set_xticks(range(len(names)), names, rotation=90)
    right.set_yticks(range(len(names)), names)
    right.set(xlabel="next label", ylabel="label", title="Weights of neighbours (white: unseen)")
    figure.colorbar(image, ax=right, shrink=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main(out: Path, data: Path | None) -> None:
    draw = random.Random(0)
    parts = [[invent(draw, new) for _ in range(150)] for new in (False, True)]
    if data is not None:  # columns of word, part of speech and label
        texts = [(data / f"{name}.txt").read_text(encoding="utf-8") for name in ("train", "test")]
        blocks = [text.strip().split("\n\n") for text in texts]
        parts = [[[line.split() for line in b.splitlines()] for b in part] for part in blocks]
    X, X_test = [[[features(s, t) for t in range(len(s))] for s in part] for part in parts]
    y, y_test = [[[label for *_, label in s] for s in part] for part in parts]
    tagger = CRFTagger().fit(X, y, X_valid=X_test, y_valid=y_test)
    found = tagger.predict(X_test)
    score = chunk_score(y_test, found)
    print(f"{len(X):,} sentences to learn from, {len(X_test):,} with new words to chunk.\n")
    print(f"  {'chunks':8}{'true':>8}{'precision':>11}{'recall':>8}{'F1':>8}")
    for kind, row in [*score.kinds.items(), ("all", score)]:
        print(f"  {kind:8}{row.n_true:>8,}{row.precision:>11.1%}{row.recall:>8.1%}{row.f1:>8.1%}")
    print("\nThree of them as the tagger sees them:")
    for sentence, labels in list(zip(parts[1], found, strict=True))[:3]:
        words = [word for word, *_ in sentence]
        for kind, start, stop in chunks(labels):
            words[start] = f"[{kind} {words[start]}"
            words[stop - 1] += "]"
        print(f"  {' '.join(words)}"[:99].rstrip())
    print("\nThe largest weights:")
    for attribute, label, weight in tagger.top_features(6):
        print(f"  {attribute:20}{label:8}{weight:>6.2f}")
    plot(tagger, out / "chunking.png")
    print(f"\nFigure: {out / 'chunking.png'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    parser.add_argument("--data", type=Path, help="folder with CoNLL-2000's train.txt, test.txt")
    main(**vars(parser.parse_args()))
