"""What the current release is made of, read from its lineage: models, modifiers, router, and every evaluation behind
them.

Needs nothing but the store and the pointer; a night on another machine sees the same. Not here: the pointer
(tasks/release/current.py).
"""

from collections.abc import Sequence

from blocks.journal.lineage import ancestors
from blocks.records import Artifact, Manifest, Record
from blocks.storage import folders, places
from configs.errors import BadInput
from tasks.evaluation.evaluate import read_answers


class Member(Record):
    """A modifier of a release. ``evaluation``: its answers to the calibration questions; ``mended`` and ``failures``:
    what it was trained on."""

    name: str
    domains: tuple[str, ...]
    gguf: Artifact
    evaluation: Artifact
    mended: Artifact
    failures: Artifact


class Standing(Record):
    """A release taken apart. ``model``: Hugging Face weights behind ``gguf``. ``test`` and ``calibration``: questions;
    ``base_*``: the base's answers to them; ``routed``: the whole release's to the test questions. ``tested``: the
    judged answers that the router learned from."""

    release: Artifact
    model: Artifact
    gguf: Artifact
    dataset: Artifact
    modifiers: tuple[Member, ...]
    router: Artifact
    classifier: Artifact
    tested: tuple[Artifact, ...]
    test: Artifact
    base_test: Artifact
    routed: Artifact
    calibration: Artifact
    base_calibration: Artifact


def standing(release: Artifact, modifiers: dict[str, tuple[str, ...]]) -> Standing:
    """Take ``release`` apart; ``modifiers``: the domains of each of its modifiers, by the name of its file.

    Raises:
        BadInput: its lineage is not that of a release that the pipeline or a night made.
    """
    family = Family(release)
    top = family.parents(release)
    model, gguf, dataset, router = (_only(top, kind, release) for kind in ("model", "gguf", "dataset", "router"))
    routed = next((one for one in top if one.kind == "evaluation" and router.digest in one.parents), None)
    within = family.parents(router)
    classifier, network, fitted = (
        _only(within, kind, router) for kind in ("domain_classifier", "router_network", "router_calibration")
    )
    base_calibration, base_test = [one for one in family.parents(fitted) if one.kind == "evaluation"]
    if routed is None:
        raise BadInput(f"{release.short}: none of its evaluations is of its router; run its profile again")
    calibration = _only(family.parents(base_calibration), "questions", base_calibration)
    members = []
    for name, domains in modifiers.items():
        adapter = family.with_file(
            top, "gguf_adapter", "adapter.gguf", family.manifest(release).files[f"modifiers/{name}.gguf"][0], name
        )
        lessons = _only(family.parents(_only(family.parents(adapter), "adapter", adapter)), "dataset", adapter)
        taught = family.parents(lessons)
        answers = [
            one
            for one in within
            if one.kind == "evaluation" and {adapter.digest, calibration.digest} <= set(one.parents)
        ]
        if len(answers) != 1:
            raise BadInput(
                f"{release.short}: modifier {name} has {len(answers)} evaluations on the calibration questions; run "
                "its profile again"
            )
        members.append(
            Member(
                name=name,
                domains=domains,
                gguf=adapter,
                evaluation=answers[0],
                mended=_only(taught, "mended", lessons),
                failures=_only(taught, "failures", lessons),
            )
        )
    return Standing(
        release=release,
        model=model,
        gguf=gguf,
        dataset=dataset,
        modifiers=tuple(members),
        router=router,
        classifier=classifier,
        tested=tuple(one for one in family.parents(network) if one.kind == "evaluation"),
        test=_only(family.parents(base_test), "questions", base_test),
        base_test=base_test,
        routed=routed,
        calibration=calibration,
        base_calibration=base_calibration,
    )


class Family:
    """An artifact and all its ancestors."""

    def __init__(self, artifact: Artifact) -> None:
        self._manifests = {one.digest: one for one in ancestors([artifact])}

    def manifest(self, artifact: Artifact) -> Manifest:
        """Of a member."""
        return self._manifests[artifact.digest]

    def parents(self, artifact: Artifact) -> list[Artifact]:
        """In the order in which they were named."""
        found = [self._manifests[digest] for digest in self._manifests[artifact.digest].parents]
        return [folders.reference(one, f"{places.location().rstrip('/')}/{one.kind}/{one.digest}") for one in found]

    def with_file(self, among: Sequence[Artifact], kind: str, file: str, sha: str, name: str) -> Artifact:
        """The artifact of ``kind`` whose ``file`` has this SHA-256."""
        found = [one for one in among if one.kind == kind and self._manifests[one.digest].files[file][0] == sha]
        if not found:
            raise BadInput(f"no {kind} in the release's lineage is its modifier {name}; run its profile again")
        return found[0]


def rates(standing: Standing, choices: dict[str, str]) -> tuple[dict[str, float], dict[str, float]]:
    """By domain, on the test questions at release: the share of wrong answers, and of answers by a modifier
    (``choices``: who answered, by question)."""
    wrong: dict[str, list[bool]] = {}
    escalated: dict[str, list[bool]] = {}
    for answer in read_answers(standing.routed):
        wrong.setdefault(answer.domain, []).append(not answer.correct)
        escalated.setdefault(answer.domain, []).append(choices[answer.question] != "base")
    return {domain: sum(those) / len(those) for domain, those in wrong.items()}, {
        domain: sum(those) / len(those) for domain, those in escalated.items()
    }


def _only(among: Sequence[Artifact], kind: str, of: Artifact) -> Artifact:
    found = [one for one in among if one.kind == kind]
    if len(found) != 1:
        raise BadInput(
            f"{of.short} has {len(found)} parents of kind {kind} instead of one, so it was not made by the pipeline as "
            "it is now; run its profile again"
        )
    return found[0]
