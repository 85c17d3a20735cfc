#!/usr/bin/env python3
"""Trains the tagger of names that no dictionary holds, and writes its model as a table.

    train.py TRAIN.jsonl VOCAB OUT.tsv.gz          needs python-crfsuite 0.9
    train.py --check TRAIN.jsonl VOCAB             trains on four fifths, scores the fifth by ways to join tagger and dictionary

TRAIN and VOCAB are those of `learn.py`. The model is a linear chain over tokens with the labels O B I E S. A row of OUT is a
feature and its weights for the five labels, in thousandths; the first five rows (`>O` …) are the weights of a label behind
another. Features are those of `edge/src/extract/tagger.rs`, letter for letter.

What the dictionary says of a token is a feature. Names learnt from a text would make it say too much about that very text,
so in training each fifth sees the names learnt from the other four.
"""
import collections
import gzip
import json
import pathlib
import re
import sys
import tempfile

import learn
import pycrfsuite

LABELS = "OBIES"
FOLDS = 5
SMALLEST = 0.05
PARAMETERS = {"c1": 0.25, "c2": 0.02, "max_iterations": 120, "feature.possible_transitions": True}


def pieces(text):
    """Runs of letters and digits, and every other character but white space."""
    return [(m.group(), m.start(), m.end()) for m in re.finditer(r"[^\W_]+|[^\w\s]|_", text)]


def shape(piece):
    out = ""
    for c in piece:
        kind = "A" if c.isupper() else "a" if c.islower() else "0" if c.isnumeric() else "x" if c.isalnum() else c
        if not out.endswith(kind):
            out += kind
    return out


def tags(tokens, spans):
    """B, I, E, S for tokens within spans, O for others."""
    out = ["O"] * len(tokens)
    for start, end in spans:
        for index, (_, first, last) in enumerate(tokens):
            if start <= first and last <= end:
                out[index] = {(1, 1): "S", (1, 0): "B", (0, 1): "E", (0, 0): "I"}[first == start, last == end]
    return out


def matches(text, known):
    """What the dictionary finds: longest first, from left to right, never over a mark that ends something."""
    words, first, out = learn.tokens(text), 0, []
    while first < len(words):
        found = 0
        for count in range(1, min(learn.MAX_WORDS, len(words) - first) + 1):
            run = words[first : first + count]
            name = tuple(word for word, *_ in run)
            if name in known and not re.search(r"[.;:()\[\],]\s", text[run[0][1] : run[-1][2]]):
                if not known[name] or all(capitals for *_, capitals in run):
                    found = count
        if found:
            out.append((words[first][1], words[first + found - 1][2]))
        first += max(found, 1)
    return out


def features(tokens, dictionary):
    """The features of each token, as strings."""
    words = [piece.lower() for piece, *_ in tokens]
    shapes = [shape(piece) for piece, *_ in tokens]

    def at(items, index):
        return items[index] if 0 <= index < len(items) else ""

    out = []
    for i, word in enumerate(words):
        one = [f"w{o}={at(words, i + o)}" for o in (-2, -1, 0, 1, 2)]
        one += [f"l={at(words, i - 1)}|{word}", f"r={word}|{at(words, i + 1)}"]
        one += [f"e{n}={word[-n:]}" for n in (2, 3, 4) if len(word) > n]
        one += [f"b3={word[:3]}"] if len(word) > 3 else []
        one += [f"s{o}={at(shapes, i + o)}" for o in (-1, 0, 1)]
        one += [f"d{o}={at(dictionary, i + o)}" for o in (-1, 0, 1)]
        one.append(f"D={at(dictionary, i - 1)}{dictionary[i]}{at(dictionary, i + 1)}")
        if at(words, i - 1) == "(" and at(words, i + 1) == ")":
            one.append("p")
        out.append(one)
    return out


