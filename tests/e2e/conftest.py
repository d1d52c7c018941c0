"""The same fixtures as the integration tests."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from conftest import build, mariadb_server, postgres_server, redis_server  # noqa: E402, F401
