"""Which language identifier: accuracy and speed of the well-kept ones that need no download, on the real corpora.

Run: ``python -m tests.benchmarks.language_identification`` with whichever of langdetect, langid, py3langid and lingua
are installed (``COGUMI_CORPORA`` names the corpora). A text counts as non-English only where the identifier's own
probability of another language is at least that of the column "sure". The last row is the filter as the llama-8b
profile sets it. Prints a table; it is kept in LOG.md.
"""

import gzip
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import zstandard

from tests.places import CORPORA

SURE = (0.5, 0.7, 0.9)
BUCKETS = ((1, 25), (25, 60), (60, 200), (200, 2000))
Identify = Callable[[str], tuple[str, float]]


def read(name: str) -> Any:
    """A corpus file, JSON or JSONL, compressed or not."""
    data = (CORPORA / name).read_bytes()
    if name.endswith(".zst"):
        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    if name.endswith(".gz"):
        data = gzip.decompress(data)
    if data[:1] == b"[":
        return json.loads(data)
    return [json.loads(line) for line in data.split(b"\n") if line.strip()]


def texts() -> Iterator[tuple[str, str]]:
    """(true language, text): prose, code and mathematics in English; prose in Chinese, French, Spanish, Russian."""
    rng = random.Random(0)
    for row in rng.sample(read("alpaca/alpaca_data.jsonl.zst"), 2500):
        yield "en", row["instruction"]
        yield "en", row["output"]
    for row in rng.sample(read("dolly/databricks-dolly-15k.jsonl.zst"), 1500):
        yield "en", row["instruction"]
        yield "en", row["response"]
    for row in rng.sample(read("math/math_train.jsonl.zst"), 500):
        yield "en-math", row["solution"]
    for row in read("mbpp/mbpp.jsonl.zst"):
        yield "en-code", row["code"]
    for row in read("codealpaca/code_alpaca_2k.json.zst")[:500]:
        yield "en-code", row["output"]
    for row in read("multilingual/alpaca_zh_demo.json.zst"):
        yield "zh", row["instruction"]
        yield "zh", row["output"]
    for row in read("multilingual/oasst_20230412_fr_top1.jsonl.zst"):
        for message in row["messages"]:
            yield "fr", message["content"]
    for row in read("multilingual/truthfulqa_es.json.zst"):
        yield "es", row["question"]
        yield "es", row["best_answer"]
    for row in read("multilingual/ru_alpaca_seed_tasks.jsonl"):
        yield "ru", row["instruction"]


def identifiers() -> Iterator[tuple[str, Identify]]:
    """Every identifier that is installed."""
    try:
        import langdetect

        langdetect.DetectorFactory.seed = 0

        def by_langdetect(text: str) -> tuple[str, float]:
            try:
                best = langdetect.detect_langs(text)[0]
            except langdetect.LangDetectException:
                return "en", 0.0
            return best.lang, best.prob

        yield "langdetect", by_langdetect
    except ImportError:
        pass
    try:
        from langid.langid import LanguageIdentifier, model

        yield "langid", LanguageIdentifier.from_modelstring(model, norm_probs=True).classify
    except ImportError:
        pass
    try:
        from py3langid.langid import MODEL_FILE
        from py3langid.langid import LanguageIdentifier as Py3Identifier

        yield "py3langid", Py3Identifier.from_model_file(MODEL_FILE, norm_probs=True).classify
    except ImportError:
        pass
    try:
        from lingua import LanguageDetectorBuilder

        for label, builder in (
            ("lingua", LanguageDetectorBuilder.from_all_languages()),
            ("lingua, low accuracy", LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode()),
        ):
            detector = builder.with_preloaded_language_models().build()

            def by_lingua(text: str, detector: Any = detector) -> tuple[str, float]:
                best = detector.compute_language_confidence_values(text)[0]
                return best.language.iso_code_639_1.name.lower(), best.value

            yield label, by_lingua
    except ImportError:
        pass


def the_filter() -> tuple[str, Identify, float]:
    """The filter itself (tasks/data/clean/filters/english.py), as the llama-8b profile sets it; what it does not judge
    counts as English."""
    from configs.schema import load
    from tasks.data.clean.filters.english import language

    settings = load("llama-8b").data.filters.english
    return (
        "the filter (py3langid, 74 languages, rules)",
        lambda text: language(text, settings.letters) or ("en", 0.0),
        settings.probability,
    )


def main() -> None:
    """Measure and print; arguments name the identifiers to measure, none = all."""
    rows = [(language, " ".join(text.split())[:2000]) for language, text in texts() if text.strip()]
    print(
        f"{len(rows)} texts;",
        {
            name: sum(language == name for language, _ in rows)
            for name in dict.fromkeys(language for language, _ in rows)
        },
    )
    print(
        "| identifier | texts/s | sure | wrongly foreign: prose <25 | 25-60 | 60-200 | 200+ chars | math | code | "
        "foreign caught <25 | 25-60 | 60-200 | 200+ | zh | fr | es | ru |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    last, filtering, probability = the_filter()
    for name, identify in [*identifiers(), (last, filtering)]:
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        identify("warm up this identifier with a sentence that is long enough to be judged, please")
        started = time.process_time()
        found = [identify(text) for _, text in rows]
        spent = time.process_time() - started
        for sure in SURE if name != last else (probability,):
            foreign = [language != "en" and certainty >= sure for language, certainty in found]
            print(
                f"| {name} | {len(rows) / spent:,.0f} | {sure} |", " | ".join(columns(rows, foreign)), "|", flush=True
            )


def columns(rows: list[tuple[str, str]], foreign: list[bool]) -> list[str]:
    """Shares called foreign: English by length, mathematics, code; then foreign texts by length, and by language."""

    def share(*languages: str, low: int = 1, high: int = 10_000) -> str:
        hits = [
            flag
            for flag, (language, text) in zip(foreign, rows, strict=True)
            if language in languages and low <= len(text) < high
        ]
        return f"{100 * sum(hits) / len(hits):.1f}%" if hits else "-"

    english = [share("en", low=low, high=high) for low, high in BUCKETS] + [share("en-math"), share("en-code")]
    foreign_texts = [share("zh", "fr", "es", "ru", low=low, high=high) for low, high in BUCKETS]
    return english + foreign_texts + [share(language) for language in ("zh", "fr", "es", "ru")]


if __name__ == "__main__":
    main()
