"""The S3 door with boto3: objects, conditions, ranges, copies, multipart, listings, checksums, presigned URLs."""

import base64
import hashlib
import io
import random
import socket
import unittest
import unittest.mock
import urllib.error
import urllib.parse
import urllib.request

from boto3.s3.transfer import TransferConfig

from case import Case

BUCKET = "conformance-boto3"
MIB = 1 << 20

# Keys that a careless server cleans, decodes twice, or takes for paths of its own.
ODD_KEYS = [
    "plain", "a/b/c", "/leading", "trailing/", "double//slash", "./dot", "../up", "a/../b", "a/./b", "..", ".",
    "sp ace", " lead", "trail ", "plus+plus", "per%cent", "%2F", "%2e%2e/%2e%2e", "a%00b", "q?uery", "ha#sh", "amp&=;:@,$!*'()",
    "back\\slash", 'quo"te', "<xml>&amp;", "tilde~", "ümläut", "日本語/キー", "emoji-😀", "e\u0301-combining", "é-composed",
    "tab\there", "new\nline", "CON", "a" * 1024,
]


class Objects(Case):
    @classmethod
    def prepare(cls):
        cls.s3.create_bucket(Bucket=BUCKET)

    def put(self, key, body=b"hello world", **kw):
        return self.s3.put_object(Bucket=BUCKET, Key=key, Body=body, **kw)

    def get(self, key, **kw):
        return self.s3.get_object(Bucket=BUCKET, Key=key, **kw)

    def read(self, key, **kw):
        return self.get(key, **kw)["Body"].read()

    def keys(self, prefix):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [o["Key"] for p in pages for o in p.get("Contents", [])]

    def test_put_get_head_delete(self):
        put = self.put("simple/a", ContentType="text/x-test", Metadata={"color": "blue", "weight": "9"},
                       CacheControl="max-age=3", ContentDisposition="attachment", ContentLanguage="en", ContentEncoding="identity")
        self.assertEqual(put["ETag"], f'"{hashlib.md5(b"hello world").hexdigest()}"')
        for reply in (self.get("simple/a"), self.s3.head_object(Bucket=BUCKET, Key="simple/a")):
            self.assertEqual((reply["ETag"], reply["ContentLength"], reply["ContentType"]), (put["ETag"], 11, "text/x-test"))
            self.assertEqual(reply["Metadata"], {"color": "blue", "weight": "9"})
            self.assertEqual((reply["CacheControl"], reply["ContentDisposition"], reply["ContentLanguage"]), ("max-age=3", "attachment", "en"))
            self.assertEqual(reply["AcceptRanges"], "bytes")
        self.assertEqual(self.read("simple/a"), b"hello world")
        self.put("simple/a", b"")
        self.assertEqual(self.read("simple/a"), b"")
        self.assertEqual(self.get("simple/a")["Metadata"], {})
        self.s3.delete_object(Bucket=BUCKET, Key="simple/a")
        self.s3.delete_object(Bucket=BUCKET, Key="simple/a")  # deleting nothing succeeds
        with self.refused("NoSuchKey", status=404):
            self.get("simple/a")
        with self.assertRaises(self.s3.exceptions.NoSuchKey):
            self.get("simple/a")
        with self.refused("404", status=404):
            self.s3.head_object(Bucket=BUCKET, Key="simple/a")
        with self.assertRaises(self.s3.exceptions.NoSuchBucket):
            self.s3.get_object(Bucket="absent-bucket", Key="k")

    def test_buckets(self):
        s3 = self.s3
        s3.create_bucket(Bucket="second-bucket")
        self.assertLessEqual({BUCKET, "second-bucket"}, {b["Name"] for b in s3.list_buckets()["Buckets"]})
        s3.head_bucket(Bucket="second-bucket")
        s3.get_bucket_location(Bucket="second-bucket")
        s3.put_object(Bucket="second-bucket", Key="k", Body=b"x")
        with self.refused("BucketNotEmpty", status=409):
            s3.delete_bucket(Bucket="second-bucket")
        s3.delete_object(Bucket="second-bucket", Key="k")
        s3.delete_bucket(Bucket="second-bucket")
        with self.refused("404", status=404):
            s3.head_bucket(Bucket="second-bucket")
        for bad in ("Upper", "ab", "a..b", "192.168.1.1", "-a-", "a_b", "x" * 64):
            with self.assertRaises(Exception, msg=bad):
                s3.create_bucket(Bucket=bad)

    def test_ranges(self):
        body = bytes(range(256)) * 40
        self.put("range", body)
        for header, want in (("bytes=0-0", body[:1]), ("bytes=10-19", body[10:20]), ("bytes=10000-", body[10000:]),
                             ("bytes=-7", body[-7:]), ("bytes=10200-99999", body[10200:])):
            reply = self.get("range", Range=header)
            self.assertEqual(reply["Body"].read(), want, header)
            self.assertEqual(reply["ResponseMetadata"]["HTTPStatusCode"], 206)
            self.assertRegex(reply["ContentRange"], r"^bytes \d+-\d+/10240$")
        with self.refused("InvalidRange", status=416):
            self.get("range", Range="bytes=10240-")
        for ignored in ("bytes=5-2", "lines=1-2"):  # what is not a range is no range (RFC 9110 §14.2)
            self.assertEqual(self.read("range", Range=ignored), body)

    def test_conditions(self):
        etag = self.put("cond", b"1", IfNoneMatch="*")["ETag"]
        with self.refused("PreconditionFailed", status=412):
            self.put("cond", b"2", IfNoneMatch="*")
        with self.refused("PreconditionFailed", status=412):
            self.put("cond", b"2", IfMatch='"0123"')
        self.assertEqual(self.read("cond"), b"1")
        second = self.put("cond", b"2", IfMatch=etag)["ETag"]
        with self.refused("PreconditionFailed", status=412):
            self.put("cond", b"3", IfMatch=etag)
        with self.refused("NoSuchKey", status=404):
            self.put("cond-absent", b"3", IfMatch=etag)
        self.assertEqual(self.read("cond", IfMatch=second), b"2")
        with self.refused("PreconditionFailed", status=412):
            self.get("cond", IfMatch=etag)
        with self.refused("304", status=304):
            self.get("cond", IfNoneMatch=second)
        self.assertEqual(self.read("cond", IfNoneMatch=etag), b"2")
        modified = self.get("cond")["LastModified"]
        with self.refused("304", status=304):
            self.get("cond", IfModifiedSince=modified)

    def test_odd_keys(self):
        for i, key in enumerate(ODD_KEYS):
            body = f"{i} {key}".encode()
            self.put(key, body)
        for i, key in enumerate(ODD_KEYS):
            with self.subTest(key=key):
                self.assertEqual(self.read(key), f"{i} {key}".encode())
                self.assertEqual(self.s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"], len(f"{i} {key}".encode()))
        listed = self.keys("")
        self.assertLessEqual(set(ODD_KEYS), set(listed))
        self.assertEqual(listed, sorted(listed, key=lambda k: k.encode()))
        for key in ODD_KEYS:
            self.s3.copy_object(Bucket=BUCKET, Key="copy-of-it", CopySource={"Bucket": BUCKET, "Key": key})
            self.assertEqual(self.read("copy-of-it").split(b" ", 1)[1].decode(), key)
        reply = self.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": k} for k in ODD_KEYS]})
        self.assertEqual({d["Key"] for d in reply["Deleted"]}, set(ODD_KEYS))
        self.assertFalse(set(ODD_KEYS) & set(self.keys("")))
        with self.refused("KeyTooLongError"):
            self.put("a" * 1025)

    def test_listing(self):
        for i in range(25):
            self.put(f"list/{i:02}", b"x" * i)
        self.put("list/sub/one/deep")
        self.put("list/sub/two")
        self.put("list/top")
        page = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", Delimiter="/", MaxKeys=1000)
        self.assertEqual([p["Prefix"] for p in page["CommonPrefixes"]], ["list/sub/"])
        self.assertEqual([o["Key"] for o in page["Contents"]], [f"list/{i:02}" for i in range(25)] + ["list/top"])
        self.assertEqual((page["KeyCount"], page["IsTruncated"], page["Prefix"], page["Delimiter"]), (27, False, "list/", "/"))
        self.assertEqual(page["Contents"][3]["Size"], 3)
        found, prefixes = [], []
        for p in self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="list/", Delimiter="/", PaginationConfig={"PageSize": 4}):
            self.assertLessEqual(p["KeyCount"], 4)
            found += [o["Key"] for o in p.get("Contents", [])]
            prefixes += [c["Prefix"] for c in p.get("CommonPrefixes", [])]
        self.assertEqual((found, prefixes), ([o["Key"] for o in page["Contents"]], ["list/sub/"]))
        old = [o["Key"] for p in self.s3.get_paginator("list_objects").paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 5})
               for o in p["Contents"]]
        self.assertEqual(old, self.keys("list/"))
        after = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", StartAfter="list/23")
        self.assertEqual([o["Key"] for o in after["Contents"]], ["list/24", "list/sub/one/deep", "list/sub/two", "list/top"])
        self.assertEqual(self.s3.list_objects_v2(Bucket=BUCKET, Prefix="nothing")["KeyCount"], 0)
        self.assertEqual(self.s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", MaxKeys=0)["KeyCount"], 0)
        with self.refused("InvalidArgument"):
            self.s3.list_objects_v2(Bucket=BUCKET, ContinuationToken="nonsense")

    def test_copy(self):
        self.put("copy/from", b"text", ContentType="text/a", Metadata={"m": "1"})
        self.s3.copy_object(Bucket=BUCKET, Key="copy/to", CopySource=f"{BUCKET}/copy/from")
        to = self.get("copy/to")
        self.assertEqual((to["Body"].read(), to["ContentType"], to["Metadata"]), (b"text", "text/a", {"m": "1"}))
        self.s3.copy_object(Bucket=BUCKET, Key="copy/to", CopySource={"Bucket": BUCKET, "Key": "copy/from"},
                            MetadataDirective="REPLACE", Metadata={"n": "2"}, ContentType="text/b")
        to = self.s3.head_object(Bucket=BUCKET, Key="copy/to")
        self.assertEqual((to["ContentType"], to["Metadata"]), ("text/b", {"n": "2"}))
        with self.refused("InvalidRequest"):  # onto itself, changing nothing
            self.s3.copy_object(Bucket=BUCKET, Key="copy/to", CopySource={"Bucket": BUCKET, "Key": "copy/to"})
        with self.refused("NoSuchKey"):
            self.s3.copy_object(Bucket=BUCKET, Key="copy/to", CopySource={"Bucket": BUCKET, "Key": "copy/absent"})
        with self.refused("PreconditionFailed"):
            self.s3.copy_object(Bucket=BUCKET, Key="copy/to", CopySource={"Bucket": BUCKET, "Key": "copy/from"}, CopySourceIfMatch='"0"')

    def test_multipart_transfer(self):
        """upload_file, copy and download of 20 MiB, in parts and in parallel."""
        body = random.Random(1).randbytes(20 * MIB + 12345)
        config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
        self.s3.upload_fileobj(io.BytesIO(body), BUCKET, "big/one", Config=config, ExtraArgs={"Metadata": {"k": "v"}})
        head = self.s3.head_object(Bucket=BUCKET, Key="big/one")
        digests = b"".join(hashlib.md5(body[i:i + 5 * MIB]).digest() for i in range(0, len(body), 5 * MIB))
        self.assertEqual(head["ETag"], f'"{hashlib.md5(digests).hexdigest()}-5"')
        self.assertEqual((head["ContentLength"], head["Metadata"]), (len(body), {"k": "v"}))
        self.s3.copy({"Bucket": BUCKET, "Key": "big/one"}, BUCKET, "big/two", Config=config)
        got = io.BytesIO()
        self.s3.download_fileobj(BUCKET, "big/two", got, Config=config)
        self.assertEqual(hashlib.sha256(got.getvalue()).digest(), hashlib.sha256(body).digest())
        self.assertEqual(self.read("big/one", Range=f"bytes={5 * MIB - 3}-{5 * MIB + 2}"), body[5 * MIB - 3:5 * MIB + 3])

    def test_multipart_by_hand(self):
        s3, at = self.s3, {"Bucket": BUCKET, "Key": "parts"}
        upload = s3.create_multipart_upload(**at, ContentType="text/parts")["UploadId"]
        etags = {n: s3.upload_part(**at, UploadId=upload, PartNumber=n, Body=bytes([n]) * size)["ETag"]
                 for n, size in ((3, 10), (1, 5 * MIB), (2, 5 * MIB))}
        self.assertEqual([u["UploadId"] for u in s3.list_multipart_uploads(Bucket=BUCKET, Prefix="parts")["Uploads"]], [upload])
        listed = s3.list_parts(**at, UploadId=upload)["Parts"]
        self.assertEqual([(p["PartNumber"], p["Size"]) for p in listed], [(1, 5 * MIB), (2, 5 * MIB), (3, 10)])

        def complete(*numbers):
            return s3.complete_multipart_upload(**at, UploadId=upload, MultipartUpload={
                "Parts": [{"PartNumber": n, "ETag": etags.get(n, '"0"')} for n in numbers]})
        with self.refused("InvalidPartOrder"):
            complete(2, 1)
        with self.refused("InvalidPart"):
            complete(1, 2, 4)
        with self.refused("EntityTooSmall"):
            self.complete_small_parts()
        with self.refused("NoSuchKey"):
            self.get("parts")
        complete(1, 2, 3)
        self.assertEqual(self.get("parts")["ContentType"], "text/parts")
        self.assertEqual(self.s3.head_object(**at, PartNumber=3)["ContentLength"], 10)
        self.assertEqual(self.read("parts", Range="bytes=-11"), b"\x02" + b"\x03" * 10)
        with self.refused("NoSuchUpload"):
            s3.upload_part(**at, UploadId=upload, PartNumber=1, Body=b"late")
        upload = s3.create_multipart_upload(**at)["UploadId"]
        s3.abort_multipart_upload(**at, UploadId=upload)
        with self.refused("NoSuchUpload"):
            s3.list_parts(**at, UploadId=upload)

    def complete_small_parts(self):
        at = {"Bucket": BUCKET, "Key": "small-parts"}
        upload = self.s3.create_multipart_upload(**at)["UploadId"]
        parts = [{"PartNumber": n, "ETag": self.s3.upload_part(**at, UploadId=upload, PartNumber=n, Body=b"x")["ETag"]} for n in (1, 2)]
        self.s3.complete_multipart_upload(**at, UploadId=upload, MultipartUpload={"Parts": parts})

    def test_batch_delete(self):
        keys = [f"batch/{i}" for i in range(30)]
        for k in keys:
            self.put(k, b"")
        reply = self.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": k} for k in keys + ["batch/absent"]]})
        self.assertEqual(len(reply["Deleted"]), 31)
        self.assertNotIn("Errors", reply)
        self.assertEqual(self.keys("batch/"), [])
        self.put("batch/q")
        self.assertNotIn("Deleted", self.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "batch/q"}], "Quiet": True}))

    def test_checksums(self):
        """Every algorithm that this Python can compute; CRC-32C and CRC-64/NVME need the CRT, which boto3 has not by itself."""
        body = b"checksummed " * 1000
        known = {"CRC32": "zlib", "SHA1": "sha1", "SHA256": "sha256"}
        try:
            import awscrt  # noqa: F401
            known |= {"CRC32C": "crt", "CRC64NVME": "crt"}
        except ImportError:
            pass
        for algorithm in known:
            key = f"sum/{algorithm}"
            put = self.put(key, body, ChecksumAlgorithm=algorithm)
            member = f"Checksum{algorithm}"
            got = self.get(key, ChecksumMode="ENABLED")
            self.assertEqual(got[member], put[member], algorithm)
            self.assertEqual(got["Body"].read(), body)
            self.assertEqual(self.s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")[member], put[member])
            attributes = self.s3.get_object_attributes(Bucket=BUCKET, Key=key, ObjectAttributes=["Checksum", "ObjectSize", "ETag"])
            self.assertEqual((attributes["Checksum"][member], attributes["ObjectSize"]), (put[member], len(body)))
        want = base64.b64encode(hashlib.sha256(body).digest()).decode()
        self.assertEqual(self.get("sum/SHA256", ChecksumMode="ENABLED")["ChecksumSHA256"], want)
        # Values that boto3 need not compute itself: those of "123456789" in the CRC catalogue.
        for member, value in (("ChecksumCRC32C", 0xE3069283.to_bytes(4, "big")), ("ChecksumCRC64NVME", 0xAE8B14860A799888.to_bytes(8, "big"))):
            text = base64.b64encode(value).decode()
            self.assertEqual(self.put("sum/given", b"123456789", **{member: text})[member], text)
            with self.refused("BadDigest", status=400):
                self.put("sum/given", b"123456780", **{member: text})
        with self.refused("BadDigest"):
            self.put("sum/wrong", body, ChecksumSHA256=base64.b64encode(b"\0" * 32).decode())
        with self.refused("BadDigest"):
            self.put("sum/wrong", body, ContentMD5=base64.b64encode(b"\0" * 16).decode())
        with self.refused("NoSuchKey"):
            self.get("sum/wrong")

    def test_presigned(self):
        s3 = self.server.client("s3", signature_version="s3v4")
        url = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "pre/signed ü"}, ExpiresIn=60)
        with urllib.request.urlopen(urllib.request.Request(url, b"by url", method="PUT")) as reply:
            self.assertEqual(reply.status, 200)
        url = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "pre/signed ü", "ResponseContentType": "text/other"}, ExpiresIn=60)
        with urllib.request.urlopen(url) as reply:
            self.assertEqual((reply.read(), reply.headers["Content-Type"]), (b"by url", "text/other"))
        other = url.replace("signed", "singed")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(other)
        with caught.exception as error:
            self.assertEqual(error.code, 403)
            self.assertIn(b"<Code>SignatureDoesNotMatch</Code>", error.read())
        old = self.server.client("s3", signature_version="s3").generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "k"})
        for refused, why in ((url.split("?")[0], b"AccessDenied"), (old, b"must use X-Amz-Algorithm=AWS4-HMAC-SHA256")):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(refused)
            with caught.exception as error:
                self.assertEqual(error.code, 403)
                self.assertIn(why, error.read())

    def test_unsigned_payload_and_styles(self):
        for config in ({"s3": {"addressing_style": "path"}}, {"s3": {"payload_signing_enabled": True}},
                       {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}):
            s3 = self.server.client("s3", **config)
            s3.put_object(Bucket=BUCKET, Key="style", Body=io.BytesIO(b"styled"))
            self.assertEqual(s3.get_object(Bucket=BUCKET, Key="style")["Body"].read(), b"styled")

    def test_virtual_host(self):
        """http://BUCKET.localhost:PORT. Many resolvers send *.localhost to loopback; not all, so here it is done for them."""
        import botocore.config
        import boto3
        e = self.server.exports
        port = urllib.parse.urlsplit(self.server.url).port
        s3 = boto3.session.Session().client(
            "s3", endpoint_url=f"http://localhost:{port}", region_name="us-east-1", aws_access_key_id=e["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=e["AWS_SECRET_ACCESS_KEY"], config=botocore.config.Config(s3={"addressing_style": "virtual"}))
        hosts, resolve = [], socket.getaddrinfo

        def to_loopback(host, *args, **kw):
            hosts.append(host)
            return resolve("127.0.0.1", *args, **kw)
        with unittest.mock.patch("socket.getaddrinfo", to_loopback):
            s3.put_object(Bucket=BUCKET, Key="virtual/host", Body=b"v")
            self.assertEqual(s3.get_object(Bucket=BUCKET, Key="virtual/host")["Body"].read(), b"v")
            self.assertEqual([o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET, Prefix="virtual/")["Contents"]], ["virtual/host"])
        self.assertEqual(set(hosts), {f"{BUCKET}.localhost"})
        self.assertEqual(self.read("virtual/host"), b"v")

    def test_refused_configuration(self):
        """What is not there is refused, not pretended (docs/differences.md, S3 door)."""
        with self.refused("NotImplemented", status=501):
            self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        with self.refused("NotImplemented", status=501):
            self.put("tagged", Tagging="a=b")
        self.assertNotIn("Status", self.s3.get_bucket_versioning(Bucket=BUCKET))
        with self.refused("NoSuchBucketPolicy", status=404):
            self.s3.get_bucket_policy(Bucket=BUCKET)

    def test_survives_a_restart(self):
        self.put("restart/me", b"durable")
        self.server.process.kill()
        self.server.process.wait()
        self.server.start()
        type(self).s3 = self.server.client("s3", user_agent_extra="after")
        self.assertEqual(self.read("restart/me"), b"durable")
        self.server._made.clear()


if __name__ == "__main__":
    unittest.main()
