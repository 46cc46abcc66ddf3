"""Training one run: model, data order, optimizer, checkpoints, export."""

from synthlaw.common.onednn import keep_kernels_apart

# Here, before torch is loaded: it writes its own cache's place into the environment as soon as an
# optimizer is made, and what is set after that no longer counts.
keep_kernels_apart()
