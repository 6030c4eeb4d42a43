"""What is trained and what is asked of a graph: compositions, comparisons and rules, as rows of tokens."""
