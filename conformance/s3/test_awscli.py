"""The S3 door with the AWS CLI v1: aws s3 and aws s3api."""

import hashlib
import json
import pathlib
import random
import tempfile
import unittest

from case import Case


class AWSCLI(Case):
    @classmethod
    def prepare(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="tenon-conformance-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.here = pathlib.Path(cls.folder.name)

    def cli(self, *args):
        return self.server.aws("s3", *args).stdout

    def api(self, *args):
        return self.server.aws_json("s3api", *args)

    def test_high_level_commands(self):
        tree = self.here / "tree"
        (tree / "sub dir").mkdir(parents=True)
        big = random.Random(2).randbytes(17 << 20)
        files = {"a.txt": b"alpha", "sub dir/ü b.txt": b"beta", "empty": b"", "big.bin": big}
        for name, body in files.items():
            (tree / name).write_bytes(body)

        self.cli("mb", "s3://cli-bucket")
        self.assertIn("cli-bucket", self.cli("ls"))
        self.cli("sync", str(tree), "s3://cli-bucket/t")
        listed = self.cli("ls", "s3://cli-bucket/t/", "--recursive", "--summarize")
        self.assertIn("Total Objects: 4", listed)
        self.assertIn("t/sub dir/ü b.txt", listed)
        self.assertIn("PRE sub dir/", self.cli("ls", "s3://cli-bucket/t/"))
        self.assertEqual(self.cli("sync", str(tree), "s3://cli-bucket/t").strip(), "", "nothing changed, nothing to copy")

        (tree / "a.txt").write_bytes(b"alpha, longer")
        (tree / "empty").unlink()
        out = self.cli("sync", str(tree), "s3://cli-bucket/t", "--delete")
        self.assertIn("upload:", out)
        self.assertIn("delete: s3://cli-bucket/t/empty", out)

        self.cli("cp", "s3://cli-bucket/t/", "s3://cli-bucket/copy/", "--recursive")
        self.cli("mv", "s3://cli-bucket/copy/a.txt", "s3://cli-bucket/moved/a b.txt")
        self.assertNotIn("copy/a.txt", self.cli("ls", "s3://cli-bucket", "--recursive"))
        back = self.here / "back"
        self.cli("sync", "s3://cli-bucket", str(back))
        self.assertEqual(hashlib.sha256((back / "copy" / "big.bin").read_bytes()).digest(), hashlib.sha256(big).digest())
        self.assertEqual((back / "moved" / "a b.txt").read_bytes(), b"alpha, longer")
        self.assertEqual((back / "t" / "sub dir" / "ü b.txt").read_bytes(), b"beta")
        self.assertEqual(self.cli("cp", "s3://cli-bucket/t/a.txt", "-"), "alpha, longer")

        self.assertNotEqual(self.server.aws("s3", "rb", "s3://cli-bucket", check=False).returncode, 0)
        self.cli("rm", "s3://cli-bucket/t/a.txt")
        self.cli("rm", "s3://cli-bucket", "--recursive", "--exclude", "moved/*")
        self.assertEqual([line.split(maxsplit=3)[3] for line in self.cli("ls", "s3://cli-bucket", "--recursive").splitlines()], ["moved/a b.txt"])
        self.cli("rb", "s3://cli-bucket", "--force")
        self.assertNotIn("cli-bucket", self.cli("ls"))

    def test_s3api(self):
        body = self.here / "body"
        body.write_bytes(b"0123456789")
        at = ("--bucket", "api-bucket", "--key", "dir/key ü")
        self.api("create-bucket", "--bucket", "api-bucket")
        put = self.api("put-object", *at, "--body", str(body), "--metadata", "a=1", "--content-type", "text/z", "--checksum-algorithm", "SHA256")
        self.assertIn("ChecksumSHA256", put)
        head = self.api("head-object", *at)
        self.assertEqual((head["ContentLength"], head["Metadata"], head["ContentType"], head["ETag"]), (10, {"a": "1"}, "text/z", put["ETag"]))
        out = self.here / "out"
        self.api("get-object", *at, "--range", "bytes=2-4", str(out))
        self.assertEqual(out.read_bytes(), b"234")
        listed = self.api("list-objects-v2", "--bucket", "api-bucket", "--delimiter", "/")
        self.assertEqual([p["Prefix"] for p in listed["CommonPrefixes"]], ["dir/"])
        done = self.server.aws("s3api", "put-object", *at, "--body", str(body), "--if-none-match", "*", check=False)
        self.assertIn("(PreconditionFailed)", done.stderr)
        upload = self.api("create-multipart-upload", *at)["UploadId"]
        part = self.api("upload-part", *at, "--upload-id", upload, "--part-number", "1", "--body", str(body))["ETag"]
        self.api("complete-multipart-upload", *at, "--upload-id", upload, "--multipart-upload",
                 json.dumps({"Parts": [{"PartNumber": 1, "ETag": part}]}))
        self.assertEqual(self.api("head-object", *at)["ETag"][-3:], '-1"')
        reply = self.api("delete-objects", "--bucket", "api-bucket", "--delete", json.dumps({"Objects": [{"Key": "dir/key ü"}]}))
        self.assertEqual(reply["Deleted"], [{"Key": "dir/key ü"}])
        self.api("delete-bucket", "--bucket", "api-bucket")


if __name__ == "__main__":
    unittest.main()
