"""Forms: the functions of params, tokens and share that a law can be."""
