"""Which runs to train next, so that a question is answered with the fewest FLOPs."""
