"""Laws of mixtures of several sources: the loss as a function of shares, parameters and tokens."""
