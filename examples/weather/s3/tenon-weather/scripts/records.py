"""Writes records.json: the extreme days and the longest spells; of equals the earliest counts."""

import datetime
import json
import sys

import boto3
from awsglue.utils import getResolvedOptions

import weather_days


def extreme(days, reading):
    """The first day with the largest reading."""
    day = max(days, key=reading)
    return {"date": day["date"], "value": reading(day) / 10}


def longest_spell(days, wet):
    """The first longest row of consecutive days that are all wet, or all dry."""
    best, spell = [], []
    for day in days:
        date = datetime.date.fromisoformat(day["date"])
        if spell and date - spell[-1] != datetime.timedelta(days=1):
            spell = []
        spell = spell + [date] if (day["precipitation"] > 0) == wet else []
        if len(spell) > len(best):
            best = spell
    if not best:
        return {"days": 0, "from": None, "to": None}
    return {"days": len(best), "from": best[0].isoformat(), "to": best[-1].isoformat()}


options = getResolvedOptions(sys.argv, ["bucket", "WORKFLOW_NAME", "WORKFLOW_RUN_ID"])
run = {"Name": options["WORKFLOW_NAME"], "RunId": options["WORKFLOW_RUN_ID"]}
s3 = boto3.client("s3")

properties = boto3.client("glue").get_workflow_run_properties(**run)["RunProperties"]
source = properties["output"] + "clean.csv"
body = s3.get_object(Bucket=options["bucket"], Key=source)["Body"].read()
days = weather_days.clean_days(body.decode("utf-8"))

coldest = min(days, key=lambda day: day["temp_min"])
records = {
    "hottest": extreme(days, lambda day: day["temp_max"]),
    "coldest": {"date": coldest["date"], "value": coldest["temp_min"] / 10},
    "wettest": extreme(days, lambda day: day["precipitation"]),
    "windiest": extreme(days, lambda day: day["wind"]),
    "widest_range": extreme(days, lambda day: day["temp_max"] - day["temp_min"]),
    "longest_dry_spell": longest_spell(days, wet=False),
    "longest_wet_spell": longest_spell(days, wet=True),
}
s3.put_object(
    Bucket=options["bucket"],
    Key=properties["output"] + "records.json",
    Body=(json.dumps(records, indent=2, sort_keys=True) + "\n").encode(),
    ContentType="application/json",
)
print("%d records of %d days" % (len(records), len(days)))
