"""phi, the number of inferred facts for each atomic fact: counted (`count`) and reported (`report`)."""
