"""Leaves the same evidence as command job, as a Python-shell job would."""

import fcntl
import os
import sys
import time

options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
os.chdir(options["--evidence"])
with open("/proc/self/environ") as environ:  # as the process was started, whatever became of it since
    marks = [v for v in environ.read().split("\0") if v.startswith("TENON_ATTEMPT=")]
attempt = marks[0].partition("=")[2].partition("@")[0]
with open("/proc/self/stat") as stat:
    birth = stat.read().rpartition(")")[2].split()[19]
log = os.open("log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)


def say(line):
    os.write(log, (line + "\n").encode())


say(f"start {attempt} {options['--name']} {os.getpid()} {birth}")
base, _, nth = attempt.partition("_attempt_")
for name, limit in ((options["--name"], int(options["--limit"])), (base, 1)):
    for i in range(limit):
        try:
            fcntl.flock(os.open(f"lock-{name}-{i}", os.O_CREAT | os.O_RDWR, 0o600), fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            continue
    else:
        say(f"overlap {attempt} {name}")
time.sleep(float(options["--for"].removesuffix("s")))
code = 3 if int(nth or 0) < int(options["--fail"]) else 0
say(f"end {attempt} {code}")
sys.exit(code)
