"""Why an answer ended, in the words of every provider: done, cut off, refused, wanting a tool, or broken off.

Only what is known to mean "done" is done: a word that nobody here knows may mean anything.
Sources: the API references of OpenAI, Anthropic, Groq, Together, OpenRouter, Mistral, DeepSeek, xAI, Gemini (OpenAI
form), vLLM, text-generation-inference, llama.cpp and Ollama. Not here: what a reply says (chat.py).
"""

from typing import Any, Literal

End = Literal["done", "cut", "refused", "tool", "broken"]
_ENDS: dict[End, tuple[str, ...]] = {
    "done": ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed", "end_of_turn",
    "end_of_text"),
    "cut": ("length", "max_tokens", "max_output_tokens", "model_length", "max_length", "model_context_window_exceeded",
    "context_length_exceeded"),
    "refused": (
        "content_filter", "content_filtered", "refusal", "safety", "recitation", "prohibited_content", "blocklist",
        "spii", "sensitive", "error_toxic",
        "guardrail_intervened", "image_safety", "language",
    ),
    "tool": ("tool_calls", "tool_call", "tool_use", "function_call"),
}  # fmt: skip
_MEANS: dict[str, End] = {word: end for end, words in _ENDS.items() for word in words}


def end_of(said: Any) -> End:
    """What a finish reason means; ``broken`` where it is none, an error, or unknown."""
    return _MEANS.get(said.strip().lower(), "broken") if isinstance(said, str) else "broken"


def shown(said: Any) -> str:
    """A finish reason for people."""
    return repr(said[:40]) if isinstance(said, str) else "none" if said is None else f"a {type(said).__name__}"
