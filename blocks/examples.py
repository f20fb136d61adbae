"""The examples of a dataset: the one reader of train.jsonl and validation.jsonl for the phases that learn from them.

Not here: rows of any other kind (blocks/json_lines.py), and rows from outside (tasks/data/plain/files.py).
"""

from typing import Literal

from blocks import json_lines, store
from blocks.records import Artifact, Example
from configs.errors import BadInput

Split = Literal["train", "validation"]


def read_split(dataset: Artifact, split: Split, *, may_be_empty: bool = False) -> list[Example]:
    """The examples of ``split``, in order.

    Raises:
        BadInput: the split is missing, a line of it is no example, or there is none and ``may_be_empty`` is not said.
    """
    path = store.open(dataset) / f"{split}.jsonl"
    if not path.is_file():
        raise BadInput(f"{dataset.short} has no {path.name}; it has to be a dataset artifact")
    found = []
    for number, line in enumerate(json_lines.lines(path), 1):
        try:
            found.append(Example.model_validate_json(line))
        except ValueError as error:
            raise BadInput(
                f"{path}:{number}: not an example ({str(error).splitlines()[0]}); build the dataset again"
            ) from None
    if not found and not may_be_empty:
        raise BadInput(f"{path} has no examples; build the dataset with more questions")
    return found
