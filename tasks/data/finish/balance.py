"""The planned shares of domains and difficulties, kept as far as the material goes.

Where one cell is short, the others shrink with it until every share is within tolerance: shares before size. Of a
surplus the best-scored examples stay; public records only fill what the teachers left short. Not here: asking for more
(plan.py).
"""

import hashlib
import logging
from collections import defaultdict

from blocks import store
from blocks.records import Artifact, Example
from configs.phases.data import Balancing
from tasks.data import rows
from tasks.data.write.plan import Cell, read_plan
from tasks.step import step

log = logging.getLogger("cogumi.data")
Counts = dict[tuple[str, str], int]  # (domain, difficulty) → examples


@step(version=1)
def balance(plan: Artifact, examples: Artifact, settings: Balancing, generated: str, fill: bool) -> Artifact:
    """Choose the examples that have the plan's shares; an artifact of kind "examples".

    Args:
        plan: the plan, whose seed decides between equal scores.
        examples: what is left after every removal.
        settings: the tolerance.
        generated: source name of the rows that teachers wrote.
        fill: whether rows of other sources may fill what is missing.
    """
    seed, cells = read_plan(plan)
    groups: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for example in rows.examples(examples):
        if fill or example.metadata.source == generated:
            groups[example.metadata.domain, example.metadata.difficulty].append(example)
    chosen = choose(cells, {key: len(group) for key, group in groups.items()}, settings.tolerance)
    kept: list[Example] = []
    for key, count in chosen.items():
        ranked = sorted(
            groups[key], key=lambda e: (e.metadata.source != generated, -e.metadata.quality_score, shuffled(seed, e.id))
        )
        kept += ranked[:count]
    with store.create(
        "examples",
        parents=[plan, examples],
        settings={"balancing": settings.identity(), "generated": generated, "fill": fill},
    ) as folder:
        rows.record(folder, rows.EXAMPLES, kept, [])
        folder.metrics["surplus"] = sum(map(len, groups.values())) - len(kept)
        folder.metrics["wanted"] = sum(cell.keep for cell in cells)
        folder.metrics["public"] = sum(example.metadata.source != generated for example in kept)
    return folder.artifact


def choose(cells: list[Cell], available: Counts, tolerance: float) -> Counts:
    """How many examples of each cell are taken: the most for which every share is within ``tolerance`` of the plan's.

    With enough material this is the plan itself. Shares are those of a domain and those of a difficulty, relative to
    the plan.
    """
    # In thousandths of the plan, from above: rounding makes a smaller scale now and then worse, so that no bisection
    # will do.
    scale = next(
        scale for scale in range(1000, -1, -1) if off_balance(cells, _take(cells, available, scale / 1000)) <= tolerance
    )
    short = [cell for cell in cells if available.get((cell.domain, cell.difficulty), 0) < cell.keep]
    if short:
        named = ", ".join(
            f"{cell.domain} {cell.difficulty} {available.get((cell.domain, cell.difficulty), 0)} of {cell.keep}"
            for cell in short
        )
        log.log(
            logging.WARNING if scale < 1000 else logging.INFO,
            "balance: short of %s; the others are taken at %.1f%% of the plan to keep the shares",
            named,
            scale / 10,
        )
    return _take(cells, available, scale / 1000)


def off_balance(cells: list[Cell], counts: Counts) -> float:
    """The largest relative deviation of a domain's or a difficulty's share from the plan's; 0 where nothing is kept.

    One example more or less is no deviation: in a small dataset whole numbers cannot meet a share exactly.
    """
    total, planned_total = sum(counts.values()), sum(cell.keep for cell in cells)
    if not total or not planned_total:
        return 0.0
    worst = 0.0
    for axis in (0, 1):
        for name in {(cell.domain, cell.difficulty)[axis] for cell in cells}:
            share = sum(cell.keep for cell in cells if (cell.domain, cell.difficulty)[axis] == name) / planned_total
            kept = sum(count for key, count in counts.items() if key[axis] == name)
            if share:
                worst = max(worst, max(0.0, abs(kept - share * total) - 1) / (share * total))
    return worst


def shuffled(seed: int, identity: str) -> bytes:
    """A place in an order that follows from the seed and the id alone."""
    return hashlib.sha256(f"{seed} {identity}".encode()).digest()


def _take(cells: list[Cell], available: Counts, scale: float) -> Counts:
    return {
        (cell.domain, cell.difficulty): min(available.get((cell.domain, cell.difficulty), 0), round(cell.keep * scale))
        for cell in cells
    }
