"""What answers: llama.cpp in this process, or transformers."""
