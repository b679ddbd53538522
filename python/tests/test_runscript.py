"""The wrapper, run as the runtime runs it: a fresh isolated interpreter per case (spec/jobs §5.3)."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
import zipfile

WRAPPER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tenon_runscript.py"
)
HEADER = "Traceback (most recent call last):\n"


class Wrapper(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.realpath(folder.name)

    def write(self, name, content):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(content, str):
            content = textwrap.dedent(content).encode()
        with open(path, "wb") as file:
            file.write(content)
        return path

    def archive(self, name, **members):
        path = os.path.join(self.folder, name)
        with zipfile.ZipFile(path, "w") as file:
            for member, content in members.items():
                file.writestr(member + ".py", textwrap.dedent(content))
        return path

    def start(self, *argv, **environment):
        return subprocess.run(
            # -B only keeps the source tree clean.
            [sys.executable, "-I", "-u", "-B", WRAPPER, *argv],
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=self.folder, encoding="utf-8", timeout=60,
        )

    def run_source(self, source, *argv, **environment):
        return self.start(self.write("job.py", source), *argv, **environment)

    def ends(self, done, code, out="", err=""):
        self.assertEqual((done.returncode, done.stdout, done.stderr), (code, out, err))


class Surroundings(Wrapper):
    def test_argv_and_path(self):
        done = self.run_source(
            """
            import json, sys
            print(json.dumps([sys.argv, sys.path[:3], sys.path[-1], __name__, __file__]))
            """,
            "--a", "x y", "", "--é",
            TENON_PYTHONPATH=os.pathsep.join(["/lib/one", "", "/lib/two.zip", "/lib/one"]),
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        job = os.path.join(self.folder, "job.py")
        self.assertEqual(json.loads(done.stdout), [
            [job, "--a", "x y", "", "--é"],
            ["/lib/one", "/lib/two.zip", os.path.dirname(WRAPPER)], self.folder,
            "__main__", job,
        ])

    def test_relative_script(self):
        self.write("sibling.py", "NAME = 'beside'")
        self.write("job.py", "import sys, sibling; print(sys.argv, sibling.NAME)")
        self.ends(self.start("job.py"), 0, "['job.py'] beside\n")

    def test_order_of_imports(self):
        """Libraries in their order before the stdlib, the script's folder after everything."""
        for name, value in (("a.py", "script"), ("b.py", "script"), ("queue.py", "script"),
                            ("one/b.py", "one"), ("two/b.py", "two"), ("two/colorsys.py", "two")):
            self.write(name, "WHERE = %r" % value)
        zipped = self.archive("three.zip", c="WHERE = 'zip'", colorsys="WHERE = 'zip'")
        path = os.pathsep.join([os.path.join(self.folder, "one"),
                                os.path.join(self.folder, "two"), zipped])
        done = self.run_source(
            "import a, b, c, colorsys, queue\n"
            "print(a.WHERE, b.WHERE, c.WHERE, colorsys.WHERE, queue.Queue)",
            TENON_PYTHONPATH=path,
        )
        self.ends(done, 0, "script one zip two <class 'queue.Queue'>\n")

    def test_environment(self):
        done = self.run_source(
            """
            import os
            print(sorted((k, v) for k, v in os.environ.items() if "TENON" in k or k == "KEEP"))
            """,
            TENON_PYTHONPATH="/x", TENON_OTHER="secret", TENON_GLUE_FLAVOUR="spark", TENON_ATTEMPT="jr", KEEP="1",
            MY_TENON_X="2",
        )
        self.ends(done, 0,
                  "[('KEEP', '1'), ('MY_TENON_X', '2'), ('TENON_ATTEMPT', 'jr'), ('TENON_GLUE_FLAVOUR', 'spark')]\n")

    def test_main_module_outlives_the_script(self):
        """Exit handlers, threads and pickled classes still find the script's globals."""
        done = self.run_source(
            """
            import atexit, pickle, sys, threading
            class Thing: pass
            value = "kept"
            pickle.loads(pickle.dumps(Thing()))
            atexit.register(lambda: print(value, sys.modules["__main__"].value))
            threading.Timer(0.05, lambda: print("thread", value)).start()
            """
        )
        self.ends(done, 0, "thread kept\nkept kept\n")

    def test_nothing_of_the_wrapper_is_visible(self):
        self.ends(self.run_source("print([n for n in dir() if not n.startswith('__')])"),
                  0, "[]\n")

    def test_only_awsglue_utils(self):
        self.ends(self.run_source("from awsglue.utils import getResolvedOptions, GlueArgumentError"),
                  0)
        done = self.run_source("from awsglue.transforms import *")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.splitlines()[-1],
                         "ModuleNotFoundError: No module named 'awsglue.transforms'")

    def test_missing_argument_per_flavour(self):
        source = """
            import sys
            from awsglue.utils import getResolvedOptions
            try:
                getResolvedOptions(sys.argv, ["JOB_NAME"])
            except Exception as error:
                print(type(error).__name__, error)
            """
        text = "the following arguments are required: --JOB_NAME"
        done = self.run_source(source, TENON_GLUE_FLAVOUR="pythonshell")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr.splitlines()[-1], "job.py: error: " + text)
        self.ends(self.run_source(source, TENON_GLUE_FLAVOUR="spark"),
                  0, "GlueArgumentError " + text + "\n")


