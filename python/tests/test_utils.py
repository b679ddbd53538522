"""Every row of the table in spec/jobs §3.5, for both flavours of getResolvedOptions."""

import argparse
import contextlib
import io
import os
import sys
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from awsglue.utils import GlueArgumentError, getResolvedOptions  # noqa: E402

# What a call returns when nothing is given and nothing was declared.
NOTHING = {
    "job_bookmark_option": "job-bookmark-disable",
    "job_bookmark_from": None,
    "job_bookmark_to": None,
    "JOB_ID": None,
    "JOB_RUN_ID": None,
    "SECURITY_CONFIGURATION": None,
    "encryption_type": None,
    "enable_data_lineage": None,
    "RedshiftTempDir": None,
    "TempDir": None,
}
CHOSEN = object()  # an argument left out


def resolve(argv, options, abbrev=CHOSEN, flavour="spark", version="5.1"):
    """Calls under a given flavour and Glue version (None: variable missing); argv without script."""
    names = {"TENON_GLUE_FLAVOUR": flavour, "GLUE_VERSION": version}
    environment = {name: value for name, value in names.items() if value is not None}
    more = () if abbrev is CHOSEN else (abbrev,)
    with mock.patch.dict(os.environ, environment):
        for name, value in names.items():
            if value is None:
                os.environ.pop(name, None)
        return getResolvedOptions(["/tmp/job.py"] + argv, options, *more)


class Results(unittest.TestCase):
    def check(self, argv, options, want, **kind):
        """The result holds want beside the names that are always there, and nothing else."""
        self.assertEqual(resolve(argv, options, **kind), {**NOTHING, **want})

    def test_accepted(self):
        rows = [
            ("nothing declared, nothing given", [], [], {}),
            ("undeclared arguments", ["--other", "1", "stray", "--lone"], [], {}),
            ("declared", ["--a", "1"], ["a"], {"a": "1"}),
            ("dash in a name", ["--my-key", "v"], ["my-key"], {"my_key": "v"}),
            ("negative number", ["--a", "-5"], ["a"], {"a": "-5"}),
            ("dash and a space", ["--a", "-x y"], ["a"], {"a": "-x y"}),
            ("empty value", ["--a", ""], ["a"], {"a": ""}),
            ("JSON", ["--a", '{"k":1}'], ["a"], {"a": '{"k":1}'}),
            ("equals sign", ["--a=--b"], ["a"], {"a": "--b"}),
            ("repeated", ["--a", "1", "--a", "2"], ["a"], {"a": "2"}),
            ("id without declaring", ["--JOB_RUN_ID", "jr_1"], [], {"JOB_RUN_ID": "jr_1"}),
            ("job id without declaring", ["--JOB_ID", "j_1"], [], {"JOB_ID": "j_1"}),
            ("scratch", ["--TempDir", "s3://t"], [],
             {"TempDir": "s3://t", "RedshiftTempDir": "s3://t"}),
            ("scratch, other name", ["--RedshiftTempDir", "s3://r"], [],
             {"TempDir": "s3://r", "RedshiftTempDir": "s3://r"}),
            ("both scratch names", ["--RedshiftTempDir", "s3://r", "--TempDir", "s3://t"], [],
             {"TempDir": "s3://t", "RedshiftTempDir": "s3://r"}),
            ("scratch declared, absent", [], ["TempDir", "RedshiftTempDir"], {}),
            ("other registered names",
             ["--SECURITY_CONFIGURATION", "s", "--encryption-type", "sse-s3",
              "--enable-data-lineage", "true"], [],
             {"SECURITY_CONFIGURATION": "s", "encryption_type": "sse-s3",
              "enable_data_lineage": "true"}),
            ("workflow pair", ["--WORKFLOW_NAME", "w", "--WORKFLOW_RUN_ID", "wr_1"],
             ["WORKFLOW_NAME", "WORKFLOW_RUN_ID"],
             {"WORKFLOW_NAME": "w", "WORKFLOW_RUN_ID": "wr_1"}),
            ("legacy option", ["--continuation-option", "continuation-enabled"], [],
             {"job_bookmark_option": "job-bookmark-enable"}),
            ("legacy option beside the new one",
             ["--continuation-option", "x-enable", "--job-bookmark-option",
              "job-bookmark-disable"], [], {}),
            ("bookmark", ["--job-bookmark-option", "job-bookmark-enable"], [],
             {"job_bookmark_option": "job-bookmark-enable"}),
            ("paused", ["--job-bookmark-option", "job-bookmark-pause"], [],
             {"job_bookmark_option": "job-bookmark-pause"}),
            ("paused window",
             ["--job-bookmark-option", "job-bookmark-pause", "--job-bookmark-from", "jr_1",
              "--job-bookmark-to", "jr_2"], [],
             {"job_bookmark_option": "job-bookmark-pause", "job_bookmark_from": "jr_1",
              "job_bookmark_to": "jr_2"}),
        ]
        for name, argv, options, want in rows:
            for flavour in ("spark", "pythonshell", None):
                with self.subTest(name, flavour=flavour):
                    self.check(argv, options, want, flavour=flavour)

    def test_abbreviations(self):
        two = ["day_key", "day_val"]
        day = (["--day", "5"], ["day_key"], {"day_key": "5"})
        for version in ("0.9", "5.1", None, "", "strange"):
            with self.subTest(version=version):
                self.check(*day, version=version)
                self.check(["--enable", "v"], [], {"enable_data_lineage": "v"}, version=version)
        self.check(*day, version="6.0", abbrev=True)
        for kind in ({"version": "6.0"}, {"version": "10.1"}, {"version": "5.1", "abbrev": False}):
            with self.subTest(**kind):
                self.check(["--enable", "v", "--job", "5"], [], {}, **kind)
                with self.assertRaisesRegex(GlueArgumentError, "required: --day_key$"):
                    resolve(day[0], day[1], **kind)
        with self.assertRaises(GlueArgumentError) as caught:
            resolve(["--day", "5", "--day_key", "1", "--day_val", "1"], two)
        self.assertEqual(
            str(caught.exception), "ambiguous option: --day could match --day_key, --day_val"
        )
        # A whole name wins over the longer one that it begins.
        self.check(["--day", "1", "--day_key", "2"], ["day", "day_key"],
                   {"day": "1", "day_key": "2"})

    def test_result_is_a_plain_dict(self):
        self.assertIs(type(resolve([], [])), dict)


