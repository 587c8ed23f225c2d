"""Uploads and downloads under faults: each case in a repo of its own, its outcome as JSON: "ok" or error and status.

Usage: faulty.py NAME...; a name is a repo `org/<name>`, its first word says what to do there.
"""

import hashlib
import json
import sys

from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download, hf_hub_url
from huggingface_hub.utils import get_session

api = HfApi()
CONTENT = hashlib.sha256(b"seed").digest() * 40_000  # 1.3 MB: two parts


def do(name: str) -> None:
    repo = f"org/{name}"
    content = name.encode() + CONTENT
    verb = name.split("-")[0]
    if verb == "commit":
        add = [CommitOperationAdd("small.txt", name.encode())]
        api.create_commit(repo, add, commit_message="under a fault")
    elif verb == "upload":
        api.upload_file(repo_id=repo, path_or_fileobj=content, path_in_repo="large.bin")
    elif verb == "whoami":
        api.whoami()
    elif verb == "tree":
        list(api.list_repo_tree(repo))
    elif verb == "download":
        hf_hub_download(repo, ".gitattributes")
    elif verb == "range":
        answer = get_session().get(hf_hub_url(repo, ".gitattributes"), headers={"Range": "bytes=0-3"})
        answer.raise_for_status()


outcomes = {}
for name in sys.argv[1:]:
    try:
        do(name)
        outcomes[name] = "ok"
    except Exception as error:
        cause = error.__cause__ if "Error while uploading" in str(error) else error
        code = getattr(getattr(cause, "response", None), "status_code", "")
        outcomes[name] = f"{type(cause).__name__} {code}".strip()
print(json.dumps(outcomes))
