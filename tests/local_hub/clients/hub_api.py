"""The contract of the Hub's REST API with huggingface_hub's HfApi and HfFileSystem: one row per endpoint or trap."""

import io
import json
import os
from functools import partial
from pathlib import Path

from rows import main, raises, row

TOKENS = json.loads(os.environ.get("L2T_TEST_TOKENS", "{}"))
XET = "HF_HUB_DISABLE_XET" not in os.environ
DATA = "org/data"
BIG = bytes(range(256)) * 12_000  # 3 MB: more than one part, and it compresses


def api():
    from huggingface_hub import HfApi

    return HfApi()


def status(call) -> int:
    from huggingface_hub.errors import HfHubHTTPError

    return raises(HfHubHTTPError, call).response.status_code


@row("whoami names the user, the organisations and the token's role")
def _():
    assert api().whoami()["auth"]["accessToken"]["role"] == "write"
    assert api().whoami(token=TOKENS["read"])["auth"]["accessToken"]["role"] == "read"
    assert status(lambda: api().whoami(token="hf_wrong")) == 401


@row("create_repo returns the URL, 409 carries it too, and exist_ok uses it")
def _():
    url = api().create_repo(DATA, repo_type="dataset")
    assert str(url) == f"{os.environ['HF_ENDPOINT']}/datasets/org/data"
    assert url.repo_id == DATA
    assert api().create_repo(DATA, repo_type="dataset", exist_ok=True) == url
    assert status(lambda: api().create_repo(DATA, repo_type="dataset")) == 409
    assert "org" in [org["name"] for org in api().whoami()["orgs"]]


@row("a Space is created with its sdk and tells its runtime")
def _():
    api().create_repo("org/space", repo_type="space", space_sdk="gradio")
    info = api().space_info("org/space")
    assert info.sdk == "gradio"
    assert info.runtime.stage == api().get_space_runtime("org/space").stage == "STOPPED"


@row("move_repo, delete_repo and missing_ok")
def _():
    from huggingface_hub.errors import RepositoryNotFoundError

    api().create_repo("org/passing")
    api().move_repo("org/passing", "org/moved")
    assert api().repo_exists("org/moved")
    assert api().model_info("org/passing").id == "org/moved"
    api().delete_repo("org/moved")
    assert not api().repo_exists("org/passing")
    raises(RepositoryNotFoundError, lambda: api().delete_repo("org/moved"))
    api().delete_repo("org/moved", missing_ok=True)


@row("a moved repo is read and written under its old name, until that name is taken again")
def _():
    from huggingface_hub import HfFileSystem, hf_hub_download
    from huggingface_hub.errors import RepositoryNotFoundError

    api().create_repo("org/before", repo_type="dataset", private=True)
    api().move_repo("org/before", "org/between", repo_type="dataset")
    api().move_repo("org/between", "org/after", repo_type="dataset")
    for old in ("org/before", "org/between"):
        folder = Path("old-name")
        folder.mkdir(exist_ok=True)
        (folder / "large.bin").write_bytes(old.encode() + BIG)
        (folder / "small.txt").write_text(old)
        api().upload_folder(folder_path=folder, repo_id=old, repo_type="dataset")
        assert Path(hf_hub_download(old, "small.txt", repo_type="dataset")).read_text() == old
        copy = Path(api().snapshot_download(old, repo_type="dataset"))
        assert (copy / "large.bin").read_bytes() == old.encode() + BIG
        assert {e.path for e in api().list_repo_tree(old, repo_type="dataset")} > {"large.bin", "small.txt"}
        api().create_tag(old, tag=old.rpartition("/")[2], repo_type="dataset")
        assert HfFileSystem().read_text(f"datasets/{old}/small.txt") == old
        raises(
            RepositoryNotFoundError,
            lambda old=old: api().dataset_info(old, token=TOKENS["outsider"]),
        )
    refs = api().list_repo_refs("org/after", repo_type="dataset")
    assert {tag.name for tag in refs.tags} == {"before", "between"}
    api().create_repo("org/before", repo_type="dataset")
    assert api().dataset_info("org/before").id == "org/before"
    assert api().dataset_info("org/between").id == "org/after"
    api().delete_repo("org/after", repo_type="dataset")
    assert not api().repo_exists("org/between", repo_type="dataset")
    api().delete_repo("org/before", repo_type="dataset")


