"""The guest's kernel: which memory it takes, in which blocks, and what it has to be told."""
