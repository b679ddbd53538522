"""What the black-box tests share: a server of their own, its clients, and waiting.

A Server is the built binary on a data directory of its own and a free port. It
passes on nothing of the caller's AWS settings, and when it is closed it ends the
processes that it started, by their ids, and fails if its log tells of a panic.
"""

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ["TENON_BIN"]
CLIENTS = pathlib.Path(os.environ["TENON_CLIENTS"])

TERMINAL = {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"}
BUCKET = "jobs"


class Deadline(AssertionError):
    """Something did not come true in time."""


def until(what, probe, seconds=30, pause=0.05):
    """Calls probe until it returns something true, which is returned."""
    end = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise Deadline(f"not within {seconds} s: {what}; last seen: {found!r}")
        time.sleep(pause)


def clean_environment():
    """The caller's environment without settings of AWS clients, and without its home's."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    env["AWS_CONFIG_FILE"] = env["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    env["AWS_EC2_METADATA_DISABLED"] = "true"
    return env


class Server:
    """A running `tenon serve`.

    python: an interpreter that jobs use as it is. By default the one of the clients,
    which has boto3, so that no environment is built; None lets the server build its own
    in a cache that all runs share.
    """

    def __init__(self, *flags, python=CLIENTS / "python"):
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="tenon-conformance-"))
        self.log_file = self.data / "server.log"
        self.flags = [*flags]
        if python:
            self.flags += ["--python", str(python)]
        else:
            self.flags += ["--cache-dir", str(ROOT / ".cache" / "jobs")]
        self.process = None
        self._made = {}
        try:
            self.start()
        except BaseException:
            self.kill_all()
            raise

    def start(self):
        endpoint = self.data / "endpoint"
        endpoint.unlink(missing_ok=True)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [BIN, "serve", "--data", str(self.data), "--listen", "127.0.0.1:0", *self.flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment())

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"serve ended with {self.process.returncode}:\n{self.log()}")
            return endpoint.exists() and endpoint.read_text().split(maxsplit=1)[:1]

        [self.url] = until("the server announces itself", ready)
        until("the server is healthy", self.healthy)
        self.exports = self._exports()

    def healthy(self):
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(self.url + "/_tenon/health", timeout=5) as reply:
                return json.load(reply)["status"] == "ok"
        return False

    def log(self):
        return self.log_file.read_text(errors="replace")

    def _exports(self):
        """What `tenon env` exports, as a shell would understand it."""
        found = {}
        for line in self.tenon("env").stdout.splitlines():
            words = shlex.split(line)
            if words[:1] == ["export"]:
                name, value = words[1].split("=", 1)
                found[name] = value
        return found

    @property
    def environment(self):
        return clean_environment() | self.exports

    def tenon(self, *args, check=True, **kw):
        """Runs a command of the binary on this data directory."""
        return self._run([BIN, *args, "--data", str(self.data)], clean_environment(), check, **kw)

    def aws(self, *args, check=True, **kw):
        """Runs the AWS CLI with the credentials of `tenon env`."""
        return self._run([str(CLIENTS / "aws"), *args], self.environment, check, **kw)

    def aws_json(self, *args):
        text = self.aws(*args, "--output", "json").stdout
        return json.loads(text) if text.strip() else {}

    @staticmethod
    def _run(command, env, check, timeout=120, **kw):
        done = subprocess.run(command, env=env, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout, **kw)
        if check and done.returncode != 0:
            raise AssertionError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def client(self, service, credentials=None, **config):
        """A boto3 client; the plain one of each service is made once."""
        import boto3
        from botocore.config import Config

        key = service if not config and not credentials else None
        if key in self._made:
            return self._made[key]
        c = credentials or (self.exports["AWS_ACCESS_KEY_ID"], self.exports["AWS_SECRET_ACCESS_KEY"], None)
        made = boto3.session.Session().client(
            service, endpoint_url=self.url, region_name=self.exports["AWS_REGION"], aws_access_key_id=c[0],
            aws_secret_access_key=c[1], aws_session_token=c[2], config=Config(**({"retries": {"max_attempts": 1}} | config)))
        if key:
            self._made[key] = made
        return made

    @property
    def glue(self):
        return self.client("glue")

    @property
    def s3(self):
        return self.client("s3")

    def script(self, name, text):
        """Stores a job script and returns its location."""
        with contextlib.suppress(self.s3.exceptions.BucketAlreadyOwnedByYou):
            self.s3.create_bucket(Bucket=BUCKET)
        body = text if isinstance(text, bytes) else text.encode()
        self.s3.put_object(Bucket=BUCKET, Key=name, Body=body)
        return f"s3://{BUCKET}/{name}"

    def job(self, name, script, **members):
        """Creates a Python-shell job of a script's text."""
        location = self.script(f"scripts/{name}.py", script)
        self.glue.create_job(**({
            "Name": name, "Role": "arn:aws:iam::123456789012:role/any",
            "Command": {"Name": "pythonshell", "PythonVersion": "3.9", "ScriptLocation": location},
        } | members))

    def job_run(self, job, run):
        return self.glue.get_job_run(JobName=job, RunId=run)["JobRun"]

    def job_end(self, job, run, seconds=60):
        """Waits for a job run's end."""
        def ended():
            seen = self.job_run(job, run)
            return seen if seen["JobRunState"] in TERMINAL else None
        return until(f"job run {run} of {job} ends", ended, seconds)

    def workflow_end(self, workflow, run, seconds=60):
        """Waits for a workflow run's end; with its graph."""
        def ended():
            seen = self.glue.get_workflow_run(Name=workflow, RunId=run, IncludeGraph=True)["Run"]
            return seen if seen["Status"] not in ("RUNNING", "STOPPING") else None
        return until(f"run {run} of {workflow} ends", ended, seconds)

    def output(self, run, stream="stdout"):
        """What a job run wrote, as `tenon logs` prints it; the server's own notices are in stderr."""
        return self.tenon("logs", run, "--stream", stream).stdout

    def _processes(self):
        """Ids of processes whose command line names this data directory."""
        mark = str(self.data).encode()
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if mark in (entry / "cmdline").read_bytes():
                        yield int(entry.name)

    def kill_all(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for _ in range(3):  # the launcher first, then what was forked meanwhile
            for pid in list(self._processes()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.data, ignore_errors=True)

    def close(self):
        """Ends the server as an operator would, then everything it left running."""
        log = ""
        try:
            self.process.terminate()
            code = self.process.wait(timeout=20)
            log = self.log()
            assert code == 0, f"serve ended with {code} on SIGTERM:\n{log[-4000:]}"
            assert "panic" not in log and "goroutine " not in log, f"the server panicked:\n{log[-8000:]}"
            assert self.exports["AWS_SECRET_ACCESS_KEY"] not in log, "a secret is in the log"
        finally:
            self.kill_all()