@row("a private repo looks like none to a stranger, and settings open it")
def _():
    from huggingface_hub.errors import RepositoryNotFoundError

    api().create_repo("org/secret", private=True)
    assert api().model_info("org/secret").private
    assert api().model_info("org/secret", token=TOKENS["read"]).private
    for token in (False, TOKENS["outsider"]):
        raises(RepositoryNotFoundError, lambda token=token: api().model_info("org/secret", token=token))
        assert "org/secret" not in [m.id for m in api().list_models(author="org", token=token)]
    api().update_repo_settings("org/secret", private=False)
    assert api().model_info("org/secret", token=False).id == "org/secret"
    api().auth_check("org/secret", token=False)


@row("a read token reads and cannot write; no token cannot write")
def _():
    for token, code in (
        (TOKENS["read"], 403),
        (TOKENS["outsider"], 403),
        (False, 401),
        (TOKENS["expired"], 401),
    ):
        upload = partial(
            api().upload_file, path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=DATA, repo_type="dataset"
        )
        assert status(partial(upload, token=token)) == code


@row("validate-yaml passes a good card, warns of none and refuses a broken one")
def _():
    api()._validate_yaml("---\nlicense: mit\n---\n# Good", repo_type="dataset")
    raises(ValueError, lambda: api()._validate_yaml("---\nlicense: [mit\n---\n", repo_type="dataset"))
    raises(ValueError, lambda: api()._validate_yaml("---\nconfigs: {a: 1}\n---\n", repo_type="dataset"))


@row("preupload decides what is LFS: by pattern, by content, never an empty file")
def _():
    from huggingface_hub import CommitOperationAdd

    ops = [
        CommitOperationAdd("a.parquet", b"text all the same"),
        CommitOperationAdd("noise.dat", bytes(range(256))),
        CommitOperationAdd("a.txt", b"text"),
        CommitOperationAdd("empty.parquet", b""),
    ]
    api().preupload_lfs_files(DATA, ops, repo_type="dataset", free_memory=False)
    assert [op._upload_mode for op in ops] == ["lfs", "lfs", "regular", "regular"]


@row("create_commit adds regular and large files at once, with git's and LFS's hashes")
def _():
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.utils.sha import git_hash

    card = b"---\nlicense: mit\ntags: [l2t]\nlanguage: en\n---\n# Data\n"
    operations = [
        CommitOperationAdd("README.md", card),
        CommitOperationAdd("data/big.bin", BIG),
        CommitOperationAdd("data/deep/er/small.txt", b"small"),
        CommitOperationAdd("gone/one.txt", b"1"),
        CommitOperationAdd("gone/two.txt", b"2"),
        CommitOperationAdd("empty.bin", b""),
    ]
    done = api().create_commit(
        DATA, operations, commit_message="first", commit_description="why", repo_type="dataset"
    )
    assert "/rehearsal/datasets/org/data/commit/" in done.commit_url
    info = api().dataset_info(DATA, files_metadata=True)
    assert info.sha == done.oid
    assert len(info.sha) == 40
    assert info.card_data["license"] == "mit"
    assert {"l2t", "license:mit", "language:en"} <= set(info.tags)
    files = {s.rfilename: s for s in info.siblings}
    assert files["README.md"].blob_id == git_hash(card)
    assert files["data/big.bin"].lfs.size == len(BIG)
    assert files["data/big.bin"].lfs.sha256 == operations[1].upload_info.sha256.hex()
    assert files["empty.bin"].lfs is None


