"""boto3 creates, starts, polls and stops workflows (Must show 2; spec/workflows §1–§5)."""

import datetime
import json
import re
import unittest

import story
import tenon
from case import Case


def nulls(value, path="$"):
    """Paths of nulls in a decoded reply; there must be none (spec/workflows §1.2)."""
    if value is None:
        yield path
    elif isinstance(value, dict):
        for k, v in value.items():
            yield from nulls(v, f"{path}.{k}")
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from nulls(v, f"{path}[{i}]")


class Boto3(Case):
    @classmethod
    def prepare(cls):
        cls.raw = []
        cls.glue.meta.events.register("before-parse.glue", lambda response_dict, **_: cls.raw.append(response_dict))
        cls.quick = cls.server.script("quick.py", story.QUICK)
        cls.slow = cls.server.script("slow.py", story.SLOW)

    def tearDown(self):
        for reply in self.raw:
            self.assertEqual(reply["headers"]["Content-Type"], "application/x-amz-json-1.1")
            self.assertRegex(reply["headers"]["x-amzn-RequestId"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
            self.assertEqual(list(nulls(json.loads(reply["body"]))), [])
        self.raw.clear()

    def make(self, prefix, **workflow):
        g = self.glue
        for name, location in (("quick", self.quick), ("slow", self.slow)):
            g.create_job(Name=f"{prefix}-{name}", Role="r", Command={"Name": "pythonshell", "PythonVersion": "3.9", "ScriptLocation": location})
        self.assertEqual(g.create_workflow(Name=prefix, **workflow)["Name"], prefix)
        g.create_trigger(Name=f"{prefix}-start", WorkflowName=prefix, Type="ON_DEMAND", Actions=[{"JobName": f"{prefix}-quick"}])
        g.create_trigger(
            Name=f"{prefix}-then", WorkflowName=prefix, Type="CONDITIONAL", StartOnCreation=True,
            Predicate={"Conditions": [{"LogicalOperator": "EQUALS", "JobName": f"{prefix}-quick", "State": "SUCCEEDED"}]},
            Actions=[{"JobName": f"{prefix}-slow"}])

    def recent(self, when):
        self.assertIsInstance(when, datetime.datetime)
        self.assertLess(abs(datetime.datetime.now(datetime.timezone.utc) - when), datetime.timedelta(minutes=2))

    def slow_job_runs(self, workflow, run):
        def probe():
            nodes = self.glue.get_workflow_run(Name=workflow, RunId=run, IncludeGraph=True)["Run"]["Graph"]["Nodes"]
            runs = [r for n in nodes if n["Name"] == f"{workflow}-slow" for r in n.get("JobDetails", {}).get("JobRuns", [])]
            return runs if runs and runs[0]["JobRunState"] == "RUNNING" else None
        return tenon.until("the slow job runs", probe)

    def test_life_of_a_workflow(self):
        g = self.glue
        self.make("life", Description="d", DefaultRunProperties={"a": "1", "b": "2"}, MaxConcurrentRuns=1, Tags={"team": "x"})

        w = g.get_workflow(Name="life", IncludeGraph=True)["Workflow"]
        self.recent(w["CreatedOn"])
        self.recent(w["LastModifiedOn"])
        self.assertEqual((w["Description"], w["DefaultRunProperties"], w["MaxConcurrentRuns"]), ("d", {"a": "1", "b": "2"}, 1))
        self.assertNotIn("LastRun", w)
        self.assertEqual({(n["Type"], n["Name"]) for n in w["Graph"]["Nodes"]},
                         {("TRIGGER", "life-start"), ("TRIGGER", "life-then"), ("JOB", "life-quick"), ("JOB", "life-slow")})
        self.assertNotIn("Graph", g.get_workflow(Name="life")["Workflow"])

        run = g.start_workflow_run(Name="life", RunProperties={"b": "3", "c": ""})["RunId"]
        self.assertRegex(run, "^wr_[0-9a-f]{64}$")
        with self.refused("ConcurrentRunsExceededException", "Concurrent runs exceeded for workflow: life.", 400):
            g.start_workflow_run(Name="life")
        with self.assertRaises(g.exceptions.ConcurrentRunsExceededException):
            g.start_workflow_run(Name="life")

        slow = self.slow_job_runs("life", run)[0]
        self.assertEqual((slow["TriggerName"], slow["Attempt"], slow["JobName"]), ("life-then", 0, "life-slow"))
        self.assertEqual(slow["LogGroupName"], "/aws-glue/python-jobs")
        self.assertEqual(slow["PredecessorRuns"], [])  # in workflows always (spec/workflows §4.5)
        seen = g.get_workflow_run(Name="life", RunId=run)["Run"]
        self.assertEqual((seen["Status"], seen["Statistics"]["RunningActions"]), ("RUNNING", 1))
        self.assertEqual(seen["WorkflowRunProperties"], {"a": "1", "b": "3", "c": ""})
        self.assertNotIn("Graph", seen)
        self.assertNotIn("CompletedOn", seen)

        g.stop_workflow_run(Name="life", RunId=run)
        ended = self.server.workflow_end("life", run)
        self.assertEqual((ended["Status"], ended["Statistics"]), ("STOPPED", story.STOPPED))
        self.recent(ended["StartedOn"])
        self.recent(ended["CompletedOn"])
        states = {n["Name"]: [r["JobRunState"] for r in n["JobDetails"]["JobRuns"]] for n in ended["Graph"]["Nodes"] if n["Type"] == "JOB"}
        self.assertEqual(states, {"life-quick": ["SUCCEEDED"], "life-slow": ["STOPPED"]})
        ids = {n["UniqueId"]: n["Name"] for n in ended["Graph"]["Nodes"]}
        self.assertTrue(all(i.startswith("wnode_") and len(i) == 70 for i in ids), ids)
        self.assertEqual({(ids[e["SourceId"]], ids[e["DestinationId"]]) for e in ended["Graph"]["Edges"]},
                         {("life-start", "life-quick"), ("life-quick", "life-then"), ("life-then", "life-slow")})
        stopped = self.server.job_run("life-slow", slow["Id"])
        self.assertEqual(stopped["ErrorMessage"], "Job run was stopped by user request.")
        with self.refused("IllegalWorkflowStateException", "STOPPED and cannot be stopped", 400):
            g.stop_workflow_run(Name="life", RunId=run)

        g.put_workflow_run_properties(Name="life", RunId=run, RunProperties={"c": "4"})
        self.assertEqual(g.get_workflow_run_properties(Name="life", RunId=run)["RunProperties"], {"a": "1", "b": "3", "c": "4"})
        self.assertEqual(g.get_workflow(Name="life")["Workflow"]["LastRun"]["WorkflowRunId"], run)
        self.assertEqual([r["WorkflowRunId"] for r in g.get_workflow_runs(Name="life")["Runs"]], [run])

    def test_run_to_completion(self):
        """A chain of two quick jobs ends COMPLETED, and its output is there."""
        g = self.glue
        self.make("chain")
        job = g.get_job(JobName="chain-slow")["Job"]
        g.update_job(JobName="chain-slow", JobUpdate={"Role": job["Role"], "Command": job["Command"] | {"ScriptLocation": self.quick}})
        run = g.start_trigger(Name="chain-start") and tenon.until(
            "the run is listed", lambda: g.get_workflow_runs(Name="chain")["Runs"])[0]["WorkflowRunId"]
        ended = self.server.workflow_end("chain", run)
        self.assertEqual(ended["Status"], "COMPLETED")
        self.assertEqual(ended["Statistics"]["TotalActions"], ended["Statistics"]["SucceededActions"])
        for n in ended["Graph"]["Nodes"]:
            if n["Type"] == "JOB":
                jr = n["JobDetails"]["JobRuns"][0]
                self.assertEqual(self.server.output(jr["Id"]).strip(), "quick is done")
                self.recent(jr["StartedOn"])
                self.recent(jr["CompletedOn"])
                self.assertIsInstance(jr["ExecutionTime"], int)
                self.assertNotIn("ErrorMessage", jr)

    def test_standalone_triggers(self):
        """A chain outside workflows: the second job knows its predecessor when asked (spec/workflows §4.5)."""
        g = self.glue
        for name in ("first", "second"):
            g.create_job(Name=name, Role="r", Command={"Name": "pythonshell", "ScriptLocation": self.quick})
        g.create_trigger(Name="go-first", Type="ON_DEMAND", Actions=[{"JobName": "first"}])
        g.create_trigger(Name="go-second", Type="CONDITIONAL", StartOnCreation=True, Actions=[{"JobName": "second"}],
                         Predicate={"Conditions": [{"LogicalOperator": "EQUALS", "JobName": "first", "State": "SUCCEEDED"}]})
        g.start_trigger(Name="go-first")
        second = tenon.until("the second job starts", lambda: g.get_job_runs(JobName="second")["JobRuns"])[0]
        first = g.get_job_runs(JobName="first")["JobRuns"][0]
        asked = g.get_job_run(JobName="second", RunId=second["Id"], PredecessorsIncluded=True)["JobRun"]
        self.assertEqual(asked["PredecessorRuns"], [{"JobName": "first", "RunId": first["Id"]}])
        self.assertEqual((first["TriggerName"], asked["TriggerName"]), ("go-first", "go-second"))
        self.assertEqual(self.server.job_run("second", second["Id"])["PredecessorRuns"], [])
        self.assertEqual(self.server.job_end("second", second["Id"])["JobRunState"], "SUCCEEDED")

    def test_stop_a_job_run(self):
        g = self.glue
        g.create_job(Name="alone", Role="r", Command={"Name": "pythonshell", "ScriptLocation": self.slow})
        run = g.start_job_run(JobName="alone")["JobRunId"]
        self.assertRegex(run, "^jr_[0-9a-f]{64}$")
        tenon.until("it runs", lambda: self.server.job_run("alone", run)["JobRunState"] == "RUNNING")
        with self.assertRaises(g.exceptions.ConcurrentRunsExceededException):
            g.start_job_run(JobName="alone")
        reply = g.batch_stop_job_run(JobName="alone", JobRunIds=[run, "jr_" + "0" * 64])
        self.assertEqual(reply["SuccessfulSubmissions"], [{"JobName": "alone", "JobRunId": run}])
        self.assertEqual([e["ErrorDetail"]["ErrorCode"] for e in reply["Errors"]], ["EntityNotFoundException"])
        self.assertEqual(self.server.job_end("alone", run)["JobRunState"], "STOPPED")
        reply = g.batch_stop_job_run(JobName="alone", JobRunIds=[run])
        self.assertEqual(reply["Errors"][0]["ErrorDetail"], {
            "ErrorCode": "JobRunCannotBeStoppedException", "ErrorMessage": "Job Run cannot be stopped in current state."})

    def test_tags(self):
        g = self.glue
        g.create_workflow(Name="tagged", Tags={"k": "v"})
        g.create_trigger(Name="tagged-t", Type="ON_DEMAND", Actions=[{"JobName": "any"}], Tags={"t": ""})
        g.create_job(Name="tagged-j", Role="r", Command={"Name": "pythonshell", "ScriptLocation": "s3://b/k"}, Tags={"j": "1"})
        for kind, name, tags in (("workflow", "tagged", {"k": "v"}), ("trigger", "tagged-t", {"t": ""}), ("job", "tagged-j", {"j": "1"})):
            arn = f"arn:aws:glue:us-east-1:123456789012:{kind}/{name}"
            self.assertEqual(g.get_tags(ResourceArn=arn)["Tags"], tags)
            g.tag_resource(ResourceArn=arn, TagsToAdd={"new": "x", "other": "y"})
            g.untag_resource(ResourceArn=arn, TagsToRemove=["other"])
            self.assertEqual(g.get_tags(ResourceArn=arn)["Tags"], tags | {"new": "x"})
        self.assertEqual(g.list_jobs(Tags={"j": "1"})["JobNames"], ["tagged-j"])
        self.assertEqual(g.list_triggers(Tags={"new": "x"})["TriggerNames"], ["tagged-t"])
        with self.assertRaises(g.exceptions.EntityNotFoundException):
            g.get_tags(ResourceArn="arn:aws:glue:us-east-1:123456789012:workflow/absent")
        with self.assertRaises(g.exceptions.InvalidInputException):
            g.tag_resource(ResourceArn="arn:aws:glue:us-east-1:123456789012:workflow/tagged", TagsToAdd={"aws:x": "y"})

    def test_pagination(self):
        """By hand and with boto3's paginators; tokens are bound to their operation (spec/workflows §1.7)."""
        g = self.glue
        names = [f"page-{i:02}" for i in range(7)]
        for n in names:
            g.create_workflow(Name=n)
            g.create_job(Name=n, Role="r", Command={"Name": "pythonshell", "ScriptLocation": "s3://b/k"})
            g.create_trigger(Name=n, Type="ON_DEMAND", Actions=[{"JobName": n}])

        found, token, pages = [], None, 0
        while True:
            page = g.list_workflows(MaxResults=3, **({"NextToken": token} if token else {}))
            found += page["Workflows"]
            pages += 1
            self.assertLessEqual(len(page["Workflows"]), 3)
            token = page.get("NextToken")
            if not token:
                break
            foreign = token
        self.assertEqual([n for n in found if n.startswith("page-")], names)
        self.assertEqual(found, sorted(found))
        self.assertGreaterEqual(pages, 3)
        for bad in (foreign, "nonsense", "AAAA"):
            with self.refused("InvalidInputException", "Invalid next token"):
                g.list_triggers(NextToken=bad)

        def paged(operation, key, name, **kw):
            pages = g.get_paginator(operation).paginate(PaginationConfig={"PageSize": 2}, **kw)
            return [name(x) for p in pages for x in p[key] if name(x).startswith("page-")]
        self.assertEqual(paged("get_jobs", "Jobs", lambda j: j["Name"]), names)
        self.assertEqual(paged("get_triggers", "Triggers", lambda t: t["Name"]), names)
        self.assertEqual(paged("list_jobs", "JobNames", str), names)
        self.assertEqual(paged("list_triggers", "TriggerNames", str), names)
        self.assertEqual(paged("list_workflows", "Workflows", str), names)

        reply = g.batch_get_workflows(Names=["page-03", "absent", "page-01"])
        self.assertEqual([w["Name"] for w in reply["Workflows"]], ["page-03", "page-01"])
        self.assertEqual(reply["MissingWorkflows"], ["absent"])
        self.assertEqual(g.batch_get_triggers(TriggerNames=["absent", "page-02"])["TriggersNotFound"], ["absent"])
        self.assertEqual(g.batch_get_jobs(JobNames=["absent", "page-02"])["JobsNotFound"], ["absent"])

    def test_run_pagination(self):
        """Runs come newest first, each once, however they are paged."""
        g = self.glue
        g.create_job(Name="runs", Role="r", ExecutionProperty={"MaxConcurrentRuns": 9},
                     Command={"Name": "pythonshell", "ScriptLocation": self.quick})
        g.create_workflow(Name="runs")
        g.create_trigger(Name="runs", WorkflowName="runs", Type="ON_DEMAND", Actions=[{"JobName": "runs"}])
        ids = [g.start_workflow_run(Name="runs")["RunId"] for _ in range(5)]
        for i in ids:
            self.server.workflow_end("runs", i)
        paged = g.get_paginator("get_workflow_runs") if g.can_paginate("get_workflow_runs") else None
        found, token = [], None
        while True:
            page = g.get_workflow_runs(Name="runs", MaxResults=2, **({"NextToken": token} if token else {}))
            found += [r["WorkflowRunId"] for r in page["Runs"]]
            token = page.get("NextToken")
            if not token:
                break
        self.assertEqual(found, ids[::-1])
        if paged:
            pages = paged.paginate(Name="runs", PaginationConfig={"PageSize": 2})
            self.assertEqual([r["WorkflowRunId"] for p in pages for r in p["Runs"]], ids[::-1])
        pages = g.get_paginator("get_job_runs").paginate(JobName="runs", PaginationConfig={"PageSize": 2})
        self.assertEqual(len([r for p in pages for r in p["JobRuns"]]), 5)

    def test_empty_lists(self):
        """Lists without members are there, as clients index them without asking."""
        g = self.other_account()
        for operation, member in (("list_workflows", "Workflows"), ("get_jobs", "Jobs"), ("list_jobs", "JobNames"),
                                  ("get_triggers", "Triggers"), ("list_triggers", "TriggerNames")):
            self.assertEqual(getattr(g, operation)()[member], [], operation)
        g.create_workflow(Name="nothing")
        g.create_job(Name="nothing", Role="r", Command={"Name": "pythonshell", "ScriptLocation": "s3://b/k"})
        self.assertEqual(g.get_workflow_runs(Name="nothing")["Runs"], [])
        self.assertEqual(g.get_job_runs(JobName="nothing")["JobRuns"], [])
        self.assertEqual(g.get_workflow(Name="nothing", IncludeGraph=True)["Workflow"]["Graph"], {"Nodes": [], "Edges": []})
        self.assertEqual(g.get_tags(ResourceArn="arn:aws:glue:us-east-1:210987654321:workflow/nothing")["Tags"], {})
        self.assertEqual(g.batch_get_jobs(JobNames=["nothing"])["JobsNotFound"], [])
        self.assertNotIn("nothing", self.glue.list_workflows()["Workflows"])

    def other_account(self):
        """A client of another account, which sees nothing of the first."""
        out = self.server.tenon("credentials", "add", "--account", "210987654321").stdout
        key, secret = (re.search(rf"(?m)^{name}\s+(\S+)$", out)[1] for name in ("access key id", "secret access key"))
        client = self.server.client("glue", credentials=(key, secret, None))

        def known():  # a running server learns of it within a second
            try:
                return client.list_workflows()
            except client.exceptions.ClientError as error:
                self.assertEqual(error.response["Error"]["Code"], "UnrecognizedClientException")
        tenon.until("the credential is known", known, 5)
        return client

    def test_errors(self):
        g = self.glue
        g.create_workflow(Name="twice")
        g.create_workflow(Name="empty")
        with self.refused("AlreadyExistsException", "Workflow with name: twice already exists", 400):
            g.create_workflow(Name="twice")
        for call in (
            lambda: g.get_workflow(Name="absent"), lambda: g.update_workflow(Name="absent"),
            lambda: g.start_workflow_run(Name="absent"), lambda: g.get_workflow_runs(Name="absent"),
            lambda: g.get_workflow_run(Name="twice", RunId="wr_" + "0" * 64),
            lambda: g.get_workflow_run_properties(Name="twice", RunId="wr_x"),
            lambda: g.stop_workflow_run(Name="twice", RunId="wr_" + "0" * 64),
        ):
            with self.refused("EntityNotFoundException", "Entity not found", 400):
                call()
        for call in (lambda: g.get_trigger(Name="absent"), lambda: g.start_trigger(Name="absent"), lambda: g.stop_trigger(Name="absent"),
                     lambda: g.get_job(JobName="absent"), lambda: g.start_job_run(JobName="absent"),
                     lambda: g.get_job_run(JobName="absent", RunId="jr_x"), lambda: g.get_job_runs(JobName="absent")):
            with self.assertRaises(g.exceptions.EntityNotFoundException):
                call()
        with self.refused("InvalidInputException", "does not have a starting trigger"):
            g.start_workflow_run(Name="empty")
        with self.refused("ValidationException", "Member must have length less than or equal to 255", 400):
            g.create_workflow(Name="x" * 256)
        with self.refused("ValidationException", "Value '1000' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 25"):
            g.list_workflows(MaxResults=1000)
        with self.refused("ValidationException", "Member must satisfy enum value set"):
            g.create_trigger(Name="x", Type="BOGUS", Actions=[{"JobName": "j"}])
        with self.refused("InvalidInputException"):
            g.create_workflow(Name="zero", MaxConcurrentRuns=0)
        with self.refused("InvalidInputException", "Trigger Type EVENT cannot be started"):
            g.create_trigger(Name="ev", Type="EVENT", WorkflowName="empty", Actions=[{"JobName": "j"}])
            g.start_trigger(Name="ev")
        with self.refused("InvalidInputException", "The operation is not allowed when trigger is in state: CREATED"):
            g.create_trigger(Name="od", Type="ON_DEMAND", Actions=[{"JobName": "j"}])
            g.stop_trigger(Name="od")
        with self.refused("UnsupportedOperationException", "GetDatabases is not supported by this Tenon server yet"):
            g.get_databases()
        for call in (lambda: g.delete_workflow(Name="absent"), lambda: g.delete_trigger(Name="absent"), lambda: g.delete_job(JobName="absent")):
            call()  # deleting what is not there succeeds (spec/workflows §1.8)

    def test_wrong_credentials(self):
        good = self.server.exports
        with self.refused("UnrecognizedClientException"):
            self.server.client("glue", credentials=("AKIAIOSFODNN7EXAMPLE", "x" * 40, None)).list_workflows()
        with self.refused("InvalidSignatureException", "The request signature we calculated does not match"):
            self.server.client("glue", credentials=(good["AWS_ACCESS_KEY_ID"], "x" * 40, None)).list_workflows()

    def test_reply_is_replayed_for_a_retried_call(self):
        """A retry with the same invocation id, which boto3 sends but does not sign, acts once (DESIGN P5)."""
        g = self.server.client("glue", retries={"max_attempts": 3, "mode": "standard"})
        lost = []

        def lose_first_reply(response, **_):
            if not lost and response is not None:
                lost.append(json.loads(response[0].content)["RunId"])
                return 0
            return None
        self.make("replay")
        g.meta.events.register("needs-retry.glue.StartWorkflowRun", lose_first_reply)
        run = g.start_workflow_run(Name="replay")["RunId"]
        self.assertEqual(lost, [run])
        self.assertEqual([r["WorkflowRunId"] for r in g.get_workflow_runs(Name="replay")["Runs"]], [run])
        g.stop_workflow_run(Name="replay", RunId=run)
        self.server.workflow_end("replay", run)


if __name__ == "__main__":
    unittest.main()
