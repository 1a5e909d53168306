"""Floors: the least that anybody can do with the same servers, the same statements and the same batches.

Scripts that run as processes of their own, one for each thing that millstream does in batches: `insert`, `xadd` and `drain`. Each reads
DATABASE_URL and REDIS_URL and prints one JSON object. The floor of HTTP is `loadtest/echo.py`. `loadtest/figures/floors.py` puts them
beside millstream.
"""
