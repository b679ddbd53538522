"""Python-shell jobs as scripts see them (spec/jobs §2, §3.4, §5).

All jobs are started at once, because one of them needs a whole minute: no timeout is
shorter. The tests then look at what became of them.
"""

import json
import os
import subprocess
import tempfile
import textwrap
import unittest

import tenon
import wheels
from case import Case

ECHO = """
import json, os, sys
print(json.dumps({"argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd(), "name": __name__, "path": sys.path}))
"""

OPTIONS = """
import json, sys
from awsglue.utils import getResolvedOptions
found = getResolvedOptions(sys.argv, ["city", "my-key", "TempDir"])
print(json.dumps({k: v for k, v in found.items() if v is not None}))
"""

MISSING_OPTION = """
import sys
from awsglue.utils import getResolvedOptions
try:
    getResolvedOptions(sys.argv, ["absent"])
except Exception:
    print("caught")
"""

LIBRARIES = """
import json, lib_plain, lib_zipped.inner, lib_wheel
print(json.dumps([lib_plain.VALUE, lib_zipped.inner.VALUE, lib_wheel.VALUE]))
"""

MODULES = """
import json, boto3, lib_index, lib_wheel
print(json.dumps([lib_index.VALUE, lib_wheel.VALUE]))
"""

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"], stdout=subprocess.PIPE)
child.stdout.readline()
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""

POLITE = """
import signal, sys, time
def end(*_):
    print("cleaned up", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(600)
"""

# Fails until its marker exists, which it leaves behind.
FLAKY = """
import boto3
s3 = boto3.client("s3")
try:
    s3.head_object(Bucket="jobs", Key="flaky-marker")
except s3.exceptions.ClientError:
    s3.put_object(Bucket="jobs", Key="flaky-marker", Body=b"")
    raise RuntimeError("first time")
print("second time")
"""

CREDENTIALS = """
import json, os, time, boto3
s3 = boto3.client("s3")
s3.put_object(Bucket="jobs", Key="credentials.json", Body=json.dumps(
    {k: os.environ[k] for k in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL")}).encode())
while True:
    try:
        s3.head_object(Bucket="jobs", Key="credentials-may-end")
        break
    except s3.exceptions.ClientError:
        time.sleep(0.05)
"""

# Holds its slot until the key exists.
HOLD = """
import sys, time, boto3
s3 = boto3.client("s3")
print("holding", flush=True)
while "Contents" not in s3.list_objects_v2(Bucket="jobs", Prefix="%s"):
    time.sleep(0.05)
"""

OUTPUT = """
import os, sys
print("to stdout: \\u00fc \\U0001f600")
print("to stderr", file=sys.stderr)
os.write(1, b"raw \\xff byte\\n")
print("x" * 100000)
sys.stdout.write("no newline at the end")
"""

WRITER = """
import sys, boto3
from awsglue.utils import getResolvedOptions
o = getResolvedOptions(sys.argv, ["WORKFLOW_NAME", "WORKFLOW_RUN_ID"])
at = sys.argv.index("--WORKFLOW_RUN_ID")
glue = boto3.client("glue")
seen = glue.get_workflow_run_properties(Name=o["WORKFLOW_NAME"], RunId=o["WORKFLOW_RUN_ID"])["RunProperties"]
seen["written"] = seen["given"] + " and written"
seen["argv"] = sys.argv[at + 1]
glue.put_workflow_run_properties(Name=o["WORKFLOW_NAME"], RunId=o["WORKFLOW_RUN_ID"], RunProperties=seen)
"""

READER = """
import os, boto3
p = boto3.client("glue").get_workflow_run_properties(Name=os.environ["GLUE_WORKFLOW_NAME"], RunId=os.environ["GLUE_WORKFLOW_RUN_ID"])
print(p["RunProperties"]["written"])
"""


