"""Runs the Go SDK v2's part of this topic, gosdk/, on a server of its own."""

import subprocess
import unittest

import tenon
from case import Case


class GoSDK(Case):
    def test_objects(self):
        done = subprocess.run(
            ["go", "test", "-tags", "conformance", "-count=1", "./conformance/s3/gosdk"], cwd=tenon.ROOT, text=True, capture_output=True,
            env=self.server.environment, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