class Sources(Wrapper):
    def test_encodings_and_line_ends(self):
        rows = {
            "CRLF": b"x = '''a\r\nb'''\r\nprint(ascii(x))\r\n",
            "byte-order mark": b"\xef\xbb\xbfx = 'a\\nb'\nprint(ascii(x))\n",
            "both": b"\xef\xbb\xbfx = 'a\\nb'\r\nprint(ascii(x))\r\n",
            "cookie": b"# -*- coding: latin-1 -*-\nx = 'a\\nb' if '\xe9' == chr(233) else ''\n"
                      b"print(ascii(x))",
            "future import stays its own": b"x = 'a\\nb'\ndef f(a: 1): pass\n"
                                           b"assert f.__annotations__ == {'a': 1}\n"
                                           b"print(ascii(x))",
        }
        for name, content in rows.items():
            with self.subTest(name):
                self.ends(self.start(self.write("job.py", content)), 0, "'a\\nb'\n")

    def test_odd_names(self):
        for name in ("with space.py", "no_suffix", "dash-ed.py", "é.py", "runpy.py"):
            with self.subTest(name):
                path = self.write(name, "raise KeyError(1)")
                done = self.start(path)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stderr.splitlines()[1],
                                 '  File "%s", line 1, in <module>' % path)

    def test_archive(self):
        members = {
            "__main__": """
                import sys, helper
                print(sys.argv[1:], __name__, helper.NAME, sys.argv[0] == sys.path[0])
                """,
            "helper": "NAME = 'inside'",
        }
        for name in ("job.zip", "job.pyz", "named_otherwise"):
            with self.subTest(name):
                path = self.archive(name, **members)
                self.ends(self.start(path, "--a", "1"), 0,
                          "['--a', '1'] __main__ inside True\n")

    def test_failing_archive(self):
        path = self.archive("job.zip", __main__="def f():\n    raise ValueError('no')\nf()\n")
        done = self.start(path)
        self.assertEqual(done.returncode, 1)
        lines = done.stderr.splitlines()
        self.assertEqual(lines[0] + "\n", HEADER)
        self.assertIn(os.path.join(path, "__main__.py"), lines[1])
        self.assertEqual(lines[-1], "ValueError: no")
        self.assertNotIn("runpy", done.stderr)

    def test_nothing_to_run(self):
        missing = os.path.join(self.folder, "missing.py")
        empty = self.archive("empty.zip", other="pass")
        broken = self.write("broken.zip", "no archive")
        cut = self.write("cut", b"PK\x03\x04 and no more")
        rows = [
            (missing, "FileNotFoundError: [Errno 2] No such file or directory: %r" % missing),
            (self.folder, "IsADirectoryError: script %s is a folder; name one .py file or one zip"
                          " with __main__.py" % self.folder),
            (empty, "ImportError: script %s has no __main__.py at its root, so the archive cannot"
                    " run" % empty),
            (broken, "ImportError: script %s is not a readable zip archive" % broken),
            (cut, "ImportError: script %s is not a readable zip archive" % cut),
        ]
        for path, message in rows:
            with self.subTest(message):
                self.ends(self.start(path), 1, "", HEADER + message + "\n")
        self.ends(self.start(), 2, "", "usage: tenon_runscript.py SCRIPT [ARGUMENT...]\n")


