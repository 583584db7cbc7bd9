"""Drive a plan against a target: dispatchers as processes, requests in the planned order, the history on disk."""
