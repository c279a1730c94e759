"""The programs that run in CodeBuild: boto3 and the standard library only.

The folder travels as an asset and is started as a package of its own (``python -m runtime.build train``), so
everything in it imports its neighbours relatively.
"""
