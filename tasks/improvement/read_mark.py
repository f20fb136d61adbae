"""Up to when the nightly run has read what was written down about a release; one small file in the store, moved only
after success.

Not here: what is read (observe.py).
"""

from collections.abc import Sequence

from pydantic import ValidationError

from blocks.records import Record
from blocks.storage import pointer
from configs.errors import BadInput
from tasks.improvement.moved_domains import Cluster
from tasks.improvement.observe import place

POINTER = "nightly.json"


class Marker(Record):
    """``read``: by source and domain, the time up to which the answers of ``release`` were decided on; ``nights``: how
    many nights ended well so far, which numbers their random streams."""

    release: str
    nights: int
    read: dict[str, str]


def marker(release: str) -> Marker:
    """Where the last night stopped; nothing is read yet of another release than the one it was about.

    Raises:
        BadInput: the file is damaged.
    """
    content = pointer.read(POINTER)
    try:
        found = Marker(release=release, nights=0, read={}) if content is None else Marker.model_validate_json(content)
    except ValidationError:
        raise BadInput(
            f"{pointer.place(POINTER)} is damaged; delete it, and the next night reads everything since the release "
            "again"
        ) from None
    return found if found.release == release else Marker(release=release, nights=found.nights, read={})


def move(before: Marker, clusters: Sequence[Cluster], until: str) -> None:
    """Remember that what was decided on is read up to ``until``; what had too few answers is read again, together with
    the next ones."""
    decided = {place(cluster.source, cluster.domain): until for cluster in clusters if cluster.decided}
    after = Marker(release=before.release, read=before.read | decided, nights=before.nights + 1)
    pointer.move(POINTER, lambda _: after.model_dump_json(indent=1).encode())
