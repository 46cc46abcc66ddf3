"""`synthlaw watch`: the page of a study while it runs, on the loopback interface."""
