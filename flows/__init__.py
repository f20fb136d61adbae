"""The order of the work: one flow per phase, and ``pipeline``, the whole."""
