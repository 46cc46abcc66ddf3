"""Statistics: what tells one token set from another, and which tokens carry a model's loss."""
