"""Runs the Go SDK v2's part of this topic, gosdk/, on a server of its own (Must show 2)."""

import subprocess
import unittest

import story
import tenon
from case import Case


class GoSDK(Case):
    def test_life_of_a_workflow(self):
        quick, slow = self.server.script("quick.py", story.QUICK), self.server.script("slow.py", story.SLOW)
        done = subprocess.run(
            ["go", "test", "-tags", "conformance", "-count=1", "./conformance/clients/gosdk"], cwd=tenon.ROOT, text=True, capture_output=True,
            env=self.server.environment | {"QUICK_SCRIPT": quick, "SLOW_SCRIPT": slow}, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
