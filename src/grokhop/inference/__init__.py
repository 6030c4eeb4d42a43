"""A trained model at work: weights loaded, queries answered, questions asked."""
