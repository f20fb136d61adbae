"""The compression phase: prune, recover, fold AWQ scales, GGUF, zstd."""
