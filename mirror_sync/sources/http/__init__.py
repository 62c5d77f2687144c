"""The way to an upstream by HTTP: connections, time-outs, certificates, proxies, and answers that may be anything."""
