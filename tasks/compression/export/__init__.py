"""GGUF: which tensor gets which type, quantised, written, and read back."""
