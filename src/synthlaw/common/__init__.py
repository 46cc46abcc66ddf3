"""What every room stands on: errors, files, digests, seeds, numbers, progress. Imports no room."""
