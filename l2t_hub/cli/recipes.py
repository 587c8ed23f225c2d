"""The verbs of `l2t recipes`: list, show, validate, keys."""

from typing import Annotated

import typer

from l2t_hub.cli.options import Json, RecipeArgument, Sets, Variant
from l2t_hub.cli.terminal import answer, out
from l2t_hub.recipe import load_recipe, load_releases

recipes = typer.Typer(no_args_is_help=True, help="List, show and check recipes.")


@recipes.command("list", epilog="Example: `l2t recipes list`")
def recipes_list(as_json: Json = False) -> None:
    """The bundled recipes."""
    from l2t_hub.recipe.listing import listing, listing_table

    rows = listing()
    answer(as_json, rows, listing_table(rows))


@recipes.command("show", epilog="Example: `l2t recipes show nano --variant nano-l2t`")
def recipes_show(
    recipe: RecipeArgument, sets: Sets = None, variant: Variant = None, as_json: Json = False
) -> None:
    """A recipe resolved: every key that applies with its value, parents, overrides and defaults included."""
    from l2t_hub.recipe.listing import as_yaml, tree

    loaded = load_recipe(recipe, sets or (), variant)
    answer(as_json, tree(loaded), as_yaml(loaded).rstrip())


@recipes.command("validate", epilog="Example: `l2t recipes validate recipes/*.yaml`")
def recipes_validate(
    files: Annotated[list[str], typer.Argument(metavar="RECIPE...", help="Recipe files or names.")],
    sets: Sets = None,
) -> None:
    """Check recipes and their variants; exit 2 at the first one that is wrong."""
    from l2t_hub.plan import check_names

    for file in files:
        releases = load_releases(file, sets or ())
        for release in releases:
            check_names(release)
        out.print(f"{file}: ok ({', '.join(release.name for release in releases)})", markup=False)


@recipes.command("keys", epilog="Example: `l2t recipes keys train`")
def recipes_keys(
    section: Annotated[
        str | None, typer.Argument(metavar="[SECTION]", help="Only this section's keys.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Every recipe key: type, default and meaning."""
    from l2t_hub.recipe.listing import keys, keys_table

    rows = keys(section)
    answer(as_json, rows, keys_table(rows))
