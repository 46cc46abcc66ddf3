"""Tokens: the tokenizer, token sets on disk, and the sampler of exact mixtures."""
