"""What Prometheus scrapes, its alerts, and Grafana's dashboard."""
