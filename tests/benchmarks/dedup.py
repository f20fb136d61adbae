"""Near-duplicate removal, measured: against datasketch and rensa, against brute force, on templates and on files.

    python -m tests.benchmarks.dedup [memory] [peers] [recall] [templates] [files] [large] [floor] [--size N] [--threads
    N]

Without names, all but ``large`` run. ``--size`` is the number of records of ``large`` (750,000 would be the whole
claim). Real text comes from ``COGUMI_CORPORA`` (Alpaca and Dolly); parts that need it say so where it is absent. Every
line gives wall and CPU seconds, since a busy machine stretches the first. Compiling is done and reported before
anything is timed. Not here: timed asserts; what was measured is written down in LOG.md.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tasks.data.dedup.files import dedup_files
from tasks.data.dedup.near import deduplicate
from tests.tasks.data.dedup import brute, corpora

PARTS = ("memory", "peers", "recall", "templates", "files", "floor", "large")
NEEDS_CORPORA = {"memory", "peers", "recall", "files", "floor"}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS[:-1]))
    parser.add_argument("--size", type=int, default=750_000, help="records of the part large")
    parser.add_argument("--sample", type=int, default=20_000, help="records of the parts recall and peers")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {options.threads} threads")
    show(
        "compile or load kernels",
        lambda: [deduplicate(["a text", "a text", "é text"], linkage=linkage) for linkage in ("star", "single")],
    )  # type: ignore[arg-type]
    for part in options.parts:
        if part in NEEDS_CORPORA and not corpora.there():
            print(f"{part}: left out; {corpora.MISSING}")
            continue
        print(f"--- {part}")
        globals()[part](options)


def show(title: str, run: Callable[[], Any], records: int = 0, times: int = 1) -> Any:
    """Run ``times`` times, print the fastest, return the last result."""
    best, result = (float("inf"), float("inf")), None
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        result = run()
        best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
    rates = f"  {records / best[0]:>9,.0f} records/s  {best[1] / records * 1e6:6.2f} µs CPU each" if records else ""
    print(f"{title:58s} {best[0]:8.3f} s wall {best[1]:8.3f} s CPU{rates}", flush=True)
    return result


def memory(options: argparse.Namespace) -> None:
    """From texts in memory to kept ids, Alpaca and Dolly."""
    texts = corpora.texts()
    print(f"{len(texts)} records, {sum(map(len, texts)) / len(texts):.0f} characters each")
    for linkage in ("star", "single"):
        found = show(
            f"cogumi {linkage}",
            lambda linkage=linkage: deduplicate(texts, linkage=linkage, threads=options.threads),
            len(texts),
            7,
        )
        print(
            f"  kept {len(found.kept)}, exact {found.exact_duplicates}, near {found.near_duplicates}, clusters "
            f"{found.clusters}"
        )


def peers(options: argparse.Namespace) -> None:
    """The same texts, banding 16 x 8 and exact check through datasketch and rensa."""
    texts = random.Random(0).sample(corpora.texts(), options.sample)
    few = texts[: options.sample // 4]
    show("cogumi", lambda: deduplicate(texts, threads=options.threads), len(texts), 5)
    show("rensa RMinHash from token sets, exact check", lambda: _rensa(texts), len(texts), 3)
    show("rensa RMinHash from NumPy shingle codes, exact check", lambda: _rensa(texts, flat=True), len(texts), 3)
    show(f"cogumi, first {len(few)}", lambda: deduplicate(few, threads=options.threads), len(few), 5)
    show(f"datasketch update_batch, exact check, first {len(few)}", lambda: _datasketch(few), len(few))


def _grams(text: str) -> list[str]:
    plain = text.strip().lower()
    return [plain[i : i + 3] for i in range(len(plain) - 2)]


def _star(grams: Sequence[Sequence[str]], partners: Iterator[tuple[int, Sequence[int]]]) -> list[int]:
    """Kept rows: the exact check and star linkage both peers need after them."""
    sets: dict[int, frozenset[str]] = {}

    def members(row: int) -> frozenset[str]:
        if row not in sets:
            sets[row] = frozenset(grams[row])
        return sets[row]

    dropped: set[int] = set()
    for row, found in partners:
        for other in sorted(found):
            if (
                other < row
                and other not in dropped
                and len(members(row) & members(other)) >= 0.8 * len(members(row) | members(other))
            ):
                dropped.add(row)
                break
    return [row for row in range(len(grams)) if row not in dropped]


def _datasketch(texts: Sequence[str]) -> list[int]:
    from datasketch import MinHash, MinHashLSH

    grams = [_grams(text) for text in texts]
    index = MinHashLSH(params=(16, 8), num_perm=128)
    hashes = MinHash.bulk(([gram.encode() for gram in set(each)] for each in grams), num_perm=128)
    for row, signature in enumerate(hashes):
        index.insert(row, signature, check_duplication=False)
    return _star(grams, ((row, index.query(signature)) for row, signature in enumerate(hashes)))


def _rensa(texts: Sequence[str], flat: bool = False) -> list[int]:
    """``flat``: the shingles of all texts are codes in one NumPy array, never Python strings; the fastest way in that
    rensa has. Rows that share a band are then looked at once more, as token sets."""
    from rensa import RMinHash, RMinHashLSH

    if flat:
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(*_codes(texts), num_perm=128, seed=42)
    else:
        grams = [_grams(text) for text in texts]
        matrix = RMinHash.digest_matrix_from_token_sets(grams, num_perm=128, seed=42)
    flags = RMinHashLSH(threshold=0.8, num_perm=128, num_bands=16).insert_matrix_and_query_duplicate_flags(matrix)
    rows = np.flatnonzero(flags).tolist()
    few = [_grams(texts[row]) if flat else grams[row] for row in rows]
    index = RMinHashLSH(threshold=0.8, num_perm=128, num_bands=16)
    signatures = RMinHash.from_token_sets(few, num_perm=128, seed=42)
    index.insert_many(signatures)
    kept = {
        rows[place]
        for place in _star(few, ((place, index.query(signature)) for place, signature in enumerate(signatures)))
    }
    return [row for row, flag in enumerate(flags) if not flag or row in kept]


def _codes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The shingle codes of all texts, one after the other, and where each text's begin."""
    plain = [text.strip().lower() for text in texts]
    points = np.frombuffer("".join(plain).encode("utf-32-le"), np.uint32).astype(np.uint64)
    edges = np.cumsum([0, *map(len, plain)])
    lengths = np.diff(edges)
    inside = np.repeat(edges[1:], lengths)[:-2] - np.arange(len(points) - 2) > 2
    codes = (points[:-2] << np.uint64(42)) | (points[1:-1] << np.uint64(21)) | points[2:]
    return codes[inside], np.concatenate(([0], np.cumsum(np.maximum(lengths - 2, 0)))).astype(np.uint64)


