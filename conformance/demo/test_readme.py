"""README.md tells the truth: its sessions print what it says, its counts are the server's."""

import collections
import json
import pathlib
import re
import subprocess
import tempfile
import unittest
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import tenon
from case import Case

README = (tenon.ROOT / "README.md").read_text()
CONSOLES = re.findall(r"(?ms)^```console\n(.*?)^```$", README)
PYTHON = re.findall(r"(?ms)^```python\n(.*?)^```$", README)


def steps(session):
    """The commands of a session, each with the lines that it prints."""
    found = []
    for line in session.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def same(lines):
    """Without what differs from run to run."""
    return [re.sub(r"wr_[0-9a-f]{64}", "wr_ID", re.sub(r"in [0-9.]+s$", "in TIME", line)) for line in lines]


class Readme(Case):
    def play(self, session):
        run = "wr_"
        with tempfile.TemporaryDirectory(prefix="tenon-conformance-") as folder:
            here = pathlib.Path(folder)
            (here / "bin").mkdir()
            (here / "bin" / "tenon").symlink_to(tenon.BIN)
            (here / "examples").symlink_to(tenon.ROOT / "examples")
            (here / "run.py").write_text(PYTHON[0])
            env = self.server.environment | {"TENON_DATA": str(self.server.data)}
            env["PATH"] = f"{here}/bin:{tenon.CLIENTS}:{env['PATH']}"
            for command, want in steps(session):
                command = re.sub(r"wr_[0-9a-f]{64}", run, command)
                done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=here, env=env, text=True, capture_output=True, timeout=60)
                self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
                self.assertEqual(same(done.stdout.splitlines()), same(want), command)
                run = next(iter(re.findall(r"wr_[0-9a-f]{64}", done.stdout)), run)

    def test_sessions(self):
        self.assertEqual((len(CONSOLES), len(PYTHON)), (2, 1))
        for session in CONSOLES:
            self.play(session)

    def test_counts(self):
        c = Credentials(self.server.exports["AWS_ACCESS_KEY_ID"], self.server.exports["AWS_SECRET_ACCESS_KEY"])
        request = AWSRequest("GET", self.server.url + "/_tenon/capabilities")
        SigV4Auth(c, "tenon", "us-east-1").add_auth(request)
        with urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers))) as reply:
            operations = json.load(reply)["operations"]
        count = collections.Counter(o["support"] for o in operations)
        said = re.search(r"Of the (\d+) operations of the Glue API (\d+) act and (\d+) answer with an error", README)
        self.assertEqual(tuple(map(int, said.groups())), (len(operations), count["acts"], count["refuses"]))
        self.assertEqual(set(count), {"acts", "refuses"}, "the table has no column for anything else")
        rows = re.findall(r"(?m)^\| [^|]+ \| (\d+)[:, ]", README)
        self.assertEqual(sum(map(int, rows)), count["acts"])

    def test_links(self):
        for target in re.findall(r"\]\(([^)#:]+)\)", README):
            self.assertTrue((tenon.ROOT / target).exists(), target)

    def test_commands_exist(self):
        said = self.server.tenon("--help").stdout
        for name in ("serve", "run", "apply", "workflow start", "workflow watch", "workflow stop", "workflow graph", "workflow explain", "logs", "env"):
            self.assertIn(f"  {name} ", said)


if __name__ == "__main__":
    unittest.main()
