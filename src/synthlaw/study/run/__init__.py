"""A study's runs: one task from training to scores, and who executes them."""
