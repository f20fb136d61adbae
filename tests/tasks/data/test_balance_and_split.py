from collections import Counter

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from blocks import store
from blocks.examples import read_split
from blocks.records import DOMAINS, Artifact, Difficulty
from configs.phases.data import Balancing, Splitting
from tasks.data import rows
from tasks.data.finish.balance import balance, choose, off_balance
from tasks.data.finish.split import divide, split
from tasks.data.write.plan import Cell, plan
from tests.tasks.data.conftest import example, examples_artifact, small

DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "hard")
CELLS = [
    Cell(
        domain=domain,
        difficulty=difficulty,
        keep={"easy": 40, "hard": 60}[difficulty],
        ask=100,
        task_type="t",
        topics=("x",),
    )
    for domain in DOMAINS
    for difficulty in DIFFICULTIES
]
available = st.fixed_dictionaries({(cell.domain, cell.difficulty): st.integers(0, 120) for cell in CELLS})


@given(available, st.sampled_from([0.0, 0.02, 0.1]))
@hypothesis_settings(max_examples=25, deadline=None)
def test_every_share_is_within_tolerance_whatever_came_back(
    counts: dict[tuple[str, str], int], tolerance: float
) -> None:
    chosen = choose(CELLS, counts, tolerance)
    assert off_balance(CELLS, chosen) <= tolerance
    assert all(chosen[key] <= counts[key] for key in chosen)


@given(st.fixed_dictionaries({(cell.domain, cell.difficulty): st.integers(cell.keep, 200) for cell in CELLS}))
def test_with_enough_material_the_plan_is_kept_exactly(counts: dict[tuple[str, str], int]) -> None:
    assert choose(CELLS, counts, 0.02) == {(cell.domain, cell.difficulty): cell.keep for cell in CELLS}


def test_one_short_domain_shrinks_the_others_with_it() -> None:
    counts = {(cell.domain, cell.difficulty): 100 for cell in CELLS} | {("math", "hard"): 30}
    chosen = choose(CELLS, counts, 0.02)
    total = sum(chosen.values())
    assert chosen["math", "hard"] == 30
    assert sum(count for key, count in chosen.items() if key[0] == "math") / total > 0.98 * 0.125 - 1 / total
    assert sum(choose(CELLS, counts, 0.3).values()) > total, "a wider tolerance keeps more"


def planned(count: int) -> Artifact:
    settings = small().data.planning
    return plan.fn(
        settings.model_copy(
            update={"examples": count, "hard_share": 0.0, "domains": {"math": settings.domains["math"]}}
        ),
        1,
    )


def test_of_a_surplus_the_best_stay_and_public_records_only_fill() -> None:
    good, fair = (
        [example(f"good{i}", quality_score=9.0) for i in range(3)],
        [example(f"fair{i}", quality_score=8.0) for i in range(3)],
    )
    public = [example(f"public{i}", quality_score=10.0, source="gsm8k", license="MIT") for i in range(5)]
    material = examples_artifact(*public, *fair, *good)

    def ids(count: int, fill: bool) -> Counter[str]:
        return Counter(
            e.id.rstrip("0123456789")
            for e in rows.examples(balance.fn(planned(count), material, Balancing(tolerance=0.02), "rehearsal", fill))
        )

    assert ids(3, True) == {"good": 3}
    assert ids(5, True) == {"good": 3, "fair": 2}
    assert ids(8, True) == {"good": 3, "fair": 3, "public": 2}
    assert ids(8, False) == {"good": 3, "fair": 3}


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.floats(0.01, 0.5), st.integers(0, 5))
def test_splits_are_whole_disjoint_and_repeatable(prompts: list[int], share: float, seed: int) -> None:
    examples = [
        example(
            f"id{i}", prompt=f"Prompt  {number}".upper() if i % 2 else f"prompt {number}", domain=DOMAINS[number % 3]
        )
        for i, number in enumerate(prompts)
    ]
    train, validation = divide(examples, share, seed)
    assert sorted(e.id for e in train + validation) == sorted(e.id for e in examples)
    assert not {rows.folded(e.prompt) for e in train} & {rows.folded(e.prompt) for e in validation}
    assert divide(list(reversed(examples)), share, seed) == (train, validation), "the order of the rows does not matter"


def test_every_cell_gives_its_share_to_validation() -> None:
    examples = [
        example(f"{domain}{i}", prompt=f"{domain} {i}", domain=domain) for domain in DOMAINS[:4] for i in range(100)
    ]
    _, validation = divide(examples, 0.05, 1)
    assert Counter(e.metadata.domain for e in validation) == dict.fromkeys(DOMAINS[:4], 5)
    assert [e.id for e in divide(examples, 0.05, 2)[1]] != [e.id for e in validation]


def test_a_dataset_reads_back_through_line_separators_of_unicode() -> None:
    odd = [example(f"e{i}", prompt=f"line\u2028{i}\u0085 and \u2029 {i}", response="a\nb\r\nc\x0b") for i in range(10)]
    dataset = split.fn(examples_artifact(*odd), {}, Splitting(validation_share=0.2), 1)
    train, validation = read_split(dataset, "train"), read_split(dataset, "validation")
    assert sorted(train + validation, key=lambda e: e.id) == odd
    assert (len(train), len(validation)) == (8, 2)
    assert store.verify(dataset).metrics == {"train": 8, "validation": 2, "mean_score": 8}
