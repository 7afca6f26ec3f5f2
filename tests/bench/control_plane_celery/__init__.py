"""The baseline on Celery and Redis. Runs in ``.venv-bench`` and imports nothing of the project."""
