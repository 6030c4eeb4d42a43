"""`python -m grokhop`."""

from grokhop.cli.main import main

main()
