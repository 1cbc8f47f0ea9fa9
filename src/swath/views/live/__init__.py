"""The live page: how a sweep goes, on the dashboard of the Dask scheduler that carries it."""
