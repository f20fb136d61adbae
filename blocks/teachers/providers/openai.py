"""OpenAI, and any server that speaks its wire format under another base_url; single calls and batches."""

from blocks.teachers.provider import provider
from blocks.teachers.providers._batch_files import BatchFiles
from blocks.teachers.providers._openai_wire import OpenAIWire


@provider("openai")
class OpenAI(BatchFiles, OpenAIWire):
    """A client of one model."""
