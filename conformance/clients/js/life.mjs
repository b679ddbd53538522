// The AWS SDK for JavaScript v3 creates, starts, polls and stops a workflow
// (Must show 2). conformance/clients/js/run installs the SDK, starts a server and
// runs this; CI does not, as Node.js is no prerequisite of the project.
//
// Endpoint and credentials come from the environment as `tenon env` prints them;
// QUICK_SCRIPT and SLOW_SCRIPT are locations in S3 of a script that ends at once and
// of one that sleeps.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import * as glue from "@aws-sdk/client-glue";

const client = new glue.Glue({
  endpoint: process.env.AWS_ENDPOINT_URL,
  region: process.env.AWS_REGION,
  credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY },
});

async function until(what, probe) {
  const end = Date.now() + 30_000;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert.ok(Date.now() < end, `not in time: ${what}`);
    await pause(50);
  }
}

async function makeWorkflow(name) {
  const scripts = { quick: process.env.QUICK_SCRIPT, slow: process.env.SLOW_SCRIPT };
  for (const [job, location] of Object.entries(scripts)) {
    await client.createJob({
      Name: `${name}-${job}`, Role: "r", Command: { Name: "pythonshell", PythonVersion: "3.9", ScriptLocation: location },
    });
  }
  await client.createWorkflow({ Name: name, MaxConcurrentRuns: 1, DefaultRunProperties: { a: "1" }, Tags: { k: "v" } });
  await client.createTrigger({ Name: `${name}-start`, WorkflowName: name, Type: "ON_DEMAND", Actions: [{ JobName: `${name}-quick` }] });
  await client.createTrigger({
    Name: `${name}-then`, WorkflowName: name, Type: "CONDITIONAL", StartOnCreation: true, Actions: [{ JobName: `${name}-slow` }],
    Predicate: { Conditions: [{ LogicalOperator: "EQUALS", JobName: `${name}-quick`, State: "SUCCEEDED" }] },
  });
}

test("a workflow is created, started, polled and stopped", async () => {
  const Name = "js";
  await makeWorkflow(Name);
  const { RunId } = await client.startWorkflowRun({ Name, RunProperties: { b: "2" } });
  assert.match(RunId, /^wr_[0-9a-f]{64}$/);
  await assert.rejects(client.startWorkflowRun({ Name }), glue.ConcurrentRunsExceededException);

  const look = async () => (await client.getWorkflowRun({ Name, RunId, IncludeGraph: true })).Run;
  await until("the slow job runs", async () => {
    const node = (await look()).Graph.Nodes.find((n) => n.Name === "js-slow");
    return node.JobDetails?.JobRuns?.[0]?.JobRunState === "RUNNING";
  });
  await client.stopWorkflowRun({ Name, RunId });
  const run = await until("the run ends", async () => {
    const seen = await look();
    return ["RUNNING", "STOPPING"].includes(seen.Status) ? undefined : seen;
  });
  assert.equal(run.Status, "STOPPED");
  assert.deepEqual({ ...run.Statistics }, {
    TotalActions: 2, SucceededActions: 1, StoppedActions: 1, FailedActions: 0,
    TimeoutActions: 0, ErroredActions: 0, RunningActions: 0, WaitingActions: 0,
  });
  assert.equal(run.Graph.Nodes.length, 4);
  assert.equal(run.Graph.Edges.length, 3);
  assert.ok(run.StartedOn instanceof Date && run.CompletedOn >= run.StartedOn);
  assert.deepEqual(run.WorkflowRunProperties, { a: "1", b: "2" });
  await assert.rejects(client.stopWorkflowRun({ Name, RunId }), glue.IllegalWorkflowStateException);
});

test("tags change", async () => {
  await client.createWorkflow({ Name: "js-tags", Tags: { k: "v" } });
  const ResourceArn = "arn:aws:glue:us-east-1:123456789012:workflow/js-tags";
  await client.tagResource({ ResourceArn, TagsToAdd: { n: "1" } });
  await client.untagResource({ ResourceArn, TagsToRemove: ["k"] });
  assert.deepEqual((await client.getTags({ ResourceArn })).Tags, { n: "1" });
});

test("a paginator sees each workflow once", async () => {
  const names = [0, 1, 2, 3, 4].map((i) => `js-page-${i}`);
  for (const Name of names) await client.createWorkflow({ Name });
  const found = [];
  for await (const page of glue.paginateListWorkflows({ client, pageSize: 2 }, {})) found.push(...page.Workflows);
  assert.deepEqual(found.filter((n) => n.startsWith("js-page-")), names);
});

test("refusals arrive as the SDK's exceptions", async () => {
  await assert.rejects(client.getWorkflow({ Name: "absent" }), (e) => {
    assert.ok(e instanceof glue.EntityNotFoundException);
    assert.equal(e.message, "Entity not found");
    assert.equal(e.$metadata.httpStatusCode, 400);
    assert.match(e.$metadata.requestId, /^[0-9a-f-]{36}$/);
    return true;
  });
  await assert.rejects(client.createWorkflow({ Name: "js-zero", MaxConcurrentRuns: 0 }), glue.InvalidInputException);
  await assert.rejects(client.createWorkflow({ Name: "x".repeat(256) }), { name: "ValidationException" });
});
