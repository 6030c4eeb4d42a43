"""What lies in a run or sweep folder. Nothing here needs torch."""
