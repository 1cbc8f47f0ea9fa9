"""What the commands of `swath.cli` do, a file for each that does more than one call."""
