"""What the log in memory cannot show (docs/decisions/0004): these tests wait for the durable one."""
import pytest

needs_durable_log = pytest.mark.skip(reason="the log is in memory: a restart forgets it")
