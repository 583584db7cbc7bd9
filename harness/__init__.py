"""Simulation and conformance test harness for container lock/unlock APIs over HTTP."""
