"""Checks every line of the input and tells the run what it saw; fails when a line is malformed."""

import hashlib
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
text = body.decode("utf-8")
found = weather_days.problems(text)
dates = sorted(fields[0] for _, fields in list(weather_days.rows(text))[1:])

# Set before the verdict: the quarantine job reads them after a failure.
seen = {
    "rows": str(len(dates)),
    "problems": str(len(found)),
    "input_sha256": hashlib.sha256(body).hexdigest(),
}
if not found and dates:
    seen["first_day"], seen["last_day"] = dates[0], dates[-1]
glue.put_workflow_run_properties(**run, RunProperties=seen)

print("%s: %d rows, %d malformed" % (properties["input"], len(dates), len(found)))
if found:
    line, problem = found[0]
    raise ValueError("%d of %d rows are malformed, first line %d: %s"
                     % (len(found), len(dates), line, problem))
if not dates:
    raise ValueError("%s has no rows" % properties["input"])
