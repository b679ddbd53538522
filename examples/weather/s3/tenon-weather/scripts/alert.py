"""Runs when a step after validation failed: writes which jobs of this run did."""

import sys

import boto3
from awsglue.utils import getResolvedOptions

options = getResolvedOptions(sys.argv, ["bucket", "WORKFLOW_NAME", "WORKFLOW_RUN_ID"])
run = {"Name": options["WORKFLOW_NAME"], "RunId": options["WORKFLOW_RUN_ID"]}
glue = boto3.client("glue")

properties = glue.get_workflow_run_properties(**run)["RunProperties"]
graph = glue.get_workflow_run(**run, IncludeGraph=True)["Run"]["Graph"]
failed = sorted(
    node["Name"]
    for node in graph["Nodes"]
    if node["Type"] == "JOB"
    and any(job["JobRunState"] == "FAILED" for job in node.get("JobDetails", {}).get("JobRuns", []))
)
boto3.client("s3").put_object(
    Bucket=options["bucket"],
    Key=properties["output"] + "alert.txt",
    Body="".join("%s FAILED\n" % name for name in failed).encode(),
    ContentType="text/plain",
)
print("failed: " + ", ".join(failed))