@row("the tree lists files and folders, and whether they came through Xet")
def _():
    from huggingface_hub.errors import EntryNotFoundError

    top = {e.path: e for e in api().list_repo_tree(DATA, repo_type="dataset")}
    assert set(top) == {".gitattributes", "README.md", "data", "gone", "empty.bin"}
    every = {e.path: e for e in api().list_repo_tree(DATA, repo_type="dataset", recursive=True, expand=True)}
    assert {"data/deep", "data/deep/er", "data/deep/er/small.txt"} <= set(every)
    assert every["data/big.bin"].last_commit.title == "first"
    assert every[".gitattributes"].last_commit.title == "initial commit"
    assert every["data"].last_commit.title == "first"
    assert bool(every["data/big.bin"].xet_hash) == XET
    inner = list(api().list_repo_tree(DATA, "data/deep", repo_type="dataset"))
    assert [e.path for e in inner] == ["data/deep/er"]
    raises(EntryNotFoundError, lambda: list(api().list_repo_tree(DATA, "no/such", repo_type="dataset")))


@row("paths-info tells of files and folders and leaves out what is missing")
def _():
    nodes = api().get_paths_info(DATA, ["README.md", "data", "nope"], repo_type="dataset", expand=True)
    assert [(type(e).__name__, e.path) for e in nodes] == [("RepoFile", "README.md"), ("RepoFolder", "data")]
    assert nodes[0].last_commit.title == "first"


@row("hf_hub_download of regular, large and empty files; the second time from the cache")
def _():
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.file_download import get_hf_file_metadata

    for name, content in (("data/big.bin", BIG), ("data/deep/er/small.txt", b"small"), ("empty.bin", b"")):
        path = hf_hub_download(DATA, name, repo_type="dataset")
        assert Path(path).read_bytes() == content
        assert hf_hub_download(DATA, name, repo_type="dataset") == path
    reply = get_hf_file_metadata(hf_hub_url(DATA, "data/big.bin", repo_type="dataset"))
    assert reply.size == len(BIG)
    assert len(reply.etag) == 64
    assert len(reply.commit_hash) == 40


@row("missing repo, revision and entry are reply apart")
def _():
    from huggingface_hub import errors, file_exists, hf_hub_download

    raises(errors.RepositoryNotFoundError, lambda: hf_hub_download("org/nope", "x"))
    raises(
        errors.RevisionNotFoundError, lambda: hf_hub_download(DATA, "x", repo_type="dataset", revision="nope")
    )
    raises(errors.RemoteEntryNotFoundError, lambda: hf_hub_download(DATA, "x", repo_type="dataset"))
    assert not file_exists(DATA, "x", repo_type="dataset")
    assert not api().revision_exists(DATA, "nope", repo_type="dataset")