class Ends(Wrapper):
    def test_exit(self):
        rows = [
            ("pass", 0, ""),
            ("import sys; sys.exit()", 0, ""),
            ("import sys; sys.exit(0)", 0, ""),
            ("import sys; sys.exit(7)", 7, ""),
            ("import sys; sys.exit(True)", 1, ""),
            ("import sys; sys.exit('reason')", 1, "reason\n"),
            ("raise SystemExit(['list'])", 1, "['list']\n"),
            ("import os; os._exit(9)", 9, ""),
            ("exit(3)", 3, ""),
        ]
        for source, code, err in rows:
            with self.subTest(source):
                self.ends(self.run_source(source), code, "", err)

    def test_same_traceback_as_plain_python(self):
        """The whole report equals what the interpreter writes when it is started on the script."""
        rows = [
            "def f():\n    1 / 0\nf()\n",
            "try:\n    1 / 0\nexcept Exception as e:\n    raise KeyError('k') from e\n",
            "try:\n    1 / 0\nexcept Exception:\n    raise KeyError('k')\n",
            "class E(Exception): pass\nraise E('two\\nlines')\n",
            "import no_such_module\n",
            "if:\n",
            "x = (1]\n",
            "x = 'é'; y = = 1\n",
            "def f(): f()\nf()\n",
            "import sys\nsys.excepthook = lambda *a: sys.stderr.write('hook\\n')\nraise OSError\n",
        ]
        for source in rows:
            with self.subTest(source):
                path = self.write("job.py", source)
                plain = subprocess.run(
                    [sys.executable, "-I", "-u", "-B", path], cwd=self.folder, timeout=60,
                    env={"PATH": os.environ["PATH"]}, encoding="utf-8",
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                )
                ours = self.start(path)
                self.assertEqual(ours.returncode, 1)
                if "def f(): f()" in source:
                    # Frames of the wrapper count against the recursion limit, so only the number
                    # of repeated lines differs.
                    self.assertEqual(ours.stderr.splitlines()[-1], plain.stderr.splitlines()[-1])
                    self.assertNotIn("tenon_runscript", ours.stderr)
                else:
                    self.ends(ours, 1, plain.stdout, plain.stderr)

    def test_interrupt(self):
        done = self.run_source("raise KeyboardInterrupt")
        self.assertEqual(done.returncode, 130)
        self.assertEqual(done.stderr.splitlines()[-1], "KeyboardInterrupt")
        self.assertNotIn("tenon_runscript", done.stderr)

    def test_broken_hook_falls_back(self):
        done = self.run_source("import sys; sys.excepthook = None; raise ValueError('v')")
        self.assertEqual((done.returncode, done.stderr.splitlines()[-1]), (1, "ValueError: v"))

    def test_closed_stdout(self):
        """A reader that went away gives Python's own BrokenPipeError and exit code 1."""
        path = self.write("job.py", "import sys\nsys.stdin.read()\nprint('x')\n")
        process = subprocess.Popen(
            [sys.executable, "-I", "-u", "-B", WRAPPER, path], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
        )
        process.stdout.close()
        process.stdin.close()  # only now may the script go on to print
        err = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(60), 1)
        self.assertIn("BrokenPipeError", err)
        self.assertNotIn("tenon_runscript", err)


if __name__ == "__main__":
    unittest.main()
