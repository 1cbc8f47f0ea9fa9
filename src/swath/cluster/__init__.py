"""Clusters of Dask workers: the embedded one, any other, and what runs on a worker; `swath.engines.dask` drives them."""
