"""Recipes: the schema that says what a release is, and how YAML files and overrides become a `Recipe`."""

from l2t_hub.recipe.loader import bundled_recipes, load_recipe, load_releases, recipe_from_tree
from l2t_hub.recipe.schema import Recipe

__all__ = ["Recipe", "bundled_recipes", "load_recipe", "load_releases", "recipe_from_tree"]
