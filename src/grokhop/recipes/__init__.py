"""Published experiments as data: what was reported and where, what had to be assumed, and the settings that run it."""
