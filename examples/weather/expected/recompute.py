"""Computes the expected results a second way, with SQL over the raw files.

    python3 examples/weather/expected/recompute.py           writes the files beside this script
    python3 examples/weather/expected/recompute.py --check   compares them, exit code 1 if they differ

It shares no code with the job scripts: readings are rounded and grouped by SQLite, spells are found
with window functions, malformed lines with patterns. Two ways, one answer, byte for byte.
"""

import hashlib
import os
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RAW = os.path.join(HERE, "..", "s3", "tenon-weather", "raw")
LOAD = "CREATE TABLE line (number INTEGER PRIMARY KEY, text TEXT)"

# SQLite splits the lines itself: field n is what lies between the commas n-1 and n.
FIELDS = """
CREATE TABLE field AS
WITH RECURSIVE split(number, n, value, rest) AS (
  SELECT number, 0, NULL, text || ',' FROM line WHERE number > 1
  UNION ALL
  SELECT number, n + 1, substr(rest, 1, instr(rest, ',') - 1), substr(rest, instr(rest, ',') + 1)
  FROM split WHERE rest <> ''
)
SELECT number, n, value FROM split WHERE n > 0
"""

DAYS = """
CREATE TABLE day AS
SELECT max(value) FILTER (WHERE n = 1) AS date,
       CAST(replace(max(value) FILTER (WHERE n = 2), '.', '') AS INTEGER) AS rain,
       CAST(replace(max(value) FILTER (WHERE n = 3), '.', '') AS INTEGER) AS high,
       CAST(replace(max(value) FILTER (WHERE n = 4), '.', '') AS INTEGER) AS low,
       CAST(replace(max(value) FILTER (WHERE n = 5), '.', '') AS INTEGER) AS wind,
       max(value) FILTER (WHERE n = 6) AS kind
FROM field GROUP BY number ORDER BY date
"""

CLEAN = """
SELECT date, printf('%.1f', rain / 10.0), printf('%.1f', high / 10.0), printf('%.1f', low / 10.0),
       printf('%.1f', wind / 10.0), kind, mean2(high + low, 2), iif(rain, 'wet', 'dry')
FROM day ORDER BY date
"""
MONTHLY = """
SELECT strftime('%Y-%m', date) AS m, count(*), printf('%.1f', sum(rain) / 10.0), sum(rain > 0),
       mean2(sum(high), count(*)), mean2(sum(low), count(*)), printf('%.1f', max(wind) / 10.0)
FROM day GROUP BY m ORDER BY m
"""
YEARLY = """
SELECT strftime('%Y', date) AS y, count(*), printf('%.1f', sum(rain) / 10.0), sum(rain > 0),
       mean2(sum(high + low), 2 * count(*)), sum(kind = 'drizzle'), sum(kind = 'fog'),
       sum(kind = 'rain'), sum(kind = 'snow'), sum(kind = 'sun')
FROM day GROUP BY y ORDER BY y
"""
EXTREME = "SELECT date, printf('%.1f', ({0}) / 10.0) FROM day ORDER BY {0} {1}, date LIMIT 1"
# Gaps and islands: within a spell, the day number less the rank among its kind stays the same.
SPELL = """
WITH ranked AS (
  SELECT date, julianday(date) - row_number() OVER (ORDER BY date) AS island
  FROM day WHERE (rain > 0) = ?
)
SELECT count(*) AS days, min(date), max(date) FROM ranked GROUP BY island
ORDER BY days DESC, min(date) LIMIT 1
"""

# Of several problems in one line the first of these counts.
READING = ["precipitation", "temp_max", "temp_min", "wind"]
PROBLEMS = """
WITH wide AS (
  SELECT number, count(*) AS fields,
         max(value) FILTER (WHERE n = 1) AS date, max(value) FILTER (WHERE n = 2) AS precipitation,
         max(value) FILTER (WHERE n = 3) AS temp_max, max(value) FILTER (WHERE n = 4) AS temp_min,
         max(value) FILTER (WHERE n = 5) AS wind, max(value) FILTER (WHERE n = 6) AS weather
  FROM field GROUP BY number
)
SELECT number, CASE
  WHEN fields <> 6 THEN printf('6 fields expected but %d found', fields)
  WHEN date(julianday(date)) IS NOT date THEN 'date is not a day: ' || date
  WHEN EXISTS (SELECT 1 FROM wide AS w WHERE w.date = wide.date AND w.number < wide.number
               AND w.fields = 6) THEN 'date occurs twice: ' || date
  READINGS
  WHEN CAST(precipitation AS REAL) < 0 THEN 'precipitation is negative: ' || precipitation
  WHEN CAST(wind AS REAL) < 0 THEN 'wind is negative: ' || wind
  WHEN CAST(temp_min AS REAL) > CAST(temp_max AS REAL)
    THEN 'temp_min ' || temp_min || ' is above temp_max ' || temp_max
  WHEN weather NOT IN ('drizzle', 'fog', 'rain', 'snow', 'sun') THEN 'weather is unknown: ' || weather
END AS problem
FROM wide WHERE problem IS NOT NULL ORDER BY number
""".replace("READINGS", "\n  ".join(
    "WHEN printf('%%.1f', %s) <> %s THEN '%s is not a number with one decimal: ' || %s"
    % (name, name, name, name) for name in READING
))


