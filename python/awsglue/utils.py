"""Job arguments for scripts: ``getResolvedOptions`` and ``GlueArgumentError`` (spec/jobs §3.5).

The same call behaves in two ways, as on AWS. Where ``TENON_GLUE_FLAVOUR`` is ``pythonshell``, a
wrong command line prints usage and error on stderr and ends the process with exit code 2; in any
other case it raises ``GlueArgumentError``. Mistakes in the *script* (reserved names, a name
declared twice) raise in both.

``GLUE_VERSION`` decides about abbreviated option names: up to 5.1 (and where the variable is
missing) ``--day`` fills ``day_key``, from 6.0 on only whole names count.
"""

import argparse
import os
import sys
from typing import Any, Dict, List, NoReturn, Optional, Sequence

__all__ = ["GlueArgumentError", "getResolvedOptions"]

_FLAVOUR_VARIABLE = "TENON_GLUE_FLAVOUR"
_VERSION_VARIABLE = "GLUE_VERSION"

# Names that every parser knows, so that jobs may receive them undeclared.
_BOOKMARK_MODES = ("job-bookmark-enable", "job-bookmark-disable", "job-bookmark-pause")
_OPTIONAL = (
    "job-bookmark-from",
    "job-bookmark-to",
    "JOB_ID",
    "JOB_RUN_ID",
    "SECURITY_CONFIGURATION",
    "enable-data-lineage",
    "RedshiftTempDir",
    "TempDir",
)
# A script may name these two, and they stay optional.
_MAY_BE_NAMED = frozenset(("TempDir", "RedshiftTempDir"))
# JOB_ID and JOB_RUN_ID are not here: AWS's check overlooks them, and a script that declares one
# meets argparse's own conflict error instead.
_RESERVED = frozenset(
    (
        "job-bookmark-option",
        "continuation-option",
        "job-bookmark-from",
        "job-bookmark-to",
        "SECURITY_CONFIGURATION",
        "encryption-type",
        "enable-data-lineage",
    )
)
# The words of the legacy option are not settled by any source, so its last word is read.
_CONTINUATION_WORDS = {
    "enable": "job-bookmark-enable",
    "enabled": "job-bookmark-enable",
    "disable": "job-bookmark-disable",
    "disabled": "job-bookmark-disable",
    "pause": "job-bookmark-pause",
    "paused": "job-bookmark-pause",
}


class GlueArgumentError(Exception):
    """The job's arguments do not fit the names that the script declared."""


class _ArgumentExit(SystemExit):
    """Ends a Python-shell job with exit code 2; ``except Exception`` does not catch it."""

    def __init__(self, message: str) -> None:
        super().__init__(2)
        self.message = message


class _Parser(argparse.ArgumentParser):
    """argparse that reports a wrong command line the way the job's flavour does."""

    def error(self, message: str) -> NoReturn:
        if os.environ.get(_FLAVOUR_VARIABLE) == "pythonshell":
            self.print_usage(sys.stderr)
            sys.stderr.write("%s: error: %s\n" % (self.prog, message))
            raise _ArgumentExit(message) from None
        raise GlueArgumentError(message) from None


def getResolvedOptions(  # noqa: N802 – Glue's name
    args: Sequence[str],
    options: Sequence[str],
    allow_abbrev: Optional[bool] = None,
) -> Dict[str, Any]:
    """Reads the named options out of a job's command line.

    args: the command line with the script's own path first, normally ``sys.argv``.
    options: names without dashes; each must be given, ``TempDir`` and ``RedshiftTempDir`` excepted.
    allow_abbrev: whether a unique prefix stands for a name; the run's Glue version decides if None.

    Returns every known name (dashes turned into underscores) with its text, or None when it was not
    given. Arguments that nobody declared are ignored; of a repeated one the last counts.
    Raises GlueArgumentError, or ends a Python-shell job with code 2, when a name is missing, has no
    value or is ambiguous; RuntimeError for reserved names and for bookmark options that do not fit
    together; argparse.ArgumentError for a name that is registered twice.
    """
    reserved = [name for name in options if name in _RESERVED]
    if reserved:
        raise RuntimeError("Using reserved arguments " + ",".join(reserved))
    if allow_abbrev is None:
        allow_abbrev = _version_allows_abbreviations(os.environ.get(_VERSION_VARIABLE, ""))

    parser = _build_parser(args, options, allow_abbrev)
    known, _ = parser.parse_known_args(list(args[1:]))
    values: Dict[str, Any] = vars(known)
    _settle_bookmark(parser, values)
    # Either name of the scratch location answers for both.
    if values["TempDir"] is None:
        values["TempDir"] = values["RedshiftTempDir"]
    elif values["RedshiftTempDir"] is None:
        values["RedshiftTempDir"] = values["TempDir"]
    return values


def _version_allows_abbreviations(version: str) -> bool:
    """True below Glue 6; an absent or odd version counts as old, which is the lenient side."""
    major = version.strip().partition(".")[0]
    return not (major.isdigit() and int(major) >= 6)


def _build_parser(args: Sequence[str], options: Sequence[str], allow_abbrev: bool) -> _Parser:
    prog = os.path.basename(args[0]) if args else "script"
    parser = _Parser(prog=prog, allow_abbrev=allow_abbrev)
    parser.add_argument("--job-bookmark-option", choices=_BOOKMARK_MODES)
    parser.add_argument("--continuation-option")
    parser.add_argument("--encryption-type", choices=("sse-s3",))
    for name in _OPTIONAL:
        parser.add_argument("--" + name)
    for name in options:
        if name not in _MAY_BE_NAMED:
            parser.add_argument("--" + name, required=True)
    return parser


def _settle_bookmark(parser: _Parser, values: Dict[str, Any]) -> None:
    """Translates the legacy option, fills the default and checks the window of a paused bookmark."""
    legacy = values.pop("continuation_option")
    if legacy is not None:
        mode = _CONTINUATION_WORDS.get(legacy.rpartition("-")[2])
        if mode is None:
            parser.error("argument --continuation-option: invalid choice: %r" % legacy)
        if values["job_bookmark_option"] is None:
            values["job_bookmark_option"] = mode
    if values["job_bookmark_option"] is None:
        values["job_bookmark_option"] = "job-bookmark-disable"

    given: List[str] = []
    absent: List[str] = []
    for name in ("job-bookmark-from", "job-bookmark-to"):
        (given if values[name.replace("-", "_")] else absent).append("--" + name)
    if values["job_bookmark_option"] == "job-bookmark-pause":
        # A pause without a window is legal; half a window is not.
        if len(absent) == 1:
            raise RuntimeError("Missing option or value for " + absent[0])
    elif given:
        raise RuntimeError("Invalid option(s)" + " ".join(given))
