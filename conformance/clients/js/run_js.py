"""Gives life.mjs a server and its two scripts."""

import os
import subprocess
import sys

import tenon
from case import Case

sys.path.insert(0, str(tenon.ROOT / "conformance" / "clients"))
import story  # noqa: E402


class JavaScript(Case):
    def test_life(self):
        env = self.server.environment | {
            "QUICK_SCRIPT": self.server.script("quick.py", story.QUICK), "SLOW_SCRIPT": self.server.script("slow.py", story.SLOW)}
        done = subprocess.run(["node", "--test", "life.mjs"], cwd=os.environ["JS_WORK"], env=env, timeout=120)
        self.assertEqual(done.returncode, 0)
