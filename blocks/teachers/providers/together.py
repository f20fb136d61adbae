"""Together through its own SDK."""

import together

from blocks.teachers.provider import provider
from blocks.teachers.providers._own_sdk import OwnSdk


@provider("together")
class Together(OwnSdk):
    """A client of one model."""

    sdk, client, limit = together, together.AsyncTogether, "max_tokens"
