"""What answers: llama.cpp or transformers in this process, vLLM as its child, or a server over HTTP."""
