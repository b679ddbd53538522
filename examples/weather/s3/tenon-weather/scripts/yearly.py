"""Writes yearly.csv: totals, the mean temperature and the number of days of each kind."""

import itertools
import sys

import boto3
from awsglue.utils import getResolvedOptions

import weather_days

options = getResolvedOptions(sys.argv, ["bucket", "WORKFLOW_NAME", "WORKFLOW_RUN_ID"])
run = {"Name": options["WORKFLOW_NAME"], "RunId": options["WORKFLOW_RUN_ID"]}
s3 = boto3.client("s3")

properties = boto3.client("glue").get_workflow_run_properties(**run)["RunProperties"]
source = properties["output"] + "clean.csv"
body = s3.get_object(Bucket=options["bucket"], Key=source)["Body"].read()

lines = []
for year, group in itertools.groupby(
    weather_days.clean_days(body.decode("utf-8")), key=lambda day: day["date"][:4]
):
    days = list(group)
    lines.append([
        year,
        len(days),
        weather_days.decimal(sum(day["precipitation"] for day in days), 1),
        sum(day["precipitation"] > 0 for day in days),
        weather_days.mean(sum(day["temp_max"] + day["temp_min"] for day in days), 2 * len(days)),
    ] + [sum(day["weather"] == kind for day in days) for kind in weather_days.KINDS])

header = ["year", "days", "precipitation", "wet_days", "temp_mean"] + weather_days.KINDS
s3.put_object(
    Bucket=options["bucket"],
    Key=properties["output"] + "yearly.csv",
    Body=weather_days.table(header, lines).encode(),
    ContentType="text/csv",
)
print("%d years" % len(lines))
