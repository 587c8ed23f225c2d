"""The verbs that list, show and check recipes, and how a verb loads the recipe it was given."""

from typing import TYPE_CHECKING, Annotated

import typer

from l2t_hub.cli.options import Json, RecipeArgument, Sets, Shrink, Variant, examples
from l2t_hub.cli.terminal import answer, note
from l2t_hub.errors import UsageError

if TYPE_CHECKING:
    from l2t_hub.recipe import Recipe

recipes = typer.Typer(no_args_is_help=True, help="List, show and check recipes.")


@recipes.command("list", epilog=examples("l2t recipes list"))
def list_recipes(as_json: Json = False) -> None:
    """List the bundled recipes, with what training each takes. GPU-hours are estimated, not measured."""
    from l2t_hub.train.cost import ASSUMPTION, listing, listing_table

    rows = listing()
    answer(as_json, rows, listing_table(rows), ASSUMPTION)


@recipes.command("show", epilog=examples("l2t recipes show nano --variant nano-l2t"))
def show(
    recipe: RecipeArgument,
    sets: Sets = None,
    variant: Variant = None,
    shrink: Shrink = False,
    as_json: Json = False,
) -> None:
    """Show a recipe with everything resolved: parents, overrides and defaults."""
    from l2t_hub.recipe import load_recipe
    from l2t_hub.recipe.listing import as_yaml, tree

    loaded = load_recipe(recipe, sets or (), variant, shrink=shrink)
    note([loaded])
    answer(as_json, tree(loaded), as_yaml(loaded).rstrip())


@recipes.command(
    "validate", epilog=examples("l2t recipes validate nano", "l2t recipes validate recipes/*.yaml")
)
def validate(
    files: Annotated[
        list[str], typer.Argument(metavar="RECIPE", help="Recipe files, or names of bundled recipes.")
    ],
    sets: Sets = None,
) -> None:
    """Check recipes and their variants. Exits with 2 at the first invalid one."""
    from l2t_hub.plan import check_names
    from l2t_hub.recipe import load_releases

    for file in files:
        variants = load_releases(file, sets or ())
        note(variants)
        for variant in variants:
            check_names(variant)
        answer(False, None, f"{file}: ok ({', '.join(variant.name for variant in variants)})")


@recipes.command("keys", epilog=examples("l2t recipes keys", "l2t recipes keys train"))
def keys(
    section: Annotated[
        str | None, typer.Argument(metavar="SECTION", help="Only the keys of this section.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List every recipe key with its type, default and meaning."""
    from l2t_hub.recipe.listing import keys as list_keys
    from l2t_hub.recipe.listing import keys_table

    rows = list_keys(section)
    answer(as_json, rows, keys_table(rows))


def load_release(
    recipe: str, sets: list[str] | None, variant: str | None, *, shrink: bool = False
) -> "Recipe":
    """Load the recipe of exactly one release. Raises UsageError if it has several variants and none was chosen."""
    from l2t_hub.recipe import load_recipe

    loaded = load_recipe(recipe, sets or (), variant, shrink=shrink)
    if len(loaded.variants) == 1:
        loaded = load_recipe(recipe, sets or (), next(iter(loaded.variants)), shrink=shrink)
    if loaded.variants:
        raise UsageError(
            f"{recipe} has several variants: {', '.join(loaded.variants)}",
            f"Choose one, for example --variant {next(iter(loaded.variants))}.",
        )
    note([loaded])
    return loaded
