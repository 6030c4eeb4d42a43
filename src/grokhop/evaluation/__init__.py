"""Finished models and baselines on the test queries and questions."""
