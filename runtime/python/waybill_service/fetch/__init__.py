"""The files of a dynamic model, which are not in its image: fetched when the service starts, from a
registry, a bucket or a directory, and verified.

listing.py       which files, with their digests
settings.py      what WAYBILL_MODEL_* says
sources.py       where from: directory.py, registry.py, s3.py, the last two over web.py
download.py      all files over a few connections; part.py is one of them on its way
model_files.py   the whole, tried until it is done, and what /health says meanwhile
"""
