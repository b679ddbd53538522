"""What the jobs share: the rules for a day's record, and numbers that stay exact.

Readings have one decimal. They are counted in whole tenths, so that sums and means come out the
same on every machine, and formatted only at the end.
"""

import csv
import datetime
import io
import re

COLUMNS = ["date", "precipitation", "temp_max", "temp_min", "wind", "weather"]
KINDS = ["drizzle", "fog", "rain", "snow", "sun"]
_READING = re.compile(r"-?[0-9]+\.[0-9]")


def rows(text):
    """Yields (line number, fields) of a CSV text; outer blanks and empty lines do not count."""
    reader = csv.reader(io.StringIO(text, newline=""))
    for fields in reader:
        if fields:
            yield reader.line_num, [field.strip() for field in fields]


def problems(text):
    """Returns [(line number, sentence)] with the first problem of every line that has one."""
    lines = list(rows(text))
    if not lines or lines[0][1] != COLUMNS:
        return [(1, "columns expected: " + " ".join(COLUMNS))]
    found, seen = [], set()
    for line, fields in lines[1:]:
        problem = _problem(fields, seen)
        if problem:
            found.append((line, problem))
    return found


def _problem(fields, seen):
    if len(fields) != len(COLUMNS):
        return "%d fields expected but %d found" % (len(COLUMNS), len(fields))
    day = dict(zip(COLUMNS, fields))
    try:
        # The round trip refuses other spellings that newer interpreters accept.
        if datetime.date.fromisoformat(day["date"]).isoformat() != day["date"]:
            raise ValueError
    except ValueError:
        return "date is not a day: " + day["date"]
    if day["date"] in seen:
        return "date occurs twice: " + day["date"]
    seen.add(day["date"])
    for name in COLUMNS[1:5]:
        if not _READING.fullmatch(day[name]):
            return "%s is not a number with one decimal: %s" % (name, day[name])
    for name in ("precipitation", "wind"):
        if tenths(day[name]) < 0:
            return "%s is negative: %s" % (name, day[name])
    if tenths(day["temp_min"]) > tenths(day["temp_max"]):
        return "temp_min %s is above temp_max %s" % (day["temp_min"], day["temp_max"])
    if day["weather"].lower() not in KINDS:
        return "weather is unknown: " + day["weather"]
    return None


def tenths(reading):
    """'-2.8' → -28."""
    return int(reading.replace(".", ""))


def decimal(number, digits):
    """Formats a whole number of 10^-digits: decimal(-28, 1) → '-2.8'."""
    sign = "-" if number < 0 else ""
    whole, rest = divmod(abs(number), 10**digits)
    return "%s%d.%0*d" % (sign, whole, digits, rest)


def mean(total, count):
    """Mean in degrees or the like, two decimals, of a total in tenths; halves go away from zero."""
    hundredths = (abs(total) * 20 + count) // (2 * count)
    return decimal(-hundredths if total < 0 else hundredths, 2)


def table(header, lines):
    """CSV text with plain line ends."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return out.getvalue()


def clean_days(text):
    """The records of clean.csv as dictionaries, with every reading in tenths."""
    days = []
    for day in csv.DictReader(io.StringIO(text, newline="")):
        for name in COLUMNS[1:5]:
            day[name] = tenths(day[name])
        days.append(day)
    return days
