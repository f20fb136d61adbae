"""A model's folder as somebody else may have written it: its JSON, weights, configuration and vocabulary, checked
before a library reads them."""
