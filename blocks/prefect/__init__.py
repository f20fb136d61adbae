"""What depends on Prefect's own ways: pages of its UI, the code version of a deployment, log lines."""
