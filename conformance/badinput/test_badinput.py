"""Bad input: AWS-shaped errors, nothing changed, no panic (Must show 6; spec/workflows §1.5, §1.6; spec/faults I7, J11)."""

import concurrent.futures
import datetime
import json
import time
import unittest
import urllib.parse
import xml.etree.ElementTree

import raw
from case import Case

JSON = "application/x-amz-json-1.1"
NAMES = [  # path-like and otherwise odd, yet legal names of Glue: they must round-trip and touch no file
    "../../etc/passwd", "..", ".", "/", "//", "/etc/passwd", "%2e%2e", "%2e%2e%2fx", "%00", "..\\..\\x", "C:\\x", "\\\\host\\share", "a/b", "a b", " ",
    "~", "-rf", "$(id)", "`id`", "'; DROP TABLE workflow; --", "<script>alert(1)</script>", "\u202eevil", "\ufeffbom", "ü", "日本", "😀", "a\tb",
    "con", "x" * 255, "{}", "null", "wr_", "*",
]
BAD_NAMES = ["", "a\nb", "a\rb", "a\0b", "\x1b[31m", "\x7f\x00", "x" * 256]


class BadInput(Case):
    @classmethod
    def prepare(cls):
        cls.exports = cls.server.exports
        cls.glue.create_workflow(Name="kept", DefaultRunProperties={"a": "1"})
        cls.glue.create_job(Name="kept", Role="r", Command={"Name": "pythonshell", "ScriptLocation": "s3://kept-bucket/s.py"})
        cls.glue.create_trigger(Name="kept", WorkflowName="kept", Type="ON_DEMAND", Actions=[{"JobName": "kept"}])
        cls.s3.create_bucket(Bucket="kept-bucket")
        cls.s3.put_object(Bucket="kept-bucket", Key="kept", Body=b"kept")

    def state(self):
        """Everything that a refused request could have changed."""
        g, s3 = self.glue, self.s3

        def rows(operation, member):
            return sorted(json.dumps(x, default=str, sort_keys=True) for page in g.get_paginator(operation).paginate() for x in page[member])
        workflows = [w for page in g.get_paginator("list_workflows").paginate() for w in page["Workflows"]]
        return {
            "workflows": {w: json.dumps(g.get_workflow(Name=w)["Workflow"], default=str, sort_keys=True) for w in workflows},
            "runs": {w: len(g.get_workflow_runs(Name=w)["Runs"]) for w in workflows},
            "jobs": rows("get_jobs", "Jobs"), "triggers": rows("get_triggers", "Triggers"),
            "objects": {b["Name"]: [(o["Key"], o["ETag"]) for o in s3.list_objects_v2(Bucket=b["Name"]).get("Contents", [])]
                        for b in s3.list_buckets()["Buckets"]},
            "uploads": [s3.list_multipart_uploads(Bucket=b["Name"]).get("Uploads", []) for b in s3.list_buckets()["Buckets"]],
        }

    def setUp(self):
        self.before = self.state()

    def tearDown(self):
        """Every test leaves the state as it was, and the server healthy."""
        self.assertEqual(self.state(), self.before)
        self.assertTrue(self.server.healthy())

    def call(self, target, body, method="POST", **kw):
        """A signed call of the JSON door."""
        if isinstance(body, str):
            body = body.encode()
        headers = {"content-type": JSON} | ({"x-amz-target": target} if target is not None else {})
        headers = raw.signed(self.exports, method=method, headers=headers, body=body, **kw)
        return raw.send(self.server.url, raw.request(method, "/", headers, body))

    def glue_error(self, reply, status, code, text=""):
        """The reply is an error as the JSON door words them (spec/workflows §1.3)."""
        self.assertEqual(reply.status, status, reply)
        self.assertEqual(reply.headers["content-type"], JSON)
        self.assertRegex(reply.headers["x-amzn-requestid"], "^[0-9a-f-]{36}$")
        body = json.loads(reply.body)
        self.assertEqual(body["__type"], code, reply)
        self.assertIn(text, body.get("Message", body.get("message", "")))

    def s3_error(self, reply, status, code):
        self.assertEqual(reply.status, status, reply)
        document = xml.etree.ElementTree.fromstring(reply.body)
        self.assertEqual((document.tag, document.findtext("Code")), ("Error", code), reply)

    def test_the_tools_work(self):
        """Good requests made with the same tools are served, so refusals below are for their reasons."""
        reply = self.call("AWSGlue.GetWorkflow", '{"Name":"kept","Unknown":1}')
        self.assertEqual((reply.status, json.loads(reply.body)["Workflow"]["Name"]), (200, "kept"), reply)
        headers = raw.signed(self.exports, method="GET", path="/kept-bucket/kept", service="s3")
        reply = raw.send(self.server.url, raw.request("GET", "/kept-bucket/kept", headers, length=False))
        self.assertEqual((reply.status, reply.body), (200, b"kept"))
        headers = raw.signed(self.exports, method="GET", path="/_tenon/capabilities", service="tenon")
        self.assertEqual(raw.send(self.server.url, raw.request("GET", "/_tenon/capabilities", headers, length=False)).status, 200)

    # The body of a call

    def test_oversize_body(self):
        big = '{"Name":"big","Description":"%s"}' % ("x" * (1 << 20))
        self.glue_error(self.call("AWSGlue.CreateWorkflow", big), 400, "InvalidInputException", "Request size limit exceeded")
        # Neither announced nor ended: refused as soon as it is too long.
        headers = raw.signed(self.exports, headers={"x-amz-target": "AWSGlue.CreateWorkflow"}) | {"transfer-encoding": "chunked"}
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        reply = raw.send(self.server.url, raw.request("POST", "/", headers, length=False), pieces=[chunk] * 40)
        self.glue_error(reply, 400, "InvalidInputException", "Request size limit exceeded")
        headers = raw.signed(self.exports, headers={"x-amz-target": "AWSGlue.CreateWorkflow"}) | {"content-length": "99999999999999"}
        reply = raw.send(self.server.url, raw.request("POST", "/", headers, length=False))
        self.glue_error(reply, 400, "InvalidInputException", "Request size limit exceeded")

    def test_not_json(self):
        for body in ("", "{", "}", "[]", "null", "true", "7", '"text"', "{]", '{"Name":}', '{"Name" "x"}', '{"Name":"x"} trailing', '{"Name":"x"}{}',
                     "{'Name':'x'}", "{Name:1}", '{"Name":"x",}', '{"Name":"\\x"}', '{"Name":"\\u12"}', "Name=x", "<Name/>", '{"Name":"a\nb"}',
                     b'\xef\xbb\xbf{"Name":"x"}', b"\x00\x01", b"\x1f\x8b\x08\x00", '{"Name":NaN}', '{"Name":"x"'):
            with self.subTest(body=body):
                reply = self.call("AWSGlue.CreateWorkflow", body)
                code = json.loads(reply.body)["__type"]
                # An empty body is an empty object to some servers of AWS: then a member is missing.
                self.glue_error(reply, 400, "ValidationException" if code == "ValidationException" and body == "" else "SerializationException")

    def test_wrong_types(self):
        for target, body in (
            ("CreateWorkflow", '{"Name":7}'), ("CreateWorkflow", '{"Name":["x"]}'), ("CreateWorkflow", '{"Name":{"x":1}}'), ("CreateWorkflow", '{"Name":true}'),
            ("CreateWorkflow", '{"Name":"x","MaxConcurrentRuns":"1"}'), ("CreateWorkflow", '{"Name":"x","MaxConcurrentRuns":1.5}'),
            ("CreateWorkflow", '{"Name":"x","MaxConcurrentRuns":99999999999}'), ("CreateWorkflow", '{"Name":"x","MaxConcurrentRuns":1e99}'),
            ("CreateWorkflow", '{"Name":"x","Tags":["a"]}'), ("CreateWorkflow", '{"Name":"x","Tags":{"a":1}}'), ("CreateWorkflow", '{"Name":"x","Tags":"a"}'),
            ("CreateTrigger", '{"Name":"x","Type":"ON_DEMAND","Actions":{"JobName":"j"}}'), ("CreateTrigger", '{"Name":"x","Type":"ON_DEMAND","Actions":["j"]}'),
            ("CreateTrigger", '{"Name":"x","Type":"ON_DEMAND","StartOnCreation":"yes","Actions":[{"JobName":"j"}]}'),
            ("CreateJob", '{"Name":"x","Role":"r","Command":"pythonshell"}'), ("CreateJob", '{"Name":"x","Role":"r","Command":{},"MaxCapacity":"1"}'),
            ("GetWorkflow", '{"Name":"kept","IncludeGraph":1}'), ("BatchGetWorkflows", '{"Names":"kept"}'), ("BatchGetWorkflows", '{"Names":{"0":"kept"}}'),
        ):
            with self.subTest(target=target, body=body):
                self.glue_error(self.call("AWSGlue." + target, body), 400, "SerializationException")

    def test_constraints(self):
        for target, body, text in (
            ("CreateWorkflow", "{}", "Value null at 'name' failed to satisfy constraint: Member must not be null"),
            ("CreateWorkflow", '{"Name":null}', "Member must not be null"),
            ("CreateWorkflow", '{"name":"x"}', "Value null at 'name'"),  # names of members mind their case
            ("CreateTrigger", '{"Name":"x","Type":"ON_DEMAND"}', "Value null at 'actions'"),
            ("CreateTrigger", '{"Name":"x","Type":"on_demand","Actions":[{"JobName":"j"}]}', "Member must satisfy enum value set"),
            ("ListWorkflows", '{"MaxResults":0}', "Member must have value greater than or equal to 1"),
            ("BatchGetWorkflows", '{"Names":[]}', "Member must have length greater than or equal to 1"),
            ("BatchGetWorkflows", json.dumps({"Names": ["x"] * 26}), "Member must have length less than or equal to 25"),
        ):
            with self.subTest(target=target, body=body):
                self.glue_error(self.call("AWSGlue." + target, body), 400, "ValidationException", text)

    def test_bad_utf8(self):
        for name in (b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\xe2\x82"):
            with self.subTest(name=name):
                self.glue_error(self.call("AWSGlue.CreateWorkflow", b'{"Name":"' + name + b'"}'), 400, "SerializationException")
        for name in (r"\ud800", r"\udc00", r"\ud800x"):
            with self.subTest(name=name):
                reply = self.call("AWSGlue.CreateWorkflow", '{"Name":"%s"}' % name)
                self.assertIn(json.loads(reply.body)["__type"], ("SerializationException", "ValidationException"))
                self.assertEqual(reply.status, 400)

    def test_deep_nesting(self):
        for n in (65, 1000, 100_000, 400_000):
            for body in ('{"Name":%s%s}' % ("[" * n, "]" * n), '{"Unknown":' + '{"a":' * min(n, 100_000) + "1" + "}" * min(n, 100_000) + "}", "[" * n):
                reply = self.call("AWSGlue.GetWorkflow", body)
                self.glue_error(reply, 400, "SerializationException")

    def test_duplicate_keys(self):
        for body in ('{"Name":"kept","Name":"other"}', '{"Name":"x","Tags":{"k":"1","k":"2"}}', '{"Name":"x","Tags":{"k":"1"},"Tags":{}}'):
            self.glue_error(self.call("AWSGlue.CreateWorkflow", body), 400, "SerializationException")

    # Which operation, and who

    def test_targets_and_methods(self):
        for target in ("AWSGlue.Nothing", "AWSGlue.", "AWSGlue", "Nothing", "AWSGlue.createworkflow", "awsglue.ListWorkflows", "AWSGlue.ListWorkflows.x",
                       "AWSGlue./../x", "Logs_20140328.Unknown", "x" * 5000):
            with self.subTest(target=target):
                self.glue_error(self.call(target, "{}"), 400, "UnknownOperationException")
        self.glue_error(self.call(None, "{}"), 400, "UnknownOperationException")
        for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
            with self.subTest(method=method):
                self.glue_error(self.call("AWSGlue.ListWorkflows", "" if method == "GET" else "{}", method=method), 400, "UnknownOperationException")
        reply = self.call("AWSGlue.GetDatabases", "{}")
        self.glue_error(reply, 400, "UnsupportedOperationException", "GetDatabases is not supported by this Tenon server yet. Nothing was changed.")

    def test_signatures(self):
        target, body = {"x-amz-target": "AWSGlue.CreateWorkflow", "content-type": JSON}, b'{"Name":"forged"}'
        now = datetime.datetime.now(datetime.timezone.utc)

        def sent(headers, body=body):
            return raw.send(self.server.url, raw.request("POST", "/", headers, body))

        def sign(**kw):
            return raw.signed(kw.pop("exports", self.exports), headers=target, **({"body": body} | kw))
        good = sign()
        wrong_secret = self.exports | {"AWS_SECRET_ACCESS_KEY": "x" * 40}
        wrong_key = self.exports | {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}
        host = urllib.parse.urlsplit(self.server.url).netloc
        for why, reply, code in (
            ("no signature", sent(target | {"host": host}), "MissingAuthenticationTokenException"),
            ("wrong secret", sent(sign(exports=wrong_secret)), "InvalidSignatureException"),
            ("unknown key", sent(sign(exports=wrong_key)), "UnrecognizedClientException"),
            ("other body", sent(good, b'{"Name":"forgot"}'), "InvalidSignatureException"),
            ("other target", sent(good | {"x-amz-target": "AWSGlue.DeleteWorkflow"}), "InvalidSignatureException"),
            ("one digit", sent(good | {"authorization": good["authorization"][:-1] + "0123456789abcdef0"[int(good["authorization"][-1], 16) + 1]}),
             "InvalidSignatureException"),
            ("too old", sent(sign(when=now - datetime.timedelta(hours=1))), "InvalidSignatureException"),
            ("from the future", sent(sign(when=now + datetime.timedelta(hours=1))), "InvalidSignatureException"),
            ("another day's scope", sent(sign(scope_day="20200101")), "InvalidSignatureException"),
            ("another service", sent(sign(service="dynamodb")), None),
            ("S3's signature", sent(sign(service="s3")), None),
            ("unsigned host", sent(good | {"host": "evil.example"}), "InvalidSignatureException"),
            ("garbage", sent(good | {"authorization": "AWS4-HMAC-SHA256 garbage"}), "IncompleteSignatureException"),
            ("empty", sent(good | {"authorization": "AWS4-HMAC-SHA256 Credential=, SignedHeaders=, Signature="}), "IncompleteSignatureException"),
            ("basic", sent(good | {"authorization": "Basic dXNlcjpwYXNz"}), "IncompleteSignatureException"),
            ("token of nobody", sent(good | {"x-amz-security-token": "nonsense"}), None),
        ):
            with self.subTest(why):
                self.assertIn(reply.status, (400, 403, 404, 405), reply)
                if code:
                    self.glue_error(reply, 400, code)
                self.assertNotIn(self.exports["AWS_SECRET_ACCESS_KEY"].encode(), reply.body)
                self.assertNotIn(good["authorization"][-64:].encode(), reply.body)

    def test_s3_signatures(self):
        s3 = {"service": "s3", "path": "/kept-bucket/kept"}
        now = datetime.datetime.now(datetime.timezone.utc)

        def put(headers, body=b"changed", path="/kept-bucket/kept"):
            return raw.send(self.server.url, raw.request("PUT", path, headers, body))
        good = raw.signed(self.exports, method="PUT", body=b"changed", **s3)
        self.s3_error(put({"host": good["host"]}), 403, "AccessDenied")
        self.s3_error(put(good, path="/kept-bucket/other"), 403, "SignatureDoesNotMatch")
        self.s3_error(put(good, body=b"forged!"), 400, "XAmzContentSHA256Mismatch")
        self.s3_error(put(raw.signed(self.exports | {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}, method="PUT", body=b"changed", **s3)), 403, "InvalidAccessKeyId")
        old = raw.signed(self.exports, method="PUT", body=b"changed", when=now - datetime.timedelta(minutes=20), **s3)
        self.s3_error(put(old), 403, "RequestTimeTooSkewed")
        # The length announced is more than what comes: nothing is stored.
        short = raw.request("PUT", "/kept-bucket/kept", good | {"content-length": "7"}, b"cha", length=False)
        self.assertIn(raw.send(self.server.url, short, hang_up=True).status, (0, 400))

    # Names

    def test_names_of_glue(self):
        """Legal names round-trip, however much they look like paths; no run or log of them exists."""
        g = self.glue
        for name in NAMES:
            with self.subTest(name=name):
                g.create_workflow(Name=name)
                g.create_job(Name=name, Role="r", Command={"Name": "pythonshell", "ScriptLocation": "s3://kept-bucket/s.py"})
                g.create_trigger(Name=name, WorkflowName=name, Type="ON_DEMAND", Actions=[{"JobName": name}])
        try:
            for name in NAMES:
                with self.subTest(name=name):
                    self.assertEqual(g.get_workflow(Name=name)["Workflow"]["Name"], name)
                    self.assertEqual(g.get_job(JobName=name)["Job"]["Name"], name)
                    self.assertEqual(g.get_trigger(Name=name)["Trigger"]["Actions"], [{"JobName": name}])
                    run = g.start_workflow_run(Name=name)["RunId"]
                    ended = self.server.workflow_end(name, run)
                    self.assertEqual((ended["Status"], ended["Statistics"]["FailedActions"]), ("COMPLETED", 1), ended)
        finally:
            for name in NAMES:
                g.delete_trigger(Name=name)
                g.delete_job(JobName=name)
                g.delete_workflow(Name=name)

    def test_bad_names_of_glue(self):
        for name in BAD_NAMES:
            with self.subTest(name=name):
                for target, body in (("CreateWorkflow", {"Name": name}), ("CreateJob", {"Name": name, "Role": "r", "Command": {"Name": "pythonshell"}}),
                                     ("CreateTrigger", {"Name": name, "Type": "ON_DEMAND", "Actions": [{"JobName": "j"}]}), ("GetWorkflow", {"Name": name})):
                    self.glue_error(self.call("AWSGlue." + target, json.dumps(body)), 400, "ValidationException", "failed to satisfy constraint")

    def test_path_like_ids(self):
        for run in ("../../etc/passwd", "..", "%2e%2e", "wr_../x", "wr_" + "0" * 64, "jr_" + "f" * 64, "/", "credentials", "wr_" + "é" * 32):
            with self.subTest(run=run):
                for operation, kw in (("GetWorkflowRun", {"Name": "kept", "RunId": run}), ("StopWorkflowRun", {"Name": "kept", "RunId": run}),
                                      ("GetWorkflowRunProperties", {"Name": "kept", "RunId": run}), ("GetJobRun", {"JobName": "kept", "RunId": run})):
                    self.glue_error(self.call("AWSGlue." + operation, json.dumps(kw)), 400, "EntityNotFoundException")
        for run in ("../credentials", "..%2fcredentials", "%2e%2e/credentials", "%2e%2e%2fcredentials", "jr_" + "0" * 64, "..", "jr_x%00", "a%2fb"):
            with self.subTest(log=run):
                path = f"/_tenon/logs/{run}"
                canonical = urllib.parse.quote(path, safe="/~")
                headers = raw.signed(self.exports, method="GET", path=canonical, service="tenon")
                reply = raw.send(self.server.url, raw.request("GET", path, headers, length=False))
                self.assertIn(reply.status, (301, 307, 400, 403, 404), reply)
                self.assertNotIn(self.exports["AWS_SECRET_ACCESS_KEY"].encode(), reply.body)

    def test_paths_of_s3(self):
        """Keys are not paths: none of these reaches a file of the server."""
        for path in ("/kept-bucket/../../etc/passwd", "/kept-bucket/%2e%2e/%2e%2e/credentials", "/kept-bucket/..%2f..%2fcredentials", "/../credentials",
                     "/kept-bucket/%00", "/kept-bucket/..\\..\\credentials", "/%2e%2e/credentials", "/./credentials", "//etc/passwd",
                     "/kept-bucket//kept", "/kept-bucket/%252e%252e/credentials"):
            with self.subTest(path=path):
                canonical = urllib.parse.quote(urllib.parse.unquote(path), safe="/~")
                headers = raw.signed(self.exports, method="GET", path=canonical, service="s3")
                reply = raw.send(self.server.url, raw.request("GET", path, headers, length=False))
                self.assertIn(reply.status, (301, 307, 400, 403, 404, 405), reply)
                self.assertNotIn(b"root:", reply.body)
                self.assertNotIn(self.exports["AWS_SECRET_ACCESS_KEY"].encode(), reply.body)
        for path in ("/kept-bucket/%ff", "/kept-bucket/%zz", "/kept-bucket/%"):
            headers = raw.signed(self.exports, method="PUT", path=path, service="s3")
            self.assertIn(raw.send(self.server.url, raw.request("PUT", path, headers)).status, (400, 403))

    def test_s3_documents(self):
        bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
            f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(8)) + "]><Delete><Object><Key>&i;</Key></Object></Delete>"
        outside = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>'
        for body in (bomb, outside, "<Delete>", "", "{}", "<Delete><Object>", "<Nothing/>", "<Delete>" + "<a>" * 100_000, "<Delete/>",
                     "<Delete>" + "<Object><Key>k</Key></Object>" * 1001 + "</Delete>"):
            with self.subTest(body=body[:60]):
                body = body.encode()
                headers = raw.signed(self.exports, path="/kept-bucket", query="delete=", body=body, service="s3")
                reply = raw.send(self.server.url, raw.request("POST", "/kept-bucket", headers, body, query="delete="))
                self.s3_error(reply, 400, "MalformedXML")

    # HTTP itself

    def test_header_abuse(self):
        host = urllib.parse.urlsplit(self.server.url).netloc
        body = b'{"Name":"smuggled"}'
        good = raw.signed(self.exports, headers={"x-amz-target": "AWSGlue.CreateWorkflow"}, body=body)
        head = "".join(f"{k}: {v}\r\n" for k, v in good.items())
        inner = raw.request("POST", "/", {"host": host, "x-amz-target": "AWSGlue.CreateWorkflow"}, body)
        for why, data in {
            "both lengths": f"POST / HTTP/1.1\r\n{head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".encode() + inner,
            "two lengths": f"POST / HTTP/1.1\r\n{head}content-length: 0\r\ncontent-length: 19\r\n\r\n".encode() + inner,
            "odd coding": f"POST / HTTP/1.1\r\n{head}transfer-encoding: xchunked\r\n\r\n".encode() + inner,
            "chunked twice": f"POST / HTTP/1.1\r\n{head}transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n".encode(),
            "negative length": f"POST / HTTP/1.1\r\n{head}content-length: -1\r\n\r\n".encode(),
            "length of text": f"POST / HTTP/1.1\r\n{head}content-length: 0x13\r\n\r\n".encode() + body,
            "bad chunk": f"POST / HTTP/1.1\r\n{head}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n".encode(),
            "bare LF": f"POST / HTTP/1.1\nhost: {host}\ncontent-length: 0\n\n".encode(),
            "folded": f"POST / HTTP/1.1\r\nhost: {host}\r\nx-amz-target: AWSGlue.\r\n CreateWorkflow\r\ncontent-length: 0\r\n\r\n".encode(),
            "space before colon": f"POST / HTTP/1.1\r\nhost : {host}\r\ncontent-length: 0\r\n\r\n".encode(),
            "no host": b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
            "two hosts": f"POST / HTTP/1.1\r\nhost: {host}\r\nhost: evil\r\ncontent-length: 0\r\n\r\n".encode(),
            "NUL in header": f"POST / HTTP/1.1\r\nhost: {host}\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n".encode(),
            "huge header": f"POST / HTTP/1.1\r\nhost: {host}\r\nx: {'y' * 200_000}\r\n\r\n".encode(),
            "many headers": f"POST / HTTP/1.1\r\nhost: {host}\r\n".encode() + b"".join(b"x%d: y\r\n" % i for i in range(20_000)) + b"\r\n",
            "huge line": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
            "two signatures": f"POST / HTTP/1.1\r\n{head}authorization: {good['authorization']}\r\ncontent-length: 19\r\n\r\n".encode() + body,
            "two targets": f"POST / HTTP/1.1\r\n{head}x-amz-target: AWSGlue.DeleteWorkflow\r\ncontent-length: 19\r\n\r\n".encode() + body,
            "two dates": f"POST / HTTP/1.1\r\n{head}x-amz-date: 20200101T000000Z\r\ncontent-length: 19\r\n\r\n".encode() + body,
            "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 60,
            "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "HTTP/9": f"POST / HTTP/9.9\r\nhost: {host}\r\n\r\n".encode(),
            "absolute target": f"POST http://evil/ HTTP/1.1\r\n{head}content-length: 19\r\n\r\n".encode() + body,
            "CONNECT": f"CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode(),
        }.items():
            with self.subTest(why):
                reply = raw.send(self.server.url, data)
                self.assertTrue(reply.status == 0 or 400 <= reply.status < 600 and reply.status != 500, reply)

    def test_slow_clients(self):
        """Whoever falls silent is cut off: in the head after 5 s, in a body after 30 s."""
        host = urllib.parse.urlsplit(self.server.url).netloc
        glue = raw.signed(self.exports, headers={"x-amz-target": "AWSGlue.CreateWorkflow"}, body=b"x" * 100)
        s3 = raw.signed(self.exports, method="PUT", path="/kept-bucket/kept", body=b"x" * 100, service="s3")
        cases = [
            (f"POST / HTTP/1.1\r\nhost: {host}\r\nx".encode(), 5, 15),
            (raw.request("POST", "/", glue | {"content-length": "100"}, b"{", length=False), 30, 45),
            (raw.request("PUT", "/kept-bucket/kept", s3 | {"content-length": "100"}, b"x", length=False), 30, 45),
        ]

        def wait(data, least, most):
            began = time.monotonic()
            reply = raw.send(self.server.url, data, timeout=most + 5)
            return reply, time.monotonic() - began, least, most
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            for reply, took, least, most in pool.map(lambda c: wait(*c), cases):
                self.assertTrue(least - 1 <= took <= most, (took, reply))
                self.assertIn(reply.status, (0, 400, 408), reply)

    def test_no_panic_in_the_log(self):
        for _ in range(3):
            self.assertTrue(self.server.healthy())
        self.assertNotIn("panic", self.server.log())
        self.assertNotIn("level=ERROR", self.server.log())
        self.assertEqual(self.server.tenon("version").returncode, 0)


if __name__ == "__main__":
    unittest.main()
