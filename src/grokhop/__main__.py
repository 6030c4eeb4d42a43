"""`python -m grokhop`."""

from grokhop.cli import main

main()
