"""The rules, the dashboard and the manual of monitoring, against the metrics that there are and a real Prometheus."""
