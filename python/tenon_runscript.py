"""Runs one job script as ``__main__``, as if Python had been started on it.

    python -I -u tenon_runscript.py SCRIPT [ARGUMENT…]

What the script may rely on (spec/jobs §5.3): ``sys.argv`` is the script's path and the arguments,
untouched; ``sys.path`` begins with the entries of ``TENON_PYTHONPATH`` (folders and zips,
``os.pathsep`` between them, in that order), then the folder of this file, which holds ``awsglue``,
and ends with the script's folder: there a script called queue.py hides nobody's queue. SCRIPT is a Python source file or a zip archive with ``__main__.py`` at its root.

How it ends is Python's own way: ``sys.exit`` with a number, a text or nothing; 1 after an uncaught
exception, whose traceback begins at the script; 1 as well, with a sentence in the same form, when
there is no script to run. Nothing is written to stdout.

Every ``TENON_`` variable is taken out of the environment before the script starts, those in
``_STAYS`` excepted. Nothing is imported here that a plain script does not need: each millisecond
lies between the end of one job and the first line of the next.
"""

import os
import sys

# awsglue.utils reads this one when the script calls it, which may be in a child process.
# TENON_ATTEMPT tells whose process this is: what a script leaves behind is found by it.
_STAYS = ("TENON_ATTEMPT", "TENON_GLUE_FLAVOUR")
_ARCHIVE_SUFFIXES = (".zip", ".pyz", ".egg", ".whl")


def main() -> None:
    if len(sys.argv) < 2:
        sys.stderr.write("usage: tenon_runscript.py SCRIPT [ARGUMENT...]\n")
        sys.exit(2)
    script = sys.argv[1]
    del sys.argv[0]
    libraries = _clean_environment()
    try:
        archive = _is_archive(script)
        code = None if archive else _compile(script)
    except (OSError, ImportError, ValueError) as error:
        # Without frames Python would print no header, and the header is what marks the cause of a
        # failed run.
        sys.stderr.write("Traceback (most recent call last):\n")
        sys.stderr.write("%s: %s\n" % (type(error).__name__, error))
        sys.exit(1)
    except SyntaxError as error:
        _die(error)
    _set_path(script, libraries)
    try:
        if archive:
            _run_archive(script)
        else:
            _run_source(script, code)
    except SystemExit:
        raise
    except BaseException as error:
        _die(error)


def _clean_environment() -> list:
    """Removes this runtime's own variables; returns the library entries that one of them held."""
    libraries = os.environ.get("TENON_PYTHONPATH", "")
    for name in list(os.environ):
        if name.startswith("TENON_") and name not in _STAYS:
            del os.environ[name]
    return [entry for entry in libraries.split(os.pathsep) if entry]


def _set_path(script: str, libraries: list) -> None:
    first = []
    for entry in libraries + [os.path.dirname(os.path.abspath(__file__))]:
        if entry not in first:
            first.append(entry)
    sys.path[:0] = first
    # Last, because the folder is on no path at all on AWS, where scripts named like a module of
    # the standard library or of a package run well.
    sys.path.append(os.path.dirname(os.path.abspath(script)))


def _is_archive(script: str) -> bool:
    """Tells an archive from a source file; raises with a sentence when it is neither."""
    if os.path.isdir(script):
        raise IsADirectoryError(
            "script %s is a folder; name one .py file or one zip with __main__.py" % script
        )
    with open(script, "rb") as file:
        start = file.read(4)
    if start != b"PK\x03\x04" and not script.lower().endswith(_ARCHIVE_SUFFIXES):
        return False
    import zipimport

    try:
        importer = zipimport.zipimporter(script)
    except zipimport.ZipImportError:
        raise ImportError("script %s is not a readable zip archive" % script) from None
    try:
        importer.get_source("__main__")
    except zipimport.ZipImportError:
        raise ImportError(
            "script %s has no __main__.py at its root, so the archive cannot run" % script
        ) from None
    return True


def _compile(script: str) -> object:
    # Bytes, not text: the compiler itself knows byte-order marks, coding cookies and CRLF.
    with open(script, "rb") as file:
        return compile(file.read(), script, "exec", dont_inherit=True)


def _run_source(script: str, code: object) -> None:
    # Not runpy: importing it nearly doubles the start of a bare interpreter, and it takes the
    # module away again while threads and exit handlers of the script still need it.
    module = type(sys)("__main__")
    module.__file__ = script
    module.__cached__ = None
    module.__builtins__ = __builtins__
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


def _run_archive(script: str) -> None:
    import runpy

    runpy.run_path(script, run_name="__main__")


def _die(error: BaseException) -> None:
    """Reports an uncaught exception without the frames of this file, then ends with code 1."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    error.__traceback__ = trace
    try:
        # The script may have put its own hook there, which plain Python would call too.
        sys.excepthook(type(error), error, trace)
    except Exception:
        sys.__excepthook__(type(error), error, trace)
    # An interrupt keeps the code that a shell gives to it.
    sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)


def _is_ours(filename: str) -> bool:
    # runpy is part of the way to an archive; a script that happens to be called so is not.
    runpy = getattr(sys.modules.get("runpy"), "__file__", None)
    return filename in (__file__, "<frozen runpy>", runpy)


if __name__ == "__main__":
    main()
