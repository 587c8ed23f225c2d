"""Read pages of datasets as the page does, for tests. Prints a JSON list of pages, errors, and what their code prints.

The standard input has a JSON object: `offered` names, and `calls`, each the arguments of `read_page` after the name of
a dataset, with `run` if the page's code is to be run.
"""

import io
import json
import sys
from contextlib import redirect_stdout
from typing import Any

from l2t_hub.demo.dataset_page import read_page
from l2t_hub.demo.dataset_place import find_dataset
from l2t_hub.errors import UserError


def answer(offered: dict[str, str], call: dict[str, Any]) -> dict[str, Any]:
    """Return a page as the API does, or the error in its place."""
    try:
        page = read_page(find_dataset(call["dataset"], offered, guests=True), *call["page"]).as_dict()
    except UserError as error:
        return {"error": error.message}
    if call.get("run"):
        import datasets

        datasets.config.USE_PARQUET_EXPORT = False
        with redirect_stdout(io.StringIO()) as printed:
            exec(compile(page["code"], "code", "exec"), {})
        page["printed"] = printed.getvalue()
    return page


def main() -> None:
    """Answer the calls of the standard input."""
    wanted = json.load(sys.stdin)
    print(json.dumps([answer(wanted["offered"], call) for call in wanted["calls"]]))


if __name__ == "__main__":
    main()
