"""`python -m synthlaw`, the form that torchrun starts: `torchrun … -m synthlaw train …`."""

from synthlaw.cli.main import main

main()