@row("ranges: 206, 416, suffix, and HEAD")
def _():
    from huggingface_hub import get_session, hf_hub_url

    for name, content in (("data/big.bin", BIG), ("data/deep/er/small.txt", b"small")):
        url = hf_hub_url(DATA, name, repo_type="dataset")
        size = len(content)
        for header, part in (
            ("bytes=0-0", content[:1]),
            ("bytes=3-", content[3:]),
            ("bytes=-4", content[-4:]),
            (f"bytes=2-{size + 9}", content[2:]),
            (f"bytes={size // 2}-{size // 2 + 2}", content[size // 2 : size // 2 + 3]),
        ):
            answer = get_session().get(url, headers={"Range": header})
            assert (answer.status_code, answer.content) == (206, part), header
        assert get_session().get(url, headers={"Range": f"bytes={size}-"}).status_code == 416
        head = get_session().head(url)
        assert (head.status_code, int(head.headers["content-length"])) == (200, size)


@row("commits delete files and folders and copy them")
def _():
    from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete

    operations = [
        CommitOperationDelete("gone/"),
        CommitOperationDelete("data/deep/er/small.txt"),
        CommitOperationCopy("data/big.bin", "data/copy.bin"),
        CommitOperationCopy("README.md", "OTHER.md"),
        CommitOperationAdd("new.txt", b"new"),
    ]
    api().create_commit(DATA, operations, commit_message="second", repo_type="dataset")
    files = api().list_repo_files(DATA, repo_type="dataset")
    assert sorted(files) == sorted(
        [".gitattributes", "README.md", "OTHER.md", "data/big.bin", "data/copy.bin", "empty.bin", "new.txt"]
    )
    assert status(lambda: api().delete_file("nope.txt", DATA, repo_type="dataset")) == 404


@row("a stale parent is refused with 412")
def _():
    from huggingface_hub import CommitOperationAdd

    head = api().dataset_info(DATA).sha

    def commit(text: bytes, parent: str):
        add = [CommitOperationAdd("p.txt", text)]
        return api().create_commit(
            DATA, add, commit_message="on a parent", repo_type="dataset", parent_commit=parent
        )

    one = commit(b"1", head)
    assert status(lambda: commit(b"2", head)) == 412
    assert commit(b"3", one.oid[:8]).oid != one.oid


@row("commits are listed newest first, over pages")
def _():
    from huggingface_hub import CommitOperationAdd

    api().create_repo("org/pages")
    for n in range(52):
        api().create_commit(
            "org/pages", [CommitOperationAdd("n.txt", str(n).encode())], commit_message=f"n{n}"
        )
    titles = [c.title for c in api().list_repo_commits("org/pages")]
    assert titles == [f"n{n}" for n in reversed(range(52))] + ["initial commit"]
    oldest = api().list_repo_commits("org/pages", formatted=True)[-1]
    assert oldest.formatted_title == "initial commit"
    assert api().model_info("org/pages", revision=oldest.commit_id[:10]).sha == oldest.commit_id


@row("a large tree comes in pages")
def _():
    from huggingface_hub import CommitOperationAdd

    operations = [CommitOperationAdd(f"f/{n:04d}.txt", str(n).encode()) for n in range(1_050)]
    api().create_commit("org/pages", operations, commit_message="many")
    paths = [e.path for e in api().list_repo_tree("org/pages", "f", expand=True)]
    assert paths == [f"f/{n:04d}.txt" for n in range(1_050)]
    assert len(list(api().list_repo_tree("org/pages", recursive=True))) == 1_050 + 3


@row("branches: create from a revision, commit to, 409, delete")
def _():
    from huggingface_hub.errors import RevisionNotFoundError

    first = api().list_repo_commits("org/pages")[-1].commit_id
    api().create_branch("org/pages", branch="old/state", revision=first)
    api().upload_file(path_or_fileobj=b"b", path_in_repo="b.txt", repo_id="org/pages", revision="old/state")
    assert sorted(api().list_repo_files("org/pages", revision="old/state")) == [".gitattributes", "b.txt"]
    assert status(lambda: api().create_branch("org/pages", branch="old/state")) == 409
    api().create_branch("org/pages", branch="old/state", exist_ok=True)
    assert status(lambda: api().create_branch("org/pages", branch="refs/pr/7")) == 400
    api().delete_branch("org/pages", branch="old/state")
    raises(RevisionNotFoundError, lambda: api().list_repo_files("org/pages", revision="old/state"))
    raises(RevisionNotFoundError, lambda: api().create_branch("org/pages", branch="b", revision="nope"))


@row("tags: create, read by, 409, delete")
def _():
    from huggingface_hub.errors import RevisionNotFoundError

    head = api().dataset_info(DATA).sha
    api().create_tag(DATA, tag="v1.0-abc", tag_message="first", repo_type="dataset")
    assert api().dataset_info(DATA, revision="v1.0-abc").sha == head
    assert status(lambda: api().create_tag(DATA, tag="v1.0-abc", repo_type="dataset")) == 409
    api().create_tag(DATA, tag="v1.0-abc", repo_type="dataset", exist_ok=True)
    api().create_tag(DATA, tag="passing", revision=head, repo_type="dataset")
    api().delete_tag(DATA, tag="passing", repo_type="dataset")
    raises(RevisionNotFoundError, lambda: api().delete_tag(DATA, tag="passing", repo_type="dataset"))


@row("a pull request of a commit is read by its ref, listed, commented, merged at once")
def _():
    from huggingface_hub import CommitOperationAdd, hf_hub_download

    before = api().dataset_info(DATA).sha
    add = [CommitOperationAdd("pr.txt", b"pr"), CommitOperationAdd("pr.bin", BIG[:70_000])]
    pull = api().create_commit(
        DATA, add, commit_message="a pull request", repo_type="dataset", create_pr=True
    )
    assert pull.pr_revision == f"refs/pr/{pull.pr_num}"
    api().upload_file(
        path_or_fileobj=b"more",
        path_in_repo="more.txt",
        repo_id=DATA,
        repo_type="dataset",
        revision=pull.pr_revision,
    )
    assert api().dataset_info(DATA).sha == before
    path = hf_hub_download(DATA, "pr.bin", repo_type="dataset", revision=pull.pr_revision)
    assert Path(path).read_bytes() == BIG[:70_000]
    refs = api().list_repo_refs(DATA, repo_type="dataset", include_pull_requests=True)
    assert pull.pr_revision in [r.ref for r in refs.pull_requests]
    assert [b.name for b in refs.branches] == ["main"]
    assert [t.name for t in refs.tags] == ["v1.0-abc"]
    comment = api().comment_discussion(DATA, pull.pr_num, "looks **good**", repo_type="dataset")
    assert comment.content == "looks **good**"
    reply = api().get_discussion_details(DATA, pull.pr_num, repo_type="dataset")
    assert (reply.status, reply.conflicting_files, reply.target_branch) == ("open", [], "refs/heads/main")
    assert [e.type for e in reply.events] == ["commit", "commit", "comment"]
    api().merge_pull_request(DATA, pull.pr_num, repo_type="dataset")
    reply = api().get_discussion_details(DATA, pull.pr_num, repo_type="dataset")
    assert (reply.status, reply.merge_commit_oid) == ("merged", api().dataset_info(DATA).sha)
    assert {"pr.txt", "pr.bin", "more.txt"} <= set(api().list_repo_files(DATA, repo_type="dataset"))
    assert status(lambda: api().merge_pull_request(DATA, pull.pr_num, repo_type="dataset")) == 409


@row("discussions: a draft pull request is opened first, titles and states change, conflicts are named")
def _():
    pull = api().create_pull_request(DATA, "my title", description="what", repo_type="dataset")
    assert (pull.status, pull.is_pull_request) == ("draft", True)
    put = lambda revision, text: api().upload_file(  # noqa: E731
        path_or_fileobj=text, path_in_repo="both.txt", repo_id=DATA, repo_type="dataset", revision=revision
    )
    put(pull.git_reference, b"theirs")
    assert status(lambda: api().merge_pull_request(DATA, pull.num, repo_type="dataset")) == 409
    api().change_discussion_status(DATA, pull.num, "open", repo_type="dataset")
    api().rename_discussion(DATA, pull.num, "new title", repo_type="dataset")
    put("main", b"ours")
    reply = api().get_discussion_details(DATA, pull.num, repo_type="dataset")
    assert (reply.title, reply.conflicting_files) == ("new title", ["both.txt"])
    assert status(lambda: api().merge_pull_request(DATA, pull.num, repo_type="dataset")) == 409
    api().change_discussion_status(DATA, pull.num, "closed", repo_type="dataset")
    api().create_discussion(DATA, "just talk", repo_type="dataset")
    listed = list(api().get_repo_discussions(DATA, repo_type="dataset", discussion_type="pull_request"))
    assert [d.status for d in listed] == ["closed", "merged"]
    assert next(api().get_repo_discussions(DATA, repo_type="dataset")).title == "just talk"


@row("super-squash leaves one commit and the same files")
def _():
    files = api().list_repo_files("org/pages")
    api().super_squash_history("org/pages", commit_message="squashed")
    assert [c.title for c in api().list_repo_commits("org/pages")] == ["squashed"]
    assert api().list_repo_files("org/pages") == files


@row("content the Hub has is not sent again")
def _():
    api().create_repo("org/again")
    api().upload_file(path_or_fileobj=BIG, path_in_repo="same.bin", repo_id="org/again")
    assert api().model_info("org/again", files_metadata=True).siblings[-1].lfs.size == len(BIG)


@row("upload_folder into a pull request, again without a change, and with deletions")
def _():
    folder = Path("folder")
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "model.safetensors").write_bytes(os.urandom(1_500_000))
    (folder / "config.json").write_text("{}")
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "noise.log").write_text("not for the Hub")
    api().create_repo("org/folder")
    done = api().upload_folder(folder_path=folder, repo_id="org/folder", create_pr=True, commit_message="up")
    assert done.pr_num
    if api().get_discussion_details("org/folder", done.pr_num).status == "draft":
        api().change_discussion_status("org/folder", done.pr_num, "open")
    api().merge_pull_request("org/folder", done.pr_num)
    assert sorted(api().list_repo_files("org/folder")) == [
        ".gitattributes", ".gitignore", "config.json", "sub/model.safetensors",
    ]  # fmt: skip
    commits = len(api().list_repo_commits("org/folder"))
    (folder / "noise.log").unlink()  # huggingface_hub 2.4 sends an empty commit where a file is ignored
    api().upload_folder(folder_path=folder, repo_id="org/folder")
    assert len(api().list_repo_commits("org/folder")) == commits
    (folder / "config.json").write_text('{"a": 1}')
    api().upload_folder(
        folder_path=folder, repo_id="org/folder", delete_patterns="sub/*", allow_patterns="config.json"
    )
    assert "sub/model.safetensors" not in api().list_repo_files("org/folder")


