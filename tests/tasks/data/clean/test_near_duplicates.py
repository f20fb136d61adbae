from pathlib import Path

import pytest

from blocks import store
from configs.errors import BadInput
from configs.phases.data import Data, NearDuplicates
from tasks.data import rows
from tasks.data.clean.near_duplicates import compared, find, remove_near_duplicates
from tasks.data.dedup import near
from tasks.data.dedup.parallel import Workers
from tasks.data.finish.verify import duplicate_rate
from tasks.data.plain.commands.dedup import dedup_files
from tests.tasks.data.conftest import example, examples_artifact

LONG = "Explain how the tide follows the moon, and why there are two high tides a day on most coasts of the world."


def test_the_best_of_a_cluster_stays_and_the_others_name_it(settings: Data) -> None:
    made = examples_artifact(
        example("plain", prompt=LONG, response="It pulls.", quality_score=7.0),
        example("best", prompt=LONG.replace("most", "nearly all"), response="It pulls.", quality_score=9.0),
        example("copy", prompt=f"  {LONG.upper()}", response="IT PULLS.", quality_score=7.0),
        example("other", prompt="What is 2 plus 2?", response="4"),
    )
    loose = settings.near_duplicates.model_copy(update={"threshold": 0.7})
    kept = remove_near_duplicates.fn(made, loose, 1)
    assert [e.id for e in rows.examples(kept)] == ["best", "other"]
    rejects = {reject.id: reject for reject in rows.read(store.open(kept) / rows.REJECTS, rows.Reject)}
    assert set(rejects) == {"plain", "copy"}
    assert "of best, Jaccard 0." in rejects["plain"].detail
    strict = remove_near_duplicates.fn(made, settings.near_duplicates.model_copy(update={"threshold": 0.99}), 1)
    assert {e.id for e in rows.examples(strict)} in ({"plain", "best", "other"}, {"copy", "best", "other"})
    assert strict.metrics["rejected_exact_duplicate"] == 1


def test_templated_questions_with_other_numbers_are_no_duplicates_at_the_nano_threshold(settings: Data) -> None:
    made = examples_artifact(
        *(
            example(
                f"q{n}", prompt=f"Write a function h that returns x times {n}.", response=f"def h(x): return x * {n}"
            )
            for n in range(10, 30)
        )
    )
    assert len(rows.examples(remove_near_duplicates.fn(made, settings.near_duplicates, 1))) == 20


def chains(settings: NearDuplicates, **changes: object) -> set[tuple[int, int]]:
    """What is dropped for what, of sixty texts each of which differs from the next by two words."""
    words = [f"word{i}" for i in range(240)]
    texts = [" ".join(words[2 * i : 2 * i + 40]) for i in range(60)]
    found = find(texts, None, settings.model_copy(update=changes), 1)
    return {(int(dropped), int(keeper)) for dropped, keeper, _ in found.duplicates}


@pytest.mark.parametrize(
    "fields",
    [{"threshold": 0.7}, {"shingle": 12}, {"permutations": 192}, {"bands": 1}, {"rows": 20}, {"linkage": "single"}],
)
def test_every_field_of_the_search_changes_what_is_found(settings: Data, fields: dict[str, object]) -> None:
    plain = settings.near_duplicates.model_copy(update={"threshold": 0.8, "bands": 4, "rows": 8, "permutations": 128})
    assert chains(plain, **fields) != chains(plain)


@pytest.mark.parametrize("fold", [True, False])
def test_fold_decides_whether_what_cannot_be_seen_is_a_difference(fold: bool, settings: Data, tmp_path: Path) -> None:
    """In the pipeline's step, in its check of the result, and in the command on plain files alike; what stays is as it
    was."""
    copies = [
        LONG,
        LONG.replace(" ", "\u00a0"),
        LONG.replace(" ", "  \t"),
        "\ufeff" + LONG.replace("tide", "ti\u00adde\u200b"),
    ]
    made = examples_artifact(
        *(
            example(f"e{n}", prompt=copy, response="Cafe\u0301." if n % 2 else "Caf\u00e9.")
            for n, copy in enumerate(copies)
        )
    )
    search = settings.near_duplicates.model_copy(update={"fold": fold, "threshold": 1.0})
    kept = remove_near_duplicates.fn(made, search, 1)
    stayed = rows.examples(kept)
    rejects = list(rows.read(store.open(kept) / rows.REJECTS, rows.Reject))
    assert (len(stayed), len(rejects)) == ((1, 3) if fold else (4, 0))
    assert all(one.prompt in copies for one in stayed)
    assert {reject.reason for reject in rejects} <= {"exact_duplicate"}
    texts = [compared(one.prompt, one.response) for one in rows.examples(made)]
    assert duplicate_rate(texts, search, 0) == (0.75 if fold else 0)
    plain, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    plain.write_text("".join(one.model_dump_json() + "\n" for one in rows.examples(made)))
    assert dedup_files([plain], out, search, 1).kept == len(stayed)


def test_bands_and_rows_must_fit_into_the_permutations(settings: Data) -> None:
    with pytest.raises(BadInput, match="16 bands of 8 rows do not fit into 64 permutations"):
        chains(settings.near_duplicates, permutations=64, bands=16, rows=8)


def test_threads_are_those_that_compute(settings: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Watched(Workers):
        def __init__(self, threads: int) -> None:
            made.append(threads)
            super().__init__(threads)

    monkeypatch.setattr(near, "Workers", Watched)
    monkeypatch.setattr(
        "tasks.data.clean.near_duplicates.at_most", lambda wanted: wanted
    )  # this machine may have a single one
    assert chains(settings.near_duplicates, threads=1) == chains(settings.near_duplicates, threads=3)
    assert made == [1, 3]
