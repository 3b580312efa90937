"""Measurements that the documents quote; run from the checkout, never packaged."""