@row("a file larger than one part goes up in parts, from disk and from a stream")
def _():
    content = os.urandom(2_500_001)
    Path("large.bin").write_bytes(content)
    api().create_repo("org/large")
    api().upload_file(path_or_fileobj="large.bin", path_in_repo="large.bin", repo_id="org/large")
    with Path("large.bin").open("rb") as stream:
        stream.seek(0)
        api().upload_file(
            path_or_fileobj=io.BytesIO(content[::-1]), path_in_repo="back.bin", repo_id="org/large"
        )
    folder = Path(api().snapshot_download("org/large"))
    assert (folder / "large.bin").read_bytes() == content
    assert (folder / "back.bin").read_bytes() == content[::-1]


@row("snapshot_download takes a revision and patterns, and works again from the cache")
def _():
    folder = Path(
        api().snapshot_download(DATA, repo_type="dataset", revision="v1.0-abc", allow_patterns=["data/*"])
    )
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == ["big.bin", "copy.bin"]
    assert (folder / "data" / "copy.bin").read_bytes() == BIG
    again = api().snapshot_download(
        DATA, repo_type="dataset", revision="v1.0-abc", allow_patterns=["data/*"], local_files_only=True
    )
    assert Path(again) == folder
    api().snapshot_download(DATA, repo_type="dataset", revision="v1.0-abc", local_dir="copy")
    assert Path("copy/data/big.bin").read_bytes() == BIG