class PythonShell(Case):
    flags = ("--retry-delay", "0s", "--stop-grace", "2s", "--max-local-jobs", "32")
    options = {"python": None}  # environments as the server builds them

    @classmethod
    def prepare(cls):
        cls.runs = {}
        cls.start("timeout", "import time\ntime.sleep(600)", job={"Timeout": 1})
        cls.start("argv", ECHO, {
            "--b": "run", "--n": "ignored", "--empty": "", "--json": '{"k": [1, "x y"]}', "plain": "v", "--enable-metrics": "",
            "--job-bookmark-option": "job-bookmark-disable", "--TempDir": "s3://jobs/tmp", "--quote": "it's \"$HOME\" `id` \\ *\n-x", "--ü": "日本",
        }, job={"DefaultArguments": {"--a": "default", "--b": "default", "--n": "default"}, "NonOverridableArguments": {"--n": "fixed"}})
        cls.start("options", OPTIONS, {"--city": "Seattle", "--my-key": "5", "--TempDir": "s3://t", "--other": "x"})
        cls.start("missing-option", MISSING_OPTION)
        cls.start("exit-zero", "import sys\nsys.exit(0)")
        cls.start("exit-three", "import sys\nsys.exit(3)")
        cls.start("killed", "import os\nos.kill(os.getpid(), 9)")
        cls.start("raises", "def f():\n    raise ValueError('bad: value')\nf()")
        cls.start("chained", "try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise KeyError('after') from e")
        cls.start("syntax", "def f(:\n")
        cls.start("no-module", "import surely_not_there")
        cls.start("output", OUTPUT)
        cls.start("flaky", FLAKY, job={"MaxRetries": 1})
        cls.start("hopeless", "raise SystemError('always')", job={"MaxRetries": 2})
        cls.start("credentials", CREDENTIALS)
        cls.start("stubborn", STUBBORN)
        cls.start("polite", POLITE)
        cls.start("full", HOLD % "full-may-end")
        cls.start("queue", HOLD % "queue-may-end", job={"JobRunQueuingEnabled": True})
        cls.libraries()
        cls.glue.create_job(Name="gone", Role="r", Command={"Name": "pythonshell", "ScriptLocation": "s3://jobs/not/there.py"})
        cls.runs["gone"] = cls.glue.start_job_run(JobName="gone")["JobRunId"]
        cls.glue.create_job(Name="spark", Role="r", Command={"Name": "glueetl", "ScriptLocation": "s3://jobs/any.py"})
        cls.runs["spark"] = cls.glue.start_job_run(JobName="spark")["JobRunId"]

    @classmethod
    def libraries(cls):
        upload = cls.server.script
        upload("lib/lib_plain.py", "VALUE = 'plain'")
        upload("lib/zipped.zip", wheels.archive({"lib_zipped/__init__.py": "", "lib_zipped/inner.py": "VALUE = 'zipped'"}))
        upload("lib/lib_wheel-1.0-py3-none-any.whl", wheels.wheel("lib_wheel", "1.0", {"lib_wheel.py": "VALUE = 'wheel'"}))
        s3 = "s3://jobs/lib/"
        cls.start("libraries", LIBRARIES, {"--extra-py-files": f"{s3}lib_plain.py,{s3}zipped.zip,{s3}lib_wheel-1.0-py3-none-any.whl"})
        folder = tempfile.TemporaryDirectory(prefix="tenon-conformance-")
        cls.addClassCleanup(folder.cleanup)
        index = wheels.Index(folder.name, {
            "lib-index": ("lib_index-2.0-py3-none-any.whl", wheels.wheel("lib_index", "2.0", {"lib_index.py": "VALUE = 'index'"})),
        })
        cls.addClassCleanup(index.close)
        cls.start("modules", MODULES, {
            "--additional-python-modules": f"lib-index>=1,<3 --index-url {index.url},{s3}lib_wheel-1.0-py3-none-any.whl"})
        cls.start("bad-modules", "pass", {"--additional-python-modules": f"lib-absent==9 --index-url {index.url}"})

    @classmethod
    def start(cls, name, script, arguments=None, job=None):
        cls.server.job(name, textwrap.dedent(script), **(job or {}))
        cls.runs[name] = cls.glue.start_job_run(JobName=name, Arguments=arguments or {})["JobRunId"]

    def end(self, name, seconds=90):
        return self.server.job_end(name, self.runs[name], seconds)

    def says(self, name):
        self.assertEqual(self.succeeded(name)["JobRunState"], "SUCCEEDED")
        return json.loads(self.server.output(self.runs[name]))

    def succeeded(self, name):
        run = self.end(name)
        self.assertEqual(run["JobRunState"], "SUCCEEDED", run.get("ErrorMessage"))
        self.assertNotIn("ErrorMessage", run)
        return run

    def failed(self, name, message):
        run = self.end(name)
        self.assertEqual(run["JobRunState"], "FAILED")
        self.assertEqual(run["ErrorMessage"], message)
        return run

    def until_output(self, name, text):
        return tenon.until(f"{name} says {text!r}", lambda: [
            line for line in self.server.tenon("logs", self.runs[name], "--stream", "stdout", check=False).stdout.splitlines() if text in line], 90)

    # spec/jobs §3.1, §3.4

    def test_argv(self):
        seen = self.says("argv")
        argv = seen["argv"]
        self.assertTrue(argv[0].endswith("/argv.py"), argv[0])
        self.assertEqual(argv[1:5], ["--scriptLocation", "s3://jobs/scripts/argv.py", "--python-version", "3.9"])
        want = {"--a": "default", "--b": "run", "--n": "fixed", "--empty": None, "--json": '{"k": [1, "x y"]}', "plain": "v", "--enable-metrics": None,
                "--job-bookmark-option": "job-bookmark-disable", "--TempDir": "s3://jobs/tmp", "--quote": "it's \"$HOME\" `id` \\ *\n-x", "--ü": "日本"}
        got, rest = {}, argv[5:]
        while rest:
            key = rest.pop(0)
            got[key] = None if want.get(key, "") is None else rest.pop(0)
        self.assertEqual(got, want)
        self.assertEqual(seen["name"], "__main__")
        run = self.succeeded("argv")
        self.assertEqual(run["Arguments"]["--n"], "ignored")  # as sent, without the job's own (spec/jobs §12 U1)
        self.assertNotIn("--a", run["Arguments"])

    def test_environment(self):
        seen = self.says("argv")
        env = seen["env"]
        self.assertEqual(env["AWS_ENDPOINT_URL"], self.server.url)
        self.assertEqual((env["AWS_REGION"], env["AWS_DEFAULT_REGION"]), ("us-east-1", "us-east-1"))
        self.assertEqual((env["GLUE_JOB_NAME"], env["GLUE_JOB_RUN_ID"]), ("argv", self.runs["argv"]))
        self.assertEqual(env["PYTHONUNBUFFERED"], "1")
        self.assertIn("GLUE_INSTALLATION", env)
        self.assertEqual((env["HOME"], env["TMPDIR"]), (seen["cwd"], seen["cwd"]))
        self.assertNotIn("GLUE_WORKFLOW_NAME", env)
        self.assertEqual([k for k in env if k.startswith("TENON_") and k not in ("TENON_GLUE_FLAVOUR", "TENON_ATTEMPT")], [])
        self.assertNotIn(self.server.exports["AWS_SECRET_ACCESS_KEY"], json.dumps(env))

    def test_resolved_options(self):
        found = self.says("options")
        self.assertEqual({k: found[k] for k in ("city", "my_key", "TempDir")}, {"city": "Seattle", "my_key": "5", "TempDir": "s3://t"})
        self.assertNotIn("other", found)
        self.failed("missing-option", "Command failed with exit code 2")
        self.assertIn("the following arguments are required: --absent", self.server.output(self.runs["missing-option"], "stderr"))

    # spec/jobs §5.3

    def test_extra_py_files(self):
        self.assertEqual(self.says("libraries"), ["plain", "zipped", "wheel"])

    def test_additional_python_modules(self):
        self.assertEqual(self.says("modules"), ["index", "wheel"])
        run = self.end("bad-modules")
        self.assertEqual(run["JobRunState"], "FAILED")
        self.assertRegex(run["ErrorMessage"], "^LAUNCH ERROR \\| Installation of Additional Python Modules failed: ERROR: .*lib-absent")

    # spec/jobs §2.8

    def test_exit_codes_and_messages(self):
        self.succeeded("exit-zero")
        self.failed("exit-three", "Command failed with exit code 3")
        self.failed("killed", "Command failed with exit code 137")
        run = self.failed("raises", "ValueError: bad: value")
        self.assertEqual((run["Attempt"], run["CompletedOn"]), (0, run["LastModifiedOn"]))
        self.failed("chained", "KeyError: 'after'")
        self.assertTrue(self.end("syntax")["ErrorMessage"].startswith("SyntaxError: "), self.end("syntax"))
        self.failed("no-module", "ModuleNotFoundError: No module named 'surely_not_there'")
        trace = self.server.output(self.runs["raises"], "stderr")
        self.assertIn("raises.py\", line 2, in f", trace)
        self.assertNotIn("runscript", trace)

    def test_what_cannot_run_says_so(self):
        self.assertIn("s3://jobs/not/there.py", self.end("gone")["ErrorMessage"])
        self.failed("spark", "LAUNCH ERROR | Spark jobs are not supported by this server.")

    # spec/jobs §2.7

    def test_retries(self):
        first = self.failed("flaky", "RuntimeError: first time")
        second = self.server.job_end("flaky", first["Id"] + "_attempt_1")
        self.assertEqual((second["JobRunState"], second["Attempt"], second["PreviousRunId"]), ("SUCCEEDED", 1, first["Id"]))
        self.assertEqual(self.server.output(second["Id"]).strip(), "second time")
        last = tenon.until("two retries", lambda: [r for r in self.glue.get_job_runs(JobName="hopeless")["JobRuns"] if r["Attempt"] == 2])[0]
        self.server.job_end("hopeless", last["Id"])
        runs = self.glue.get_job_runs(JobName="hopeless")["JobRuns"]
        base = self.runs["hopeless"]
        self.assertEqual([r["Id"] for r in runs], [base + "_attempt_2", base + "_attempt_1", base])
        self.assertEqual([r.get("PreviousRunId") for r in runs], [base + "_attempt_1", base, None])
        self.assertEqual({r["ErrorMessage"] for r in runs}, {"SystemError: always"})

    def test_retry_by_hand(self):
        failed = self.failed("exit-three", "Command failed with exit code 3")
        again = self.glue.start_job_run(JobName="exit-three", JobRunId=failed["Id"])["JobRunId"]
        run = self.server.job_end("exit-three", again)
        self.assertEqual((again, run["PreviousRunId"]), (failed["Id"] + "_attempt_1", failed["Id"]))

    # spec/jobs §2.9

    def stop(self, name):
        reply = self.glue.batch_stop_job_run(JobName=name, JobRunIds=[self.runs[name]])
        self.assertEqual(len(reply["SuccessfulSubmissions"]), 1)
        run = self.end(name, 20)
        self.assertEqual((run["JobRunState"], run["ErrorMessage"]), ("STOPPED", "Job run was stopped by user request."))

    def test_stop_kills_the_group(self):
        """A job and its child that ignore SIGTERM are gone when the run is STOPPED."""
        line = tenon.until("it runs", lambda: self.server.tenon("logs", self.runs["stubborn"], "--stream", "stdout", check=False).stdout.split())
        self.stop("stubborn")
        for pid in map(int, line):
            with self.assertRaises(ProcessLookupError, msg="a process of a stopped job is alive"):
                os.kill(pid, 0)

    def test_stop_lets_a_script_clean_up(self):
        self.until_output("polite", "ready")
        self.stop("polite")
        self.until_output("polite", "cleaned up")

    def test_timeout(self):
        run = self.end("timeout", 80)
        self.assertEqual((run["JobRunState"], run["ErrorMessage"]), ("TIMEOUT", "Job run exceeded its timeout of 1 minutes."))
        self.assertTrue(59 <= run["ExecutionTime"] <= 75, run["ExecutionTime"])
        self.assertEqual(run["Timeout"], 1)

    # spec/jobs §2.6

    def test_concurrency_limit(self):
        self.until_output("full", "holding")
        with self.refused("ConcurrentRunsExceededException", "Concurrent runs exceeded for full", 400):
            self.glue.start_job_run(JobName="full")
        self.s3.put_object(Bucket="jobs", Key="full-may-end", Body=b"")
        self.succeeded("full")
        again = self.glue.start_job_run(JobName="full")["JobRunId"]  # the slot is free with the end, not later
        self.server.job_end("full", again)

    def test_queue(self):
        self.until_output("queue", "holding")
        queued = [self.glue.start_job_run(JobName="queue")["JobRunId"] for _ in range(3)]
        for run in queued:
            seen = self.server.job_run("queue", run)
            self.assertEqual(seen["JobRunState"], "WAITING")
            self.assertIn("Waiting for a concurrent run", seen["StateDetail"])
        reply = self.glue.batch_stop_job_run(JobName="queue", JobRunIds=[queued[1]])
        self.assertEqual(len(reply["SuccessfulSubmissions"]), 1)
        self.s3.put_object(Bucket="jobs", Key="queue-may-end", Body=b"")
        ends = [self.server.job_end("queue", run) for run in (self.runs["queue"], *queued)]
        self.assertEqual([r["JobRunState"] for r in ends], ["SUCCEEDED", "SUCCEEDED", "STOPPED", "SUCCEEDED"])
        self.assertLessEqual(ends[0]["CompletedOn"], ends[1]["CompletedOn"])
        self.assertLessEqual(ends[1]["CompletedOn"], ends[3]["CompletedOn"])

    # DESIGN §5, credentials

    def test_session_credentials(self):
        def stored():
            listed = self.s3.list_objects_v2(Bucket="jobs", Prefix="credentials.json")
            return json.loads(self.s3.get_object(Bucket="jobs", Key="credentials.json")["Body"].read()) if listed["KeyCount"] else None
        got = tenon.until("the job tells its credentials", stored)
        key = (got["AWS_ACCESS_KEY_ID"], got["AWS_SECRET_ACCESS_KEY"], got["AWS_SESSION_TOKEN"])
        self.assertNotEqual(key[0], self.server.exports["AWS_ACCESS_KEY_ID"])
        self.assertNotEqual(key[1], self.server.exports["AWS_SECRET_ACCESS_KEY"])
        glue, s3 = self.server.client("glue", credentials=key), self.server.client("s3", credentials=key)
        glue.list_workflows()
        s3.list_buckets()
        with self.refused("UnrecognizedClientException"):
            self.server.client("glue", credentials=(key[0], key[1], None)).list_workflows()
        self.s3.put_object(Bucket="jobs", Key="credentials-may-end", Body=b"")
        self.succeeded("credentials")
        with self.refused("ExpiredTokenException", status=400):
            glue.list_workflows()
        with self.refused("ExpiredToken", status=400):
            s3.list_buckets()

    # logs

    def test_output(self):
        self.succeeded("output")
        run = self.runs["output"]
        written = self.server.tenon("logs", run, "--stream", "stdout", errors="surrogateescape").stdout
        self.assertEqual(written.encode(errors="surrogateescape"),
                         "to stdout: ü 😀\n".encode() + b"raw \xff byte\n" + b"x" * 100000 + b"\nno newline at the end")
        self.assertIn("to stderr\n", self.server.output(run, "stderr"))
        stamped = self.server.tenon("logs", run, "--timestamps", "--stream", "stderr").stdout
        self.assertRegex(stamped, r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z to stderr$")
        done = self.server.tenon("logs", "jr_" + "0" * 64, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("does not exist", done.stderr)

    def test_follow(self):
        """`tenon logs --follow` shows what comes when it comes, and ends with the run."""
        self.server.job("followed", HOLD % "followed-may-end" + "print('last words')")
        run = self.glue.start_job_run(JobName="followed")["JobRunId"]
        tenon.until("it runs", lambda: self.server.job_run("followed", run)["JobRunState"] == "RUNNING")
        with subprocess.Popen([tenon.BIN, "logs", run, "--follow", "--stream", "stdout", "--data", str(self.server.data)],
                              stdout=subprocess.PIPE, text=True, env=tenon.clean_environment()) as follower:
            try:
                self.assertEqual(follower.stdout.readline(), "holding\n")
                self.assertIsNone(follower.poll())
                self.s3.put_object(Bucket="jobs", Key="followed-may-end", Body=b"")
                self.assertEqual(follower.communicate(timeout=20)[0], "last words\n")
                self.assertEqual(follower.returncode, 0)
            finally:
                follower.kill()

    # spec/workflows §5.4, §5.6

    def test_run_properties_in_jobs(self):
        g = self.glue
        self.server.job("writer", WRITER)
        self.server.job("reader", READER)
        g.create_workflow(Name="props", DefaultRunProperties={"given": "default"})
        g.create_trigger(Name="props-start", WorkflowName="props", Type="ON_DEMAND", Actions=[{"JobName": "writer"}])
        g.create_trigger(Name="props-then", WorkflowName="props", Type="CONDITIONAL", StartOnCreation=True, Actions=[{"JobName": "reader"}],
                         Predicate={"Conditions": [{"LogicalOperator": "EQUALS", "JobName": "writer", "State": "SUCCEEDED"}]})
        run = g.start_workflow_run(Name="props", RunProperties={"given": "ü"})["RunId"]
        ended = self.server.workflow_end("props", run)
        self.assertEqual((ended["Status"], ended["Statistics"]["SucceededActions"]), ("COMPLETED", 2))
        self.assertEqual(ended["WorkflowRunProperties"], {"given": "ü", "written": "ü and written", "argv": run})
        reader = [n for n in ended["Graph"]["Nodes"] if n["Name"] == "reader"][0]["JobDetails"]["JobRuns"][0]
        self.assertNotIn("Arguments", reader)
        self.assertEqual(self.server.output(reader["Id"]), "ü and written\n")
        self.assertIn("ü and written", self.server.tenon("logs", run).stdout)


if __name__ == "__main__":
    unittest.main()