# (name, argv, options, message): faults of the command line, shown differently by each flavour.
REFUSED = [
    ("missing", [], ["JOB_NAME", "x"],
     "the following arguments are required: --JOB_NAME, --x"),
    ("wrong case", ["--job_name", "j"], ["JOB_NAME"],
     "the following arguments are required: --JOB_NAME"),
    ("value like a long option", ["--a", "--b"], ["a"], "argument --a: expected one argument"),
    ("value like a short option", ["--a", "-x"], ["a"], "argument --a: expected one argument"),
    ("flag", ["--flag", "--a", "1"], ["flag", "a"], "argument --flag: expected one argument"),
    ("flag at the end", ["--flag"], ["flag"], "argument --flag: expected one argument"),
    ("undeclared, begins registered names", ["--job", "5"], [], "ambiguous option: --job could match "),
    ("unknown bookmark mode", ["--job-bookmark-option", "on"], [],
     "argument --job-bookmark-option: invalid choice: 'on'"),
    ("unknown encryption", ["--encryption-type", "none"], [],
     "argument --encryption-type: invalid choice: 'none'"),
    ("unknown legacy word", ["--continuation-option", "maybe"], [],
     "argument --continuation-option: invalid choice: 'maybe'"),
]


class Errors(unittest.TestCase):
    def test_spark_raises(self):
        for name, argv, options, message in REFUSED:
            for flavour in ("spark", None):
                with self.subTest(name, flavour=flavour):
                    with self.assertRaises(GlueArgumentError) as caught:
                        resolve(argv, options, flavour=flavour)
                    self.assertTrue(str(caught.exception).startswith(message), caught.exception)
                    self.assertIsNone(caught.exception.__cause__)
                    self.assertTrue(caught.exception.__suppress_context__)

    def test_python_shell_exits(self):
        for name, argv, options, message in REFUSED:
            with self.subTest(name):
                out, err = io.StringIO(), io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    with self.assertRaises(SystemExit) as caught:
                        try:
                            resolve(argv, options, flavour="pythonshell")
                        except Exception:  # a script's own catch-all must not see it
                            self.fail("caught as Exception")
                self.assertEqual(caught.exception.code, 2)
                self.assertIsNot(type(caught.exception), SystemExit)
                self.assertEqual(out.getvalue(), "")
                self.assertTrue(err.getvalue().startswith("usage: job.py "), err.getvalue())
                self.assertIn("\njob.py: error: " + message, err.getvalue())

    def test_mistakes_of_the_script_raise_in_both(self):
        pause = ["--job-bookmark-option", "job-bookmark-pause"]
        first, last = ["--job-bookmark-from", "jr_1"], ["--job-bookmark-to", "jr_2"]
        conflict = "argument --%s: conflicting option string: --%s"
        rows = [
            ([], ["JOB_RUN_ID"], argparse.ArgumentError, conflict % (("JOB_RUN_ID",) * 2)),
            ([], ["JOB_ID"], argparse.ArgumentError, conflict % (("JOB_ID",) * 2)),
            ([], ["a", "a"], argparse.ArgumentError, conflict % (("a",) * 2)),
            ([], ["x", "job-bookmark-option"], RuntimeError,
             "Using reserved arguments job-bookmark-option"),
            ([], ["continuation-option"], RuntimeError,
             "Using reserved arguments continuation-option"),
            (pause + first, [], RuntimeError, "Missing option or value for --job-bookmark-to"),
            (pause + last, [], RuntimeError, "Missing option or value for --job-bookmark-from"),
            (pause + last + ["--job-bookmark-from", ""], [], RuntimeError,
             "Missing option or value for --job-bookmark-from"),
            (first + last, [], RuntimeError,
             "Invalid option(s)--job-bookmark-from --job-bookmark-to"),
            (last, [], RuntimeError, "Invalid option(s)--job-bookmark-to"),
        ]
        for argv, options, kind, message in rows:
            for flavour in ("spark", "pythonshell"):
                with self.subTest(message, flavour=flavour):
                    with self.assertRaises(kind) as caught:
                        resolve(argv, options, flavour=flavour)
                    self.assertEqual(str(caught.exception), message)

    def test_help_prints_usage_and_ends_well(self):
        for flavour in ("spark", "pythonshell"):
            out = io.StringIO()
            with contextlib.redirect_stdout(out), self.assertRaises(SystemExit) as caught:
                resolve(["--help"], ["a"], flavour=flavour)
            self.assertEqual(caught.exception.code, 0)
            self.assertIn("usage: job.py", out.getvalue())

    def test_empty_command_line(self):
        with self.assertRaisesRegex(GlueArgumentError, "required: --a$"):
            getResolvedOptions([], ["a"])


if __name__ == "__main__":
    unittest.main()
