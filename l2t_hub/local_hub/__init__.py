"""The local Hub: a server on this machine that speaks the part of the huggingface.co API a release uses.

Users know it as the rehearsal Hub: every URL contains `/rehearsal`, so nobody mistakes it for huggingface.co. A
release to it shows that the file set is complete, cards parse, configurations load, and uploads, tags and pull
requests work, also when repeated. It cannot show permissions, quotas, rate limits, the Hub's full metadata rules,
Space builds, the dataset viewer or throughput.

`server.running` serves a directory from a thread of this process, `hub_process.serve_hub` in the foreground.
"""