def known_names(documents, vocab):
    learned, known = learn.learn(documents), dict(vocab)
    known |= {words: capitals for words, (_, _, capitals, _, _) in learned.items()}
    for words in learn.stops(documents, known):
        known.pop(words, None)
    return known


def prepared(documents, vocab):
    """Features and labels of each document, its dictionary learnt from the other fifths."""
    out = []
    for fold in range(FOLDS):
        known = known_names([d for i, d in enumerate(documents) if i % FOLDS != fold], vocab)
        for document in documents[fold::FOLDS]:
            tokens = pieces(document["text"])
            found = matches(document["text"], known)
            gold = [(m["start"], m["end"]) for m in document["mentions"]]
            out.append((document, tokens, found, features(tokens, tags(tokens, found)), tags(tokens, gold)))
    return out


def train(rows, path):
    trainer = pycrfsuite.Trainer(verbose=False)
    for *_, rows_features, labels in rows:
        trainer.append(rows_features, labels)
    trainer.set_params(PARAMETERS)
    trainer.train(path)
    tagger = pycrfsuite.Tagger()
    tagger.open(path)
    return tagger


def spans_of(tokens, labels):
    out, start = [], None
    for (_, first, last), label in zip(tokens, labels):
        if label in "BS":
            start = first
        if label in "ES" and start is not None:
            out.append((start, last))
        if label in "OES":
            start = None
    return out


def score(pairs):
    right = sum(len(set(a) & set(b)) for a, b in pairs)
    found, gold = sum(len(set(a)) for a, _ in pairs), sum(len(set(b)) for _, b in pairs)
    return f"P {right / found:.3f} R {right / gold:.3f} F1 {2 * right / (found + gold):.3f}"


def check(documents, vocab):
    rows = prepared(documents, vocab)
    cut = len(documents) // FOLDS
    with tempfile.TemporaryDirectory() as folder:
        tagger = train(rows[cut:], f"{folder}/check.crfsuite")
    results = collections.defaultdict(list)
    for document, tokens, found, rows_features, _ in rows[:cut]:
        gold = [(m["start"], m["end"]) for m in document["mentions"]]
        tagged = spans_of(tokens, tagger.tag(rows_features))

        def apart(span, others):
            return all(span[1] <= a or b <= span[0] for a, b in others)

        results["dictionary"].append((found, gold))
        results["tagger"].append((tagged, gold))
        results["tagger, else dictionary"].append((tagged + [s for s in found if apart(s, tagged)], gold))
        results["dictionary, else tagger"].append((found + [s for s in tagged if apart(s, found)], gold))
    for name, pairs in results.items():
        print(f"{name}: {score(pairs)}")


def main():
    checks = sys.argv[1] == "--check"
    train_path, vocab_path = map(pathlib.Path, sys.argv[2:4] if checks else sys.argv[1:3])
    documents = [json.loads(line) for line in train_path.read_text(encoding="utf-8").splitlines()]
    vocab = learn.dictionary(vocab_path)
    if checks:
        check(documents, vocab)
        return
    out = pathlib.Path(sys.argv[3])
    info = train(prepared(documents, vocab), str(out.with_suffix(".crfsuite"))).info()
    out.with_suffix(".crfsuite").unlink()
    weights = collections.defaultdict(dict)
    for (feature, label), weight in info.state_features.items():
        weights[feature][label] = weight
    rows = [(f">{a}", {b: info.transitions.get((a, b), 0) for b in LABELS}) for a in LABELS]
    rows += sorted((f, w) for f, w in weights.items() if max(map(abs, w.values())) >= SMALLEST)
    with gzip.GzipFile(out, "wb", 9, mtime=0) as file:
        lines = ("\t".join([f, *(str(round(w.get(label, 0) * 1000)) for label in LABELS)]) for f, w in rows)
        file.write(("\n".join(["feature\t" + "\t".join(LABELS), *lines]) + "\n").encode())
    print(f"{len(rows)} rows, {out.stat().st_size} bytes")


main()
