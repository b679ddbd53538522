"""A unittest case on one server for the whole class."""

import contextlib
import unittest

import botocore.exceptions

import tenon


class Case(unittest.TestCase):
    flags = ()
    options = {}
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = tenon.Server(*cls.flags, **cls.options)
        cls.addClassCleanup(cls.server.close)
        cls.glue, cls.s3 = cls.server.glue, cls.server.s3
        cls.prepare()

    @classmethod
    def prepare(cls):
        """For subclasses: what all their tests need."""

    @contextlib.contextmanager
    def refused(self, code, text="", status=None):
        """Asserts that a boto3 call is refused with this error code."""
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            yield caught
        reply = caught.exception.response
        self.assertEqual(reply["Error"]["Code"], code, reply)
        self.assertIn(text, reply["Error"]["Message"])
        if status:
            self.assertEqual(reply["ResponseMetadata"]["HTTPStatusCode"], status)
