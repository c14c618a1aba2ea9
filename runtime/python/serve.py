#!/usr/bin/python3
"""Serves a model package: docs/inference.md. What can be set are the variables of settings.py."""
import sys

sys.dont_write_bytecode = True  # a model directory may be read-only, and stays as it was packed

from waybill_service.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
