"""Tests of what reads manifests."""