@row("verify_repo_checksums finds the download as it should be")
def _():
    report = api().verify_repo_checksums(DATA, repo_type="dataset", revision="v1.0-abc", local_dir="copy")
    assert (report.mismatches, report.missing_paths) == ([], [])


@row("list_models, list_datasets, list_spaces by author and search")
def _():
    assert {"org/pages", "org/folder"} <= {m.id for m in api().list_models(author="org")}
    assert [d.id for d in api().list_datasets(search="dat", author="org")] == [DATA]
    assert [s.id for s in api().list_spaces(author="org")] == ["org/space"]
    assert [d.id for d in api().list_datasets(filter="license:mit")] == [DATA]
    assert len(list(api().list_models(limit=2))) == 2


@row("collections: create, 409 and exists_ok, items with notes, order, update, delete")
def _():
    collection = api().create_collection("L2T nano", namespace="org", description="d" * 150)
    assert "/rehearsal/collections/org/" in collection.url
    assert api().create_collection("L2T nano", namespace="org", exists_ok=True).slug == collection.slug
    assert status(lambda: api().create_collection("L2T nano", namespace="org")) == 409
    assert status(lambda: api().create_collection("x", namespace="org", description="d" * 151)) == 400
    api().add_collection_item(collection.slug, DATA, "dataset", note="n" * 500)
    api().add_collection_item(collection.slug, "org/folder", "model")
    api().add_collection_item(collection.slug, "org/folder", "model", exists_ok=True)
    assert status(lambda: api().add_collection_item(collection.slug, "org/folder", "model")) == 409
    assert status(lambda: api().add_collection_item(collection.slug, "org/nope", "model")) == 404
    assert (
        status(lambda: api().add_collection_item(collection.slug, "org/space", "space", note="n" * 501))
        == 400
    )
    items = api().get_collection(collection.slug).items
    assert [(i.item_id, i.item_type, i.note) for i in items] == [
        (DATA, "dataset", "n" * 500),
        ("org/folder", "model", None),
    ]
    api().update_collection_item(collection.slug, items[1].item_object_id, note="moved", position=0)
    items = api().get_collection(collection.slug).items
    assert [(i.item_id, i.note) for i in items] == [("org/folder", "moved"), (DATA, "n" * 500)]
    api().delete_collection_item(collection.slug, items[0].item_object_id)
    api().delete_collection_item(collection.slug, items[0].item_object_id, missing_ok=True)
    assert (
        api().update_collection_metadata(collection.slug, title="New title", private=True).title
        == "New title"
    )
    assert status(lambda: api().get_collection(collection.slug, token=False)) == 404
    assert [c.slug for c in api().list_collections(owner="org")] == [collection.slug]
    assert list(api().list_collections(owner="org", token=False)) == []
    api().delete_collection(collection.slug)
    api().delete_collection(collection.slug, missing_ok=True)


