"""Writes clean.csv: sorted by date, one spelling for everything, with two derived columns."""

import sys

import boto3
from awsglue.utils import getResolvedOptions

import weather_days

options = getResolvedOptions(sys.argv, ["bucket", "WORKFLOW_NAME", "WORKFLOW_RUN_ID"])
run = {"Name": options["WORKFLOW_NAME"], "RunId": options["WORKFLOW_RUN_ID"]}
glue = boto3.client("glue")
s3 = boto3.client("s3")

properties = glue.get_workflow_run_properties(**run)["RunProperties"]
body = s3.get_object(Bucket=options["bucket"], Key=properties["input"])["Body"].read()

lines = []
for _, fields in sorted(list(weather_days.rows(body.decode("utf-8")))[1:], key=lambda row: row[1]):
    date, *readings, kind = fields
    rain, high, low, wind = (weather_days.tenths(reading) for reading in readings)
    lines.append([
        date,
        weather_days.decimal(rain, 1),
        weather_days.decimal(high, 1),
        weather_days.decimal(low, 1),
        weather_days.decimal(wind, 1),
        kind.lower(),
        weather_days.mean(high + low, 2),
        "wet" if rain > 0 else "dry",
    ])

s3.put_object(
    Bucket=options["bucket"],
    Key=properties["output"] + "clean.csv",
    Body=weather_days.table(weather_days.COLUMNS + ["temp_mean", "ground"], lines).encode(),
    ContentType="text/csv",
)
wet = sum(line[-1] == "wet" for line in lines)
glue.put_workflow_run_properties(**run, RunProperties={"wet_days": str(wet)})
print("%d days, %d of them wet" % (len(lines), wet))
