"""Groq through its own SDK; single calls and batches."""

import groq

from blocks.teachers.provider import provider
from blocks.teachers.providers._batch_files import BatchFiles
from blocks.teachers.providers._own_sdk import OwnSdk


@provider("groq")
class Groq(BatchFiles, OwnSdk):
    """A client of one model."""

    sdk, client, limit = groq, groq.AsyncGroq, "max_completion_tokens"
