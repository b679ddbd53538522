"""Writes monthly.csv; fails when a month has fewer days than the run demands."""

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
least = int(properties["min_days_per_month"])

lines = []
for month, group in itertools.groupby(
    weather_days.clean_days(body.decode("utf-8")), key=lambda day: day["date"][:7]
):
    days = list(group)
    if len(days) < least:
        raise ValueError("%s has %d days, %d are demanded" % (month, len(days), least))
    lines.append([
        month,
        len(days),
        weather_days.decimal(sum(day["precipitation"] for day in days), 1),
        sum(day["precipitation"] > 0 for day in days),
        weather_days.mean(sum(day["temp_max"] for day in days), len(days)),
        weather_days.mean(sum(day["temp_min"] for day in days), len(days)),
        weather_days.decimal(max(day["wind"] for day in days), 1),
    ])

header = ["month", "days", "precipitation", "wet_days", "temp_max_mean", "temp_min_mean", "wind_max"]
s3.put_object(
    Bucket=options["bucket"],
    Key=properties["output"] + "monthly.csv",
    Body=weather_days.table(header, lines).encode(),
    ContentType="text/csv",
)
print("%d months" % len(lines))
