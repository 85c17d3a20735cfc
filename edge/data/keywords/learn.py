#!/usr/bin/env python3
"""Writes learned_names.tsv and stop_terms.tsv from annotated abstracts: names that people use and dictionaries lack, and
dictionary names that mean something else more often than not.

    learn.py TRAIN.jsonl VOCAB FOLDER

TRAIN holds a JSON object a line, {"text": …, "mentions": [{"start", "end", "text", "codes"}]}, offsets in characters; VOCAB is
the folder with doid.tsv.gz, mondo.tsv.gz, icd10cm_inclusion_terms.tsv.gz, symp.tsv.gz. Only the training part of a corpus is
given, so that its other parts can judge the result.

A name is learnt if at least half of its occurrences in TRAIN, longer mentions aside, are mentions. It counts in capitals only
if it has at most four letters and was never seen otherwise. A name is stopped if it was found twice or more and was a mention
in fewer than three of ten. Words are compared as `edge/src/terminology/normalise.rs` does.
"""
import collections
import gzip
import json
import pathlib
import re
import sys
import unicodedata

MAX_WORDS = 8
KEEP, STOP, STOP_HITS = 0.5, 0.3, 2
BRITISH = [
    ("aemia", "emia"), ("anaem", "anem"), ("anaesth", "anesth"), ("caec", "cec"), ("diarrhoea", "diarrhea"),
    ("dyspnoea", "dyspnea"), ("faec", "fec"), ("foet", "fet"), ("gynaec", "gynec"), ("haem", "hem"),
    ("oedema", "edema"), ("oesoph", "esoph"), ("paed", "ped"), ("tumour", "tumor"),
]
GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "κ": "kappa", "λ": "lambda"}


def normalise(source):
    word = unicodedata.normalize("NFKC", source).lower().replace("’", "'").strip("'")
    word = word.removesuffix("'s").replace("'", "")
    if word.isascii():
        for british, american in BRITISH:
            word = word.replace(british, american)
    else:
        for letter, name in GREEK.items():
            word = word.replace(letter, name)
    if len(word) >= 4 and word.isascii() and word.isalpha():
        if word.endswith("ies") and len(word) >= 5:
            word = word[:-3] + "y"
        elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
            word = word[:-1]
    return word


def tokens(text):
    """(word, start, end, in capitals)"""
    out = []
    for match in re.finditer(r"[^\W_](?:[^\W_]|['’])*", text):
        source = match.group()
        word, end = normalise(source), match.end()
        while text[end - 1] in "'’":
            end -= 1
        letters = [c for c in source if c.isalpha()]
        if word:
            out.append((word, match.start(), end, len(letters) >= 2 and all(map(str.isupper, letters))))
    return out


def key(name):
    return tuple(word for word, *_ in tokens(name))


def is_short(name):
    letters = [c for c in name if c.isalpha()]
    return " " not in name and (len(letters) < 4 or len(letters) == 4 and all(map(str.isupper, letters)))


def dictionary(folder):
    """Names that are shipped: words → counts in capitals only."""
    out = {}

    def add(name):
        words = key(name)
        if words and len(words) <= MAX_WORDS:
            out.setdefault(words, is_short(name))

    def rows(file):
        with gzip.open(folder / file, "rt", encoding="utf-8") as lines:
            next(lines)
            for line in lines:
                yield line.rstrip("\n").split("\t")

    for row in rows("doid.tsv.gz"):
        for name in [row[1], *(s[2:] for s in row[3].split("|") if s.startswith("E:"))]:
            add(name)
    for row in rows("mondo.tsv.gz"):
        for name in [row[1], *filter(None, row[2].split("|"))]:
            add(name)
    for row in rows("icd10cm_inclusion_terms.tsv.gz"):
        add(row[1])
    for row in rows("symp.tsv.gz"):
        for name in [row[1], *(s[2:] for s in row[3].split("|") if s.startswith("E:"))]:
            add(name)
    for general in ("disease", "symptom", "syndrome", "disorder", "disease or disorder"):
        out.pop(key(general), None)
    return out


def learn(documents):
    names, surfaces = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    for document in documents:
        for mention in document["mentions"]:
            words = key(mention["text"])
            if words and len(words) <= MAX_WORDS:
                names[words][mention["codes"]] += 1
                surfaces[words][mention["text"]] += 1
    seen, right = collections.Counter(), collections.Counter()
    for document in documents:
        words = tokens(document["text"])
        gold = {(m["start"], m["end"]) for m in document["mentions"]}
        for first in range(len(words)):
            for count in range(1, min(MAX_WORDS, len(words) - first) + 1):
                name = tuple(word for word, *_ in words[first : first + count])
                if name not in names:
                    continue
                start, end = words[first][1], words[first + count - 1][2]
                if (start, end) in gold:
                    right[name] += 1
                    seen[name] += 1
                elif not any(a <= start and end <= b for a, b in gold):
                    seen[name] += 1
    learned = {}
    for words, codes in names.items():
        if seen[words] and right[words] / seen[words] < KEEP:
            continue
        texts = surfaces[words]
        capitals = all(sum(map(str.isalpha, t)) <= 4 and t.isupper() for t in texts)
        best = codes.most_common(1)[0][0]
        learned[words] = (min(texts, key=lambda t: (-texts[t], t)), best, capitals, right[words], seen[words])
    return learned


def stops(documents, known):
    hits, right = collections.Counter(), collections.Counter()
    for document in documents:
        text, gold = document["text"], {(m["start"], m["end"]) for m in document["mentions"]}
        words, first = tokens(text), 0
        while first < len(words):
            found = 0
            for count in range(1, min(MAX_WORDS, len(words) - first) + 1):
                run = words[first : first + count]
                gap = text[run[0][1] : run[-1][2]]
                name = tuple(word for word, *_ in run)
                if name in known and not re.search(r"[.;:()\[\],]\s", gap):
                    if not known[name] or all(capitals for *_, capitals in run):
                        found = count
            if found:
                name = tuple(word for word, *_ in words[first : first + found])
                hits[name] += 1
                right[name] += (words[first][1], words[first + found - 1][2]) in gold
            first += max(found, 1)
    return {n: (hits[n], right[n]) for n in hits if hits[n] >= STOP_HITS and right[n] / hits[n] < STOP}


def main():
    train, vocab, folder = map(pathlib.Path, sys.argv[1:])
    documents = [json.loads(line) for line in train.read_text(encoding="utf-8").splitlines()]
    learned, known = learn(documents), dictionary(vocab)
    known |= {words: capitals for words, (_, _, capitals, _, _) in learned.items()}
    stopped = stops(documents, known)
    with open(folder / "learned_names.tsv", "w", encoding="utf-8") as out:
        out.write("name\tcodes\tcapitals\tmentions\toccurrences\n")
        for words, (name, codes, capitals, right, seen) in sorted(learned.items()):
            if words not in stopped:
                out.write(f"{' '.join(name.split())}\t{codes}\t{int(capitals)}\t{right}\t{seen}\n")
    with open(folder / "stop_terms.tsv", "w", encoding="utf-8") as out:
        out.write("term\thits\tmentions\n")
        for words, (count, right) in sorted(stopped.items()):
            out.write(f"{' '.join(words)}\t{count}\t{right}\n")


if __name__ == "__main__":
    main()
