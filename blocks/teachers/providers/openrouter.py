"""OpenRouter: OpenAI's SDK at another address, and its older name for the token bound."""

from blocks.teachers.provider import provider
from blocks.teachers.providers._openai_wire import OpenAIWire
from configs.phases.teachers import TeacherModel


@provider("openrouter")
class OpenRouter(OpenAIWire):
    """A client of one model behind OpenRouter."""

    limit = "max_tokens"

    def __init__(self, teacher: TeacherModel, key: str) -> None:
        super().__init__(
            teacher.model_copy(update={"base_url": teacher.base_url or "https://openrouter.ai/api/v1"}), key
        )