def recall(options: argparse.Namespace) -> None:
    """Which pairs of at least 0.8 are found, against every pair compared exactly; what is dropped, against exact
    Jaccard."""
    texts = random.Random(0).sample(corpora.texts(), options.sample)
    for title, sample in (
        (f"{len(texts)} records of Alpaca and Dolly", texts),
        ("half of them, and an edited copy of each", _edited(texts)),
    ):
        pairs = show(f"brute force: {title}", lambda sample=sample: brute.similar(sample, 0.8))
        for bands, rows in ((16, 8), (32, 4)):
            found = brute.proposed(sample, bands=bands, rows=rows)
            for low, high in ((0.8, 0.81), (0.8, 0.85), (0.85, 1.01)):
                among = [pair for pair, value in pairs.items() if low <= value < high]
                print(
                    f"  {bands} x {rows}: recall of the {len(among)} pairs in [{low}, {min(high, 1)}): "
                    f"{sum(pair in found for pair in among) / max(len(among), 1):.4f}"
                )
        result = deduplicate(sample, threads=options.threads)
        true = sum(
            pairs.get((min(d.dropped, d.keeper), max(d.dropped, d.keeper)), 0.0) >= 0.8 for d in result.duplicates
        )
        print(
            f"  dropped {len(result.duplicates)}, of them rightly {true}: precision "
            f"{true / max(len(result.duplicates), 1):.4f}"
        )


