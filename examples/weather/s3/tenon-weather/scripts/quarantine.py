"""Runs when validate failed: sets the input aside, with a list of what is wrong in it."""

import posixpath
import sys

import boto3
from awsglue.utils import getResolvedOptions

import weather_days

options = getResolvedOptions(sys.argv, ["bucket", "WORKFLOW_NAME", "WORKFLOW_RUN_ID"])
run = {"Name": options["WORKFLOW_NAME"], "RunId": options["WORKFLOW_RUN_ID"]}
bucket = options["bucket"]
s3 = boto3.client("s3")

properties = boto3.client("glue").get_workflow_run_properties(**run)["RunProperties"]
source = properties["input"]
body = s3.get_object(Bucket=bucket, Key=source)["Body"].read()
found = weather_days.problems(body.decode("utf-8", errors="replace"))

target = "quarantine/" + posixpath.basename(source)
s3.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": source})
s3.put_object(
    Bucket=bucket,
    Key=target + ".problems.csv",
    Body=weather_days.table(["line", "problem"], found).encode(),
    ContentType="text/csv",
)
print("%s set aside: %s problems in %s rows"
      % (source, properties.get("problems", "?"), properties.get("rows", "?")))
