"""Rehearse a declared pipeline on this machine: real jobs, real endpoints, no AWS account and no Docker."""
