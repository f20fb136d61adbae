"""The Prefect block ``teacher-credentials``: a teacher's key, model, prices and limits, edited in Prefect's UI.

A teacher of a profile names the block by ``block``; what the block holds wins over the profile. Not here: keys from the
environment (keys.py).
"""

from decimal import Decimal

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.own_loop import apart
from configs.errors import BadInput
from configs.phases.teachers import TeacherModel, Teachers


class TeacherCredentials(Block):
    """Key, model, prices and limits of one teacher. Empty fields leave the profile's value."""

    _block_type_name = "Teacher credentials"
    _block_type_slug = "teacher-credentials"
    _description = "API key, model, prices and limits of a teacher model."

    api_key: SecretStr = Field(description="the provider's API key")
    model: str | None = Field(default=None, description="the provider's own name of the model")
    base_url: str | None = Field(default=None, description="address of the API")
    input_price: Decimal | None = Field(default=None, ge=0, description="dollars per million prompt tokens")
    cached_price: Decimal | None = Field(
        default=None, ge=0, description="dollars per million prompt tokens read from the prompt cache"
    )
    cache_write_price: Decimal | None = Field(
        default=None, ge=0, description="dollars per million prompt tokens written to the prompt cache"
    )
    output_price: Decimal | None = Field(default=None, ge=0, description="dollars per million generated tokens")
    batch_share: Decimal | None = Field(
        default=None, gt=0, le=1, description="share of the prices that a batch call costs"
    )
    requests_per_minute: int | None = Field(default=None, gt=0, description="request limit")
    tokens_per_minute: int | None = Field(default=None, gt=0, description="token limit")

    def over(self, teacher: TeacherModel) -> TeacherModel:
        """The teacher's settings with what this block holds in their place (the key stays here)."""
        plain = {
            name: getattr(self, name) for name in ("model", "base_url", "requests_per_minute", "tokens_per_minute")
        }
        named = {
            "input": self.input_price,
            "cached": self.cached_price,
            "cache_write": self.cache_write_price,
            "output": self.output_price,
            "batch": self.batch_share,
        }
        prices = teacher.prices.model_copy(update={name: value for name, value in named.items() if value is not None})
        return teacher.model_copy(
            update={name: value for name, value in plain.items() if value is not None} | {"prices": prices}
        )


async def load(name: str) -> TeacherCredentials:
    """The block ``teacher-credentials/name``.

    Raises:
        BadInput: there is none, or no Prefect server to ask.
    """
    try:
        return await TeacherCredentials.aload(name)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(
            f"cannot load the Prefect block teacher-credentials/{name} ({type(error).__name__}: {reason}); save it in "
            "Prefect's UI, or use key_env instead"
        ) from None


def with_blocks(teachers: Teachers) -> Teachers:
    """The settings with what their blocks hold. A flow does this before its first step, so that a model or address that
    was changed in the UI is part of the steps' identity; ``ask`` does it for itself where no flow did.

    Raises:
        BadInput: a block is not there, or no Prefect server.
    """
    if all(model.block is None for model in teachers.models.values()):
        return teachers

    async def read() -> dict[str, TeacherModel]:
        return {
            name: (await load(model.block)).over(model) if model.block is not None else model
            for name, model in teachers.models.items()
        }

    return teachers.model_copy(update={"models": apart(read)})
