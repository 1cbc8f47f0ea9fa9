"""Ways to look at a sweep; each shows the same snapshots and results."""
