"""The base classes that customize_service.py derives from, one module an engine."""
