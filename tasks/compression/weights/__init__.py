"""AWQ: scales folded into the weights, and the folded model rounded for vLLM."""
