"""What answers: llama.cpp or transformers in this process, or an OpenAI-compatible server."""
