"""The command line and what it shows. Nothing is decided here."""