def mean2(total, count):
    """Mean of a total in tenths, two decimals, from the digits of a long division."""
    digits = abs(total) * 100 // count  # thousandths, cut
    hundredths = digits // 10 + (digits % 10 >= 5)
    text = str(hundredths).zfill(3)
    return ("-" if total < 0 and hundredths else "") + text[:-2] + "." + text[-2:]


def load(name):
    with open(os.path.join(RAW, name), "rb") as file:
        body = file.read()
    base = sqlite3.connect(":memory:")
    base.create_function("mean2", 2, mean2)
    base.execute(LOAD)
    base.executemany("INSERT INTO line (text) VALUES (?)",
                     ((text,) for text in body.decode().splitlines()))
    base.execute(FIELDS)
    return body, base


def lines(header, rows):
    return "".join(",".join(map(str, row)) + "\n" for row in [header.split(), *rows])


def success():
    body, base = load("seattle-weather.csv")
    base.execute(DAYS)
    ask = lambda sql, *values: base.execute(sql, values).fetchall()  # noqa: E731
    months, years = ask(MONTHLY), ask(YEARLY)
    top = {name: ask(EXTREME.format(what, order))[0] for name, what, order in [
        ("coldest", "low", "ASC"), ("hottest", "high", "DESC"), ("wettest", "rain", "DESC"),
        ("widest_range", "high - low", "DESC"), ("windiest", "wind", "DESC")]}
    spells = {name: ask(SPELL, wet)[0] for name, wet in [("dry", 0), ("wet", 1)]}
    one = '  "%s": {\n    "date": "%s",\n    "value": %s\n  }'
    span = '  "longest_%s_spell": {\n    "days": %s,\n    "from": "%s",\n    "to": "%s"\n  }'
    pieces = {name: one % (name, *row) for name, row in top.items()}
    pieces.update({"longest_%s_spell" % name: span % (name, *row) for name, row in spells.items()})
    yearly_header = "year days precipitation wet_days temp_mean drizzle fog rain snow sun"
    (count, first, last, wet), = ask("SELECT count(*), min(date), max(date), sum(rain > 0) FROM day")
    by_rain = "SELECT strftime('%Y-%m', date) m, printf('%.1f', sum(rain) / 10.0) FROM day" \
              " GROUP BY m ORDER BY sum(rain) {}, m LIMIT 1"
    report = """# Weather report

- input: raw/seattle-weather.csv
- sha256: {sha}
- rows: {count}, {first} to {last}
- wet days: {wet}
- wettest month: {w[0]} ({w[1]} mm)
- driest month: {d[0]} ({d[1]} mm)

{table}
- hottest day: {t[hottest][0]}, {t[hottest][1]} °C
- coldest day: {t[coldest][0]}, {t[coldest][1]} °C
- wettest day: {t[wettest][0]}, {t[wettest][1]} mm
- strongest wind: {t[windiest][0]}, {t[windiest][1]}
- widest range: {t[widest_range][0]}, {t[widest_range][1]} °C
- longest dry spell: {s[dry][0]} days, {s[dry][1]} to {s[dry][2]}
- longest wet spell: {s[wet][0]} days, {s[wet][1]} to {s[wet][2]}
""".format(
        sha=hashlib.sha256(body).hexdigest(), count=count, first=first, last=last, wet=wet,
        w=ask(by_rain.format("DESC"))[0], d=ask(by_rain.format("ASC"))[0], t=top, s=spells,
        table="| " + yearly_header.replace(" ", " | ") + " |\n|" + "---|" * 10 + "\n"
        + "".join("| " + " | ".join(map(str, row)) + " |\n" for row in years),
    )
    return {
        "success/out/clean.csv": lines(
            "date precipitation temp_max temp_min wind weather temp_mean ground", ask(CLEAN)),
        "success/out/monthly.csv": lines(
            "month days precipitation wet_days temp_max_mean temp_min_mean wind_max", months),
        "success/out/yearly.csv": lines(yearly_header, years),
        "success/out/records.json":
            "{\n" + ",\n".join(pieces[name] for name in sorted(pieces)) + "\n}\n",
        "success/out/report.md": report,
    }


def broken():
    body, base = load("broken.csv")
    return {
        "broken/quarantine/broken.csv": body.decode(),
        "broken/quarantine/broken.csv.problems.csv":
            lines("line problem", base.execute(PROBLEMS).fetchall()),
    }


def main():
    results = {**success(), **broken(), "strict/out/alert.txt": "weather-monthly FAILED\n"}
    check, different = "--check" in sys.argv[1:], []
    for name, text in results.items():
        path = os.path.join(HERE, *name.split("/"))
        if check:
            with open(path, "rb") as file:
                if file.read() != text.encode():
                    different.append(name)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text.encode())
    if different:
        sys.exit("differ from the second computation: " + ", ".join(different))


if __name__ == "__main__":
    main()
