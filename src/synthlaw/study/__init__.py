"""A study: its file, its plan, the artifact store, the pipeline and the executors."""
