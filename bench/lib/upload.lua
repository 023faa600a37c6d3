-- For wrk: every request carries 100 MiB.
wrk.method = "POST"
wrk.body = string.rep("0123456789abcdef", 100 * 65536)
wrk.headers["Content-Type"] = "application/octet-stream"
