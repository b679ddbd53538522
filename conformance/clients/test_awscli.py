"""The AWS CLI v1 creates, starts, polls and stops a workflow (Must show 2)."""

import json
import re
import unittest

import story
import tenon
from case import Case


class AWSCLI(Case):
    def glue_cli(self, operation, **options):
        """Runs `aws glue OPERATION`; a member called MaxItems becomes --max-items."""
        words = []
        for name, value in options.items():
            flag = "--" + re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
            words += [flag] if value is True else [flag, value if isinstance(value, str) else json.dumps(value)]
        return self.server.aws_json("glue", operation, *words)

    def fails(self, code, *args):
        done = self.server.aws("glue", *args, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"An error occurred ({code}) when calling the", done.stderr)

    def test_life_of_a_workflow(self):
        cli = self.glue_cli
        for name, text in (("quick", story.QUICK), ("slow", story.SLOW)):
            location = self.server.script(f"{name}.py", text)
            cli("create-job", Name=f"cli-{name}", Role="r", Command={"Name": "pythonshell", "PythonVersion": "3.9", "ScriptLocation": location})
        self.assertEqual(cli("create-workflow", Name="cli", DefaultRunProperties={"a": "1"}, MaxConcurrentRuns="1", Tags={"k": "v"}), {"Name": "cli"})
        cli("create-trigger", Name="cli-start", WorkflowName="cli", Type="ON_DEMAND", Actions=[{"JobName": "cli-quick"}])
        cli("create-trigger", Name="cli-then", WorkflowName="cli", Type="CONDITIONAL", StartOnCreation=True, Actions=[{"JobName": "cli-slow"}],
            Predicate={"Conditions": [{"LogicalOperator": "EQUALS", "JobName": "cli-quick", "State": "SUCCEEDED"}]})
        run = cli("start-workflow-run", Name="cli", RunProperties={"b": "2"})["RunId"]
        self.fails("ConcurrentRunsExceededException", "start-workflow-run", "--name", "cli")

        def slow_runs():
            seen = cli("get-workflow-run", Name="cli", RunId=run, IncludeGraph=True)["Run"]
            return any(r["JobRunState"] == "RUNNING" for n in seen["Graph"]["Nodes"] if n["Name"] == "cli-slow"
                       for r in n.get("JobDetails", {}).get("JobRuns", []))
        tenon.until("the slow job runs", slow_runs)
        self.assertEqual(cli("get-workflow-run-properties", Name="cli", RunId=run), {"RunProperties": {"a": "1", "b": "2"}})
        self.assertEqual(cli("stop-workflow-run", Name="cli", RunId=run), {})
        self.server.workflow_end("cli", run)
        seen = cli("get-workflow-run", Name="cli", RunId=run, IncludeGraph=True)["Run"]
        self.assertEqual((seen["Status"], seen["Statistics"]), ("STOPPED", story.STOPPED))
        self.assertRegex(str(seen["StartedOn"]), r"^\d{10}(\.\d+)?$|^\d{4}-\d\d-\d\dT")
        self.assertEqual(len(seen["Graph"]["Nodes"]), 4)
        self.assertEqual(len(seen["Graph"]["Edges"]), 3)
        self.fails("IllegalWorkflowStateException", "stop-workflow-run", "--name", "cli", "--run-id", run)

        arn = "arn:aws:glue:us-east-1:123456789012:workflow/cli"
        cli("tag-resource", ResourceArn=arn, TagsToAdd={"n": "1"})
        cli("untag-resource", ResourceArn=arn, TagsToRemove=["k"])
        self.assertEqual(cli("get-tags", ResourceArn=arn), {"Tags": {"n": "1"}})
        page = cli("list-workflows", MaxItems="1")
        self.assertEqual(page["Workflows"], ["cli"])

        for kind, flag, name in (("workflow", "--name", "cli"), ("trigger", "--name", "cli-start"), ("trigger", "--name", "cli-then"),
                                 ("job", "--job-name", "cli-quick"), ("job", "--job-name", "cli-slow")):
            self.server.aws("glue", f"delete-{kind}", flag, name)
        self.fails("EntityNotFoundException", "get-workflow", "--name", "cli")
        self.fails("EntityNotFoundException", "get-job", "--job-name", "cli-slow")


if __name__ == "__main__":
    unittest.main()
