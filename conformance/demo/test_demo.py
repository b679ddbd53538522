"""The example on the built binary: exit codes, and results byte for byte (Must show 1; examples/weather/README.md)."""

import pathlib
import tempfile
import unittest

import tenon
from case import Case

EXAMPLE = tenon.ROOT / "examples" / "weather"
BUCKET = "tenon-weather"


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(pathlib.Path(folder).rglob("*")) if p.is_file()}


class Demo(Case):
    def results(self, *prefixes):
        """Everything below these prefixes of the bucket, through the S3 door."""
        found = {}
        for prefix in prefixes:
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
                for o in page.get("Contents", []):
                    found[o["Key"]] = self.s3.get_object(Bucket=BUCKET, Key=o["Key"])["Body"].read()
        return found

    def example(self, *flags):
        done = self.server.tenon("run", str(EXAMPLE), *flags, check=False)
        return done.returncode, done.stdout + done.stderr

    def tearDown(self):
        objects = [{"Key": k} for k in self.results("out/", "quarantine/", "strict/")]
        if objects:
            self.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})

    def nodes(self):
        """The job states of the last run, {job: state}, with nothing for what did not run."""
        run = self.glue.get_workflow(Name="weather", IncludeGraph=True)["Workflow"]["LastRun"]
        self.assertEqual(run["Status"], "COMPLETED")
        found = {}
        for n in run["Graph"]["Nodes"]:
            if n["Type"] == "JOB":
                for r in n.get("JobDetails", {}).get("JobRuns", []):
                    found[n["Name"].removeprefix("weather-")] = r["JobRunState"]
        return found, run

    def test_success(self):
        code, out = self.example()
        self.assertEqual(code, 0, out)
        self.assertEqual(self.results("out/", "quarantine/"), tree(EXAMPLE / "expected" / "success"))
        states, run = self.nodes()
        self.assertEqual(states, dict.fromkeys(("validate", "clean", "monthly", "yearly", "records", "report"), "SUCCEEDED"))
        self.assertEqual((run["Statistics"]["TotalActions"], run["Statistics"]["SucceededActions"]), (8, 6))
        self.assertEqual(run["WorkflowRunProperties"]["report"], f"s3://{BUCKET}/out/report.md")
        for job in ("validate", "clean", "monthly", "yearly", "records", "report"):
            self.assertRegex(out, rf"weather-{job}\b.*SUCCEEDED")
        self.assertNotIn("\x1b", out, "escapes where there is no terminal")

    def test_broken_input(self):
        code, out = self.example("--property", "input=raw/broken.csv")
        self.assertEqual(code, 1, out)
        self.assertEqual(self.results("out/", "quarantine/"), tree(EXAMPLE / "expected" / "broken"))
        self.assertEqual(self.nodes()[0], {"validate": "FAILED", "quarantine": "SUCCEEDED"})
        self.assertIn("rows are malformed, first line", out)

    def test_strict(self):
        code, out = self.example("--property", "min_days_per_month=30", "--property", "output=strict/")
        self.assertEqual(code, 1, out)
        want = {k.replace("out/", "strict/", 1): v for k, v in tree(EXAMPLE / "expected" / "strict").items()}
        self.assertEqual(self.results("strict/alert.txt", "quarantine/"), want)
        states = self.nodes()[0]
        self.assertEqual((states["monthly"], states["alert"]), ("FAILED", "SUCCEEDED"))
        self.assertNotIn("report", states)

    def test_a_second_run_changes_nothing(self):
        """The stack is up to date, the results are the same; two runs are listed."""
        self.assertEqual(self.example()[0], 0)
        before = self.glue.get_workflow_runs(Name="weather")["Runs"]
        code, out = self.example()
        self.assertEqual(code, 0, out)
        self.assertIn("is up to date", out)
        self.assertEqual(self.results("out/"), tree(EXAMPLE / "expected" / "success"))
        self.assertEqual(len(self.glue.get_workflow_runs(Name="weather")["Runs"]), len(before) + 1)

    def test_usage(self):
        for flags, text in ((("--param", "Nope=1"), "Nope"), (("--workflow", "absent"), "absent"), (("--property", "novalue"), "novalue")):
            with self.subTest(flags):
                code, out = self.example(*flags)
                self.assertEqual(code, 2, out)
                self.assertIn(text, out)
        done = self.server.tenon("run", str(EXAMPLE / "absent"), check=False)
        self.assertEqual(done.returncode, 2, done.stderr)


class Alone(unittest.TestCase):
    def test_embedded(self):
        """Without a server, `tenon run` brings its own, as `make demo` does."""
        with tempfile.TemporaryDirectory(prefix="tenon-conformance-") as data:
            done = tenon.Server._run(
                [tenon.BIN, "run", str(EXAMPLE), "--data", data + "/none", "--cache-dir", str(tenon.ROOT / ".cache" / "jobs")],
                tenon.clean_environment(), check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"(?m)^run wr_[0-9a-f]{64} of weather succeeded in ")
            self.assertFalse(pathlib.Path(data, "none").exists(), "an ephemeral run leaves nothing behind")


if __name__ == "__main__":
    unittest.main()
