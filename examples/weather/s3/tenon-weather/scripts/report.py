"""Joins the three aggregations and the run's properties into report.md."""

import csv
import io
import json
import sys

import boto3
from awsglue.utils import getResolvedOptions

options = getResolvedOptions(sys.argv, ["bucket", "WORKFLOW_NAME", "WORKFLOW_RUN_ID"])
run = {"Name": options["WORKFLOW_NAME"], "RunId": options["WORKFLOW_RUN_ID"]}
bucket = options["bucket"]
glue = boto3.client("glue")
s3 = boto3.client("s3")
properties = glue.get_workflow_run_properties(**run)["RunProperties"]


def read(name):
    key = properties["output"] + name
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8")


months = list(csv.DictReader(io.StringIO(read("monthly.csv"), newline="")))
years = list(csv.reader(io.StringIO(read("yearly.csv"), newline="")))
records = json.loads(read("records.json"))
wettest = max(months, key=lambda month: float(month["precipitation"]))
driest = min(months, key=lambda month: float(month["precipitation"]))

lines = [
    "# Weather report",
    "",
    "- input: %s" % properties["input"],
    "- sha256: %s" % properties["input_sha256"],
    "- rows: %s, %s to %s" % (properties["rows"], properties["first_day"], properties["last_day"]),
    "- wet days: %s" % properties["wet_days"],
    "- wettest month: %s (%s mm)" % (wettest["month"], wettest["precipitation"]),
    "- driest month: %s (%s mm)" % (driest["month"], driest["precipitation"]),
    "",
    "| %s |" % " | ".join(years[0]),
    "|%s" % ("---|" * len(years[0])),
]
lines += ["| %s |" % " | ".join(year) for year in years[1:]]
lines.append("")
for title, name, unit in [
    ("hottest day", "hottest", "°C"),
    ("coldest day", "coldest", "°C"),
    ("wettest day", "wettest", "mm"),
    ("strongest wind", "windiest", ""),
    ("widest range", "widest_range", "°C"),
]:
    record = records[name]
    lines.append(("- %s: %s, %.1f %s" % (title, record["date"], record["value"], unit)).rstrip())
for title, name in [("dry", "longest_dry_spell"), ("wet", "longest_wet_spell")]:
    spell = records[name]
    lines.append("- longest %s spell: %d days, %s to %s"
                 % (title, spell["days"], spell["from"], spell["to"]))

key = properties["output"] + "report.md"
s3.put_object(
    Bucket=bucket, Key=key, Body=("\n".join(lines) + "\n").encode(), ContentType="text/markdown"
)
glue.put_workflow_run_properties(**run, RunProperties={"report": "s3://%s/%s" % (bucket, key)})
print("s3://%s/%s" % (bucket, key))
