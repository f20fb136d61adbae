from blocks import store
from configs.phases.data import Data
from tasks.data import rows
from tasks.data.near_duplicates import remove_near_duplicates
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
    made = examples_artifact(*(example(f"q{n}", prompt=f"Write a function h that returns x times {n}.", response=f"def h(x): return x * {n}") for n in range(10, 30)))
    assert len(rows.examples(remove_near_duplicates.fn(made, settings.near_duplicates, 1))) == 20
