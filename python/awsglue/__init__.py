"""The part of Glue's Python module that job scripts import, written for Tenon.

Only ``awsglue.utils`` exists, which is all that Python-shell jobs have on AWS as well; importing
anything else fails with Python's own ``ModuleNotFoundError`` (spec/jobs §3.5, §5.4).
"""
