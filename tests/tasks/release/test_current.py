"""The pointer to the current release: promotion, rollback, and several at once."""

import multiprocessing
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks import store
from blocks.records import Artifact
from blocks.storage import pointer
from configs.errors import BadInput
from tasks.release.current import POINTER, Overtaken, current, promote, releases, rollback


def made(name: str, kind: str = "release") -> Artifact:
    with store.create(kind, settings={"name": name}) as folder:
        (folder.path / "base.gguf").write_text(name)
    return folder.artifact


def promoted(*names: str, keep: int = 3) -> dict[str, Artifact]:
    found = {name: made(name) for name in names}
    for artifact in found.values():
        promote(artifact, made("report", "report"), keep)
    return found


def kept() -> list[str]:
    return [entry.release.digest for entry in releases().entries]


def test_promotion_moves_the_pointer_and_keeps_the_last() -> None:
    with pytest.raises(BadInput, match="cogumi run"):
        current()
    one = promoted("a", "b", "c", keep=1)
    before = pointer.read(POINTER)
    promote(one["c"], made("report", "report"), 1)
    assert pointer.read(POINTER) == before, "the same again changes nothing"
    assert current().release == one["c"]
    assert current().replaced == one["b"].digest
    assert kept() == [one["b"].digest, one["c"].digest]
    assert current(one["b"].digest[:8]).release == one["b"]
    with pytest.raises(BadInput, match="no release"):
        current(one["a"].digest)
    store.verify(one["a"])  # not listed any more; deleting is nobody's business here


def test_a_release_that_was_made_again_is_referred_to_as_it_is_now() -> None:
    """Its account may be another; the list would refuse what is there by the reference of before."""
    one = promoted("a")["a"]
    report = made("report", "report")
    promote(one.model_copy(update={"account": "0" * 64}), report, 3)
    assert current().release.account == "0" * 64
    promote(one, report, 3)
    assert current().release.account == one.account
    assert len(releases().entries) == 1


def test_the_current_release_with_another_report_does_not_replace_itself() -> None:
    one = promoted("a", "b")["b"]
    before = current()
    promote(one, report := made("told otherwise", "report"), 3)
    assert current() == before.model_copy(update={"report": report})
    assert [entry.release.digest for entry in releases().entries].count(one.digest) == 1


def test_a_candidate_that_was_compared_with_another_release_is_not_promoted() -> None:
    one = promoted("a", "b")
    candidate = made("c")
    with pytest.raises(Overtaken, match="compare it again"):
        promote(candidate, made("report", "report"), 3, compared_with=one["a"].digest)
    assert current().release == one["b"]
    promote(candidate, made("report", "report"), 3, compared_with=one["b"].digest)
    assert current().release == candidate


def test_a_rollback_goes_back_and_a_second_one_takes_it_back() -> None:
    one = promoted("a", "b", "c")
    entry = rollback()
    assert entry.release == one["b"] == current().release
    assert (entry.how, entry.replaced) == ("rolled back", one["c"].digest)
    assert set(kept()) == {artifact.digest for artifact in one.values()}
    assert rollback().release == one["c"]
    assert rollback(one["a"].digest[:10]).release == one["a"]
    assert rollback().release == one["c"]
    with pytest.raises(BadInput, match="is the current release already"):
        rollback(one["c"].digest)
    with pytest.raises(BadInput, match="no release 'nope'"):
        rollback("nope")


def test_a_rollback_to_nothing_or_to_a_damaged_release_is_refused() -> None:
    with pytest.raises(BadInput, match="cogumi run"):
        rollback()
    one = promoted("a")
    with pytest.raises(BadInput, match="none to roll back to"):
        rollback()
    one |= promoted("b")
    (Path(one["a"].uri) / "base.gguf").unlink()
    with pytest.raises(BadInput, match=r"is not whole \(base.gguf is missing or cut\)"):
        rollback()
    shutil.rmtree(one["a"].uri)
    with pytest.raises(BadInput, match="is not whole"):
        rollback()
    assert current().release == one["b"]


moves = st.lists(
    st.one_of(
        st.tuples(st.just("promote"), st.sampled_from("abcd")),
        st.tuples(st.just("rollback"), st.sampled_from(["", *"abcd"])),
    ),
    max_size=12,
)


@given(moves, st.integers(0, 3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_the_list_holds_each_release_once_and_the_last_is_current(
    state: Path, done: list[tuple[str, str]], keep: int
) -> None:
    shutil.rmtree(state, ignore_errors=True)
    one = {name: made(name) for name in "abcd"}
    report = made("report", "report")
    for what, name in done:
        before = kept()
        if what == "promote":
            promote(one[name], report, keep)
            assert current().release == one[name]
            assert len(kept()) <= keep + 1 or before == kept()
        else:
            try:
                rollback(one[name].digest if name else None)
            except BadInput:
                assert kept() == before
            else:
                assert current().replaced == before[-1]
                assert sorted(kept()) == sorted(before)
        assert len(set(kept())) == len(kept())


def _promote(name: str, compared_with: str | None, results: "multiprocessing.Queue[str]") -> None:
    try:
        promote(made(name), made("report", "report"), 100, compared_with)
        results.put("promoted")
    except Overtaken:
        results.put("overtaken")


def test_of_several_at_once_none_is_lost_and_of_several_candidates_one_wins() -> None:
    one = promoted("a")
    context = multiprocessing.get_context("fork")
    results = context.Queue()

    def race(prefix: str, compared_with: str | None) -> list[str]:
        racers = [
            context.Process(target=_promote, args=(f"{prefix}{number}", compared_with, results)) for number in range(8)
        ]
        for racer in racers:
            racer.start()
        said = [results.get(timeout=200) for _ in racers]
        for racer in racers:
            racer.join()
        return said

    assert sorted(race("candidate", one["a"].digest)) == ["overtaken"] * 7 + ["promoted"]
    assert race("plain", None) == ["promoted"] * 8
    assert len(kept()) == 1 + 1 + 8


def test_a_damaged_list_is_one_clear_line() -> None:
    promoted("a")
    Path(pointer.place(POINTER)).write_text("{")
    with pytest.raises(BadInput, match="is damaged"):
        current()
