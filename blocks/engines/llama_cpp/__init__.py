"""llama.cpp behind one small interface: load, complete with log-probabilities, adapters, draft (server.py); score given
text (scoring.py). Evaluation and serving use the same. In this process, on the ``xllamacpp`` wheel; no network.

Not here: writing GGUF files (tasks/compression), the chat format (blocks/models/template.py).
"""
