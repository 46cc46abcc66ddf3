"""What a study ends with: tables, statistics, the answer, its caveats, the page."""