def _edited(texts: Sequence[str]) -> list[str]:
    """Half of ``texts`` and a copy of each with some words replaced, for pairs around the threshold."""
    noise = random.Random(1)
    half = [text for text in texts if len(text) > 60][: len(texts) // 2]
    words = [word for text in half for word in text.split()]

    def edit(text: str) -> str:
        share = noise.uniform(0.01, 0.12)
        return " ".join(noise.choice(words) if noise.random() < share else word for word in text.split())

    return half + [edit(text) for text in half]


def templates(options: argparse.Namespace) -> None:
    """Clusters of 400 near copies in three sizes, then one cluster of all, at several similarities: the time should
    grow like the size."""
    for slots in (1, 3, 5):
        for size in (40_000, 80_000, 160_000):
            texts = [text for cluster in range(size // 400) for text in _template(400, slots, cluster)]
            for linkage in ("star", "single"):
                found = show(
                    f"{size} in clusters of 400, {slots} of 60 words differ, {linkage}",
                    lambda linkage=linkage, texts=texts: deduplicate(texts, linkage=linkage, threads=options.threads),
                    size,
                )
                print(f"  kept {len(found.kept)}")
    for slots in (1, 3, 4, 5, 8):
        for size in (10_000, 40_000):
            texts = _template(size, slots)
            sets = [brute.shingles(text) for text in texts[:40]]
            mean = np.mean([brute.jaccard(one, other) for i, one in enumerate(sets) for other in sets[:i]])
            for linkage in ("star", "single"):
                found = show(
                    f"{size} near copies, mean Jaccard {mean:.2f}, {linkage}",
                    lambda linkage=linkage, texts=texts: deduplicate(texts, linkage=linkage, threads=options.threads),
                    size,
                )
                print(f"  kept {len(found.kept)}")


def _template(size: int, slots: int, seed: int = 0) -> list[str]:
    """Copies of one text of 60 words in which ``slots`` words are replaced."""
    noise = random.Random(seed)
    words = _vocabulary(5000)
    base = [noise.choice(words) for _ in range(60)]
    texts = []
    for _ in range(size):
        text = list(base)
        for place in noise.sample(range(len(base)), slots):
            text[place] = noise.choice(words)
        texts.append(" ".join(text))
    return texts


@lru_cache(maxsize=2)
def _vocabulary(size: int) -> list[str]:
    """Made-up words of 2 to 9 letters, as frequent as in English, in no order."""
    noise = random.Random(7)  # the same words every time
    weights = (
        12.7,
        9.1,
        8.2,
        7.5,
        7.0,
        6.7,
        6.3,
        6.1,
        6.0,
        4.3,
        4.0,
        2.8,
        2.8,
        2.4,
        2.2,
        2.4,
        2.0,
        1.9,
        1.0,
        1.5,
        2.0,
        0.8,
        0.15,
        0.1,
        0.15,
        0.07,
    )
    words: dict[str, None] = {}
    while len(words) < size:
        words[
            "".join(
                noise.choices("etaoinshrdlucmfwypvbgkjqxz", weights, k=noise.choice((2, 3, 4, 5, 5, 6, 6, 7, 8, 9)))
            )
        ] = None
    return list(words)


def files(options: argparse.Namespace) -> None:
    """From JSONL to JSONL, Alpaca and Dolly."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "records.jsonl"
        texts = corpora.texts()
        with source.open("w") as out:
            for row, text in enumerate(texts):
                prompt, _, response = text.rpartition("\n")
                out.write(
                    json.dumps({"id": str(row), "prompt": prompt, "response": response}, ensure_ascii=False) + "\n"
                )
        for kind in ("out.jsonl", "out.jsonl.zst"):
            show(
                f"{source.stat().st_size / 1e6:.0f} MB records.jsonl to {kind}",
                lambda kind=kind: dedup_files(
                    [source], folder / kind, pairs=folder / "pairs.jsonl", threads=options.threads
                ),
                len(texts),
                5,
            )
        with tempfile.TemporaryDirectory() as cache:
            for what in ("cold: compiled first", "warm: a new process"):
                print(f"  {what}", flush=True)
                _in_a_process(source, options.threads, {"NUMBA_CACHE_DIR": cache})


def floor(options: argparse.Namespace) -> None:
    """What the arithmetic alone takes: every distinct shingle through every permutation, and the text through memory
    once."""
    from tasks.data.dedup import signatures
    from tasks.data.dedup.shingles import shingles
    from tasks.data.dedup.text import chunk

    texts = corpora.texts()
    found = [shingles(lines, 3) for lines in chunk(texts, 0, 3)]
    count = sum(len(each.codes) for each in found)
    how = signatures.banding(128, 16, 8, 3, 0)
    hashes = np.random.default_rng(0).integers(0, 2**32, size=256, dtype=np.uint32)
    room = [np.empty(64, np.uint32), np.empty(64, np.uint32), np.empty(128, np.uint32)]
    signatures._sign(hashes, 8, how.multiply, how.add, *room)
    times = count // 256
    show(
        f"{count / 1e6:.1f}M distinct shingles x 128 permutations, nothing else",
        lambda: [signatures._sign(hashes, 256, how.multiply, how.add, *room) for _ in range(times)],
        len(texts),
        3,
    )
    whole = "".join(texts).encode()
    show(f"{len(whole) / 1e6:.0f} MB of text copied once", lambda: bytearray(whole), len(texts), 3)


def large(options: argparse.Namespace) -> None:
    """Records of 850 tokens from file to file, in a process of its own so that its peak memory is its own."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "large.jsonl"
        truth = show(f"write {options.size} records", lambda: _write_large(source, options.size))
        print(f"  {source.stat().st_size / 1e9:.2f} GB; {truth}")
        _in_a_process(source, options.threads, {})


def _in_a_process(source: Path, threads: int, environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.dedup", "--child", str(source), str(threads)],
        check=True,
        env=os.environ | environment,
    )


def _write_large(path: Path, size: int) -> dict[str, int]:
    """Records of 640 words, about 4 KB or 850 tokens: of a hundred, 85 are new, 10 are copies with 1 to 4% of the words
    replaced, 5 are copies in capitals. Words follow Zipf's law, so that unrelated records share as many shingles as
    real ones of this length do."""
    words = np.array(_vocabulary(20_000), object)
    draw = np.random.default_rng(0)
    weights = 1 / (np.arange(len(words)) + 5)
    table = np.searchsorted(np.cumsum(weights / weights.sum()), (np.arange(2**18) + 0.5) / 2**18)
    recent: list[np.ndarray] = []
    made = {"new": 0, "near copies": 0, "exact copies": 0}
    with path.open("w") as out:
        for row in range(size):
            kind = draw.random()
            if kind < 0.85 or not recent:
                ids = table[draw.integers(0, len(table), 640)]
                made["new"] += 1
                recent.append(ids)
                if len(recent) > 2000:
                    recent[int(draw.integers(0, 2000))] = recent.pop()
            else:
                ids = recent[int(draw.integers(0, len(recent)))]
                if kind < 0.95:
                    ids = ids.copy()
                    places = draw.integers(0, 640, int(640 * draw.uniform(0.01, 0.04)))
                    ids[places] = table[draw.integers(0, len(table), len(places))]
                made["near copies" if kind < 0.95 else "exact copies"] += 1
            text = " ".join(words[ids].tolist())
            text = text.upper() if kind >= 0.95 else text
            out.write(f'{{"id": "{row}", "prompt": "{text[:400]}", "response": "{text[400:]}"}}\n')
    return made


def _child(source: str, threads: str) -> None:
    """From file to file in a process of its own: what it took, and its peak memory (it starts no others)."""
    cpu = time.process_time()
    report = dedup_files(
        [Path(source)],
        Path(source).with_name("out.jsonl"),
        pairs=Path(source).with_name("pairs.jsonl"),
        threads=int(threads),
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"  {report}\n  {time.process_time() - cpu:.1f} s CPU, peak {peak / 2**30:.2f} GiB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(*sys.argv[2:4])
    else:
        main()