@row("HfFileSystem lists, globs, opens by range and writes")
def _():
    from huggingface_hub import HfFileSystem

    fs = HfFileSystem()
    assert fs.ls(f"datasets/{DATA}/data", detail=False) == [
        f"datasets/{DATA}/data/{n}.bin" for n in ("big", "copy")
    ]
    assert fs.glob(f"datasets/{DATA}/**/b*.bin") == [f"datasets/{DATA}/data/big.bin"]
    with fs.open(f"datasets/{DATA}@v1.0-abc/data/big.bin", block_size=100_000) as file:
        file.seek(1_000_000)
        assert file.read(1000) == BIG[1_000_000:1_001_000]
    with fs.open(f"datasets/{DATA}@refs/pr/1/pr.txt") as file:
        assert file.read() == b"pr"
    with fs.open(f"datasets/{DATA}/written.txt", "w") as file:
        file.write("by fsspec")
    assert fs.read_text(f"datasets/{DATA}/written.txt") == "by fsspec"


@row("safetensors metadata is read by ranges")
def _():
    import numpy as np
    from safetensors.numpy import save

    api().create_repo("org/tensors")
    content = save({"a": np.zeros((3, 5), dtype=np.float32)})
    api().upload_file(path_or_fileobj=content, path_in_repo="model.safetensors", repo_id="org/tensors")
    assert api().get_safetensors_metadata("org/tensors").parameter_count == {"F32": 15}


if __name__ == "__main__":
    main()
