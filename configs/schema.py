"""The profile: everything a run builds, phase by phase, in one validated tree; and how a profile is loaded and
overridden.

Not here: the phases' own settings (configs/phases/), and any behaviour.
"""

import difflib
import math
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from configs.errors import BadInput
from configs.phases.compression import Compression
from configs.phases.data import Data
from configs.phases.evaluation import Evaluation
from configs.phases.modifiers import Modifiers
from configs.phases.nightly import Approval, Nightly
from configs.phases.release import Release
from configs.phases.routing import Routing
from configs.phases.teachers import Teachers
from configs.phases.training import Scratch, Training
from configs.reading import DEPTH, SHOWN, cut, parse_yaml, quoted, read_yaml
from configs.settings import SECRET, Settings, runtime, setting

PROFILES = Path(__file__).parent / "profiles"


class Pools(Settings):
    """Where each phase runs: ``local`` is this process, any other name a Prefect work pool."""

    dataset: str = runtime("work pool of the dataset phase")
    training: str = runtime("work pool of the training phase")
    compression: str = runtime("work pool of the compression phase")
    modifiers: str = runtime("work pool of the modifiers phase")
    routing: str = runtime("work pool of the routing phase")
    release: str = runtime("work pool of the release phase")


class Profile(Settings):
    """What to build. Complete: every field stands in the profile's YAML file."""

    name: str = setting("name of the profile, the YAML file's own")
    description: str = runtime(
        "one line for people, with which a run begins: what it builds, on which hardware, how long"
    )
    seed: int = setting("base of every random stream", ge=0, le=2**31 - 1)
    pools: Pools = runtime("where each phase runs")
    teachers: Teachers = setting("who is asked for what, at which price, under which limits")
    data: Data = setting("the dataset phase")
    training: Training = setting("the training phase")
    evaluation: Evaluation = setting("held-out questions and the ledger")
    compression: Compression = setting("the compression phase")
    modifiers: Modifiers = setting("the modifiers phase")
    routing: Routing = setting("the routing phase")
    release: Release = setting("the release phase")
    nightly: Nightly = setting("the nightly regeneration")
    approval: Approval = runtime("when a run asks a person")

    @model_validator(mode="after")
    def _whole_groups(self) -> "Profile":
        student, awq = self.training.student, self.compression.awq
        if isinstance(student, Scratch) and awq is not None:
            for name, width in (("hidden", student.hidden), ("feed_forward", student.feed_forward)):
                if width % awq.group:
                    raise ValueError(
                        f"compression.awq.group {awq.group} does not divide training.student.{name}, {width}"
                    )
        return self


def available() -> list[str]:
    """The names of the profiles that come with Cogumi."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def load(name: str, overrides: list[str] | None = None) -> Profile:
    """The profile ``name`` (or the YAML file at that path) with ``a.b=value`` overrides applied.

    Raises:
        BadInput: unknown profile, unknown or mistyped field, malformed override.
    """
    if name in available():
        path = PROFILES / f"{name}.yaml"
    elif name.endswith((".yaml", ".yml")):
        path = Path(name)
    else:
        raise BadInput(
            f"unknown profile {quoted(name)}; there are: {', '.join(available())}; a file's name ends in .yaml"
        )
    tree = read_yaml(path)
    if not isinstance(tree, dict):
        raise BadInput(f"{path}: no settings in it; a profile is a mapping such as {PROFILES / 'nano.yaml'}")
    for override in overrides or []:
        _apply(tree, override, path.stem)
    if wrong := _beyond(tree):
        raise BadInput(f"profile {path.stem}: {wrong}")
    try:
        return Profile.model_validate(tree)
    except ValidationError as error:
        raise BadInput(f"profile {path.stem}: {_first(error)}") from None


def _beyond(node: Any, path: str = "", depth: int = 0) -> str | None:
    """What is wrong with a number that Prefect's API and llama.cpp cannot take, or with a tree that overrides made too
    deep."""
    if depth > DEPTH:
        return f"{cut(path)} is nested more than {DEPTH} deep"
    if isinstance(node, int) and abs(node) >= 1 << 63:
        return f"{cut(path)} is a number of more than 64 bits"
    if isinstance(node, float) and not math.isfinite(node):
        return f"{cut(path)} is {node}; settings are finite numbers"
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return next(
        (
            found
            for key, value in children
            if (found := _beyond(value, f"{path}.{key}" if path else str(key), depth + 1))
        ),
        None,
    )


def _apply(tree: Any, override: str, profile: str) -> None:
    """Set one dotted path in the YAML tree; the path must exist, so that a typing slip is an error."""
    dotted, equals, text = override.partition("=")
    if not equals:
        raise BadInput(f"--set {quoted(override)}: write it as a.b=value")
    *parents, last = dotted.strip().split(".")
    node, walked = tree, ""
    parts = [*parents, last]
    for depth, part in enumerate(parts):
        keys = (
            [str(key) for key in node]
            if isinstance(node, dict)
            else [str(i) for i in range(len(node))]
            if isinstance(node, list)
            else []
        )
        if part not in keys:
            near = difflib.get_close_matches(part, keys, 1)
            hint = (
                f"; did you mean {walked + near[0]!r}?"
                if near
                else f"; there are: {cut(', '.join(keys), 1000)}"
                if keys
                else ""
            )
            raise BadInput(f"--set {cut(dotted)}: profile {profile} has no field {quoted(walked + part)}{hint}")
        walked += part + "."
        if depth < len(parts) - 1:
            node = node[int(part)] if isinstance(node, list) else node[part]
    value = parse_yaml(text, f"--set {cut(dotted)}")
    if isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value


def _first(error: ValidationError) -> str:
    """The first fault of a validation as one line, with the field's path, and how many more there are."""
    faults = error.errors()
    where = cut(".".join(str(part) for part in faults[0]["loc"]))
    given = quoted(faults[0]["input"])
    shown = (
        ""
        if faults[0]["type"] in ("missing", "extra_forbidden", "value_error", SECRET) or len(given) > SHOWN
        else f" (got {given})"
    )
    message = {"missing": "field is missing", "extra_forbidden": "unknown field"}.get(
        faults[0]["type"], cut(faults[0]["msg"].removeprefix("Value error, "), 400)
    )
    more = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"{f'{where}: ' if where else ''}{message}{shown}{more}"
