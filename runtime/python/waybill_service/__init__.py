"""The reference inference service: serves the model package in /home/mind/model over HTTP.

Python's standard library only. Started by serve.py.
"""
