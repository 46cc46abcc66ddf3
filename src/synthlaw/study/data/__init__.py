"""A study's data: the natural corpus, generated and given sources, held-out domains."""
