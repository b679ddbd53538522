"""Runs the job scripts in the workflow's order, without a server, and compares what they write.

A stand-in boto3 keeps buckets as folders and run properties as a JSON file. The scripts themselves
are started as jobs are: own process, the wrapper, the arguments of spec/jobs §3.4. The workflow on
the real binary is tested elsewhere; this suite shows that the scripts and the expected files agree.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

sys.dont_write_bytecode = True
EXAMPLE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WRAPPER = os.path.join(EXAMPLE, "..", "..", "python", "tenon_runscript.py")
BUCKET = "tenon-weather"
BOTO3 = """
    import io, json, os, shutil
    ROOT = os.environ["STAND_IN_ROOT"]
    PROPERTIES = os.path.join(ROOT, "properties.json")
    def path(bucket, key):
        found = os.path.join(ROOT, "s3", bucket, *key.split("/"))
        os.makedirs(os.path.dirname(found), exist_ok=True)
        return found
    class S3:
        def get_object(self, Bucket, Key):
            return {"Body": open(path(Bucket, Key), "rb")}
        def put_object(self, Bucket, Key, Body, ContentType):
            with open(path(Bucket, Key), "wb") as file:
                file.write(Body)
        def copy_object(self, Bucket, Key, CopySource):
            with open(path(CopySource["Bucket"], CopySource["Key"]), "rb") as file:
                self.put_object(Bucket, Key, file.read(), None)
    class Glue:
        def get_workflow_run_properties(self, Name, RunId):
            assert (Name, RunId) == ("weather", "wr_1")
            with open(PROPERTIES) as file:
                return {"RunProperties": json.load(file)}
        def put_workflow_run_properties(self, Name, RunId, RunProperties):
            merged = self.get_workflow_run_properties(Name, RunId)["RunProperties"]
            merged.update(RunProperties)
            assert all(type(value) is str for value in merged.values()), merged
            with open(PROPERTIES, "w") as file:
                json.dump(merged, file)
        def get_workflow_run(self, Name, RunId, IncludeGraph):
            with open(os.path.join(ROOT, "graph.json")) as file:
                return {"Run": {"Graph": json.load(file)}}
    def client(service):
        return {"s3": S3, "glue": Glue}[service]()
    """


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        shutil.copytree(os.path.join(EXAMPLE, "s3"), os.path.join(self.root, "s3"))
        os.mkdir(os.path.join(self.root, "stand_in"))
        with open(os.path.join(self.root, "stand_in", "boto3.py"), "w") as file:
            file.write(textwrap.dedent(BOTO3))
        self.set_properties({})

    def set_properties(self, properties):
        """The workflow's default run properties, with those of one run over them."""
        with open(os.path.join(self.root, "properties.json"), "w") as file:
            json.dump({"input": "raw/seattle-weather.csv", "output": "out/",
                       "min_days_per_month": "28", **properties}, file)

    def properties(self):
        with open(os.path.join(self.root, "properties.json")) as file:
            return json.load(file)

    def job(self, name):
        """Runs one job; returns exit code and stderr."""
        script = os.path.join(self.root, "s3", BUCKET, "scripts", name + ".py")
        library = os.path.join(self.root, "s3", BUCKET, "lib")
        done = subprocess.run(
            [sys.executable, "-I", "-u", "-B", WRAPPER, script,
             "--WORKFLOW_NAME", "weather", "--WORKFLOW_RUN_ID", "wr_1",
             "--scriptLocation", "s3://%s/scripts/%s.py" % (BUCKET, name),
             "--extra-py-files", "s3://%s/lib/weather_days.py" % BUCKET, "--bucket", BUCKET],
            env={"PATH": os.environ["PATH"], "STAND_IN_ROOT": self.root,
                 "TENON_GLUE_FLAVOUR": "pythonshell",
                 "TENON_PYTHONPATH": os.pathsep.join(
                     [library, os.path.join(self.root, "stand_in")])},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", timeout=60,
        )
        return done.returncode, done.stderr

    def succeed(self, *names):
        for name in names:
            self.assertEqual(self.job(name), (0, ""), name)

    def written(self):
        """Every object that the scripts added, by key."""
        bucket, added = os.path.join(self.root, "s3", BUCKET), {}
        for folder, _, files in os.walk(bucket):
            for name in files:
                path = os.path.join(folder, name)
                key = os.path.relpath(path, bucket).replace(os.sep, "/")
                if not key.startswith(("raw/", "scripts/", "lib/")):
                    with open(path, "rb") as file:
                        added[key] = file.read()
        return added

    def expected(self, case):
        """The files of one case of the expected results, by key."""
        base, files = os.path.join(EXAMPLE, "expected", case), {}
        for folder, _, names in os.walk(base):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    files[os.path.relpath(path, base).replace(os.sep, "/")] = file.read()
        self.assertTrue(files, case)
        return files

    def test_success(self):
        self.succeed("validate", "clean", "records", "yearly", "monthly", "report")
        self.assertEqual(self.written(), self.expected("success"))
        self.assertEqual(self.properties(), {
            "input": "raw/seattle-weather.csv", "output": "out/", "min_days_per_month": "28",
            "rows": "1461", "problems": "0", "first_day": "2012-01-01", "last_day": "2015-12-31",
            "input_sha256": "0845078a290b48e3149ab8639966824110a251db4e06fc144c06ebb534af23be",
            "wet_days": "623", "report": "s3://tenon-weather/out/report.md",
        })

    def test_refused_input(self):
        self.set_properties({"input": "raw/broken.csv"})
        code, err = self.job("validate")
        self.assertEqual((code, err.splitlines()[-1]), (
            1, "ValueError: 7 of 16 rows are malformed, first line 8: date is not a day: 2012-02-30"
        ))
        self.assertEqual(self.properties()["problems"], "7")
        self.succeed("quarantine")
        self.assertEqual(self.written(), self.expected("broken"))

    def test_incomplete_month(self):
        self.set_properties({"min_days_per_month": "30"})
        self.succeed("validate", "clean", "yearly", "records")
        code, err = self.job("monthly")
        self.assertEqual((code, err.splitlines()[-1]),
                         (1, "ValueError: 2012-02 has 29 days, 30 are demanded"))
        runs = {"weather-validate": "SUCCEEDED", "weather-monthly": "FAILED"}
        nodes = [{"Type": "JOB", "Name": name, "JobDetails": {"JobRuns": [{"JobRunState": state}]}}
                 for name, state in runs.items()]
        nodes += [{"Type": "JOB", "Name": "weather-report"},
                  {"Type": "TRIGGER", "Name": "weather-start"}]
        with open(os.path.join(self.root, "graph.json"), "w") as file:
            json.dump({"Nodes": nodes}, file)
        self.succeed("alert")
        added = self.written()
        self.assertEqual(added["out/alert.txt"], self.expected("strict")["out/alert.txt"])
        self.assertNotIn("out/monthly.csv", added)

    def test_untidy_input_comes_out_clean(self):
        """Order, blanks, CRLF, empty lines and capitals do not reach the results."""
        raw = os.path.join(self.root, "s3", BUCKET, "raw")
        with open(os.path.join(raw, "seattle-weather.csv")) as file:
            header, *days = file.read().splitlines()
        untidy = [header] + [day.replace(",", " , ").upper() for day in reversed(days)]
        with open(os.path.join(raw, "untidy.csv"), "w", newline="") as file:
            file.write("\r\n\r\n".join(untidy))
        self.set_properties({"input": "raw/untidy.csv"})
        self.succeed("validate", "clean")
        self.assertEqual(self.written()["out/clean.csv"],
                         self.expected("success")["out/clean.csv"])

    def test_recomputation_agrees(self):
        subprocess.run([sys.executable, os.path.join(EXAMPLE, "expected", "recompute.py"),
                        "--check"], check=True, timeout=60)


if __name__ == "__main__":
    unittest.main()
